"""Standard output as a sink."""

import os
from collections.abc import Callable

from audisp_pyaudit.framing import FrameList
from audisp_pyaudit.packing import unpack
from audisp_pyaudit.sink_settings import StdoutSettings
from audisp_pyaudit.sinks.stdout import StdoutSink

Make = Callable[..., FrameList]


def test_routed_frames_appear(frames: Make) -> None:
    """What is meant for this sink comes out, in its format; the rest is counted as filtered."""
    reader, writer = os.pipe()
    sink = StdoutSink("screen", 1, StdoutSettings(format="msgpack"), writer)
    sink.start()
    sink.deliver(FrameList([frames("a")[0], frames("b", routes=0b01)[0]]))
    sink.close(0)
    os.close(writer)
    assert unpack(os.read(reader, 1000)) == {"event": {"id": "a"}, "text": "a"}
    os.close(reader)
    stats = sink.stats()
    assert (stats.frames, stats.offered, stats.delivered, stats.filtered) == (2, 2, 1, 1)
    assert sum(sink.stats().latency.counts) == 1
    assert (sink.oldest_ms(), sink.type) == (None, "stdout")
    assert stats.closed


def test_no_reader(frames: Make) -> None:
    """A closed output is trouble to be told, and losses to be counted; nothing else."""
    reader, writer = os.pipe()
    os.close(reader)
    sink = StdoutSink("screen", 0, StdoutSettings(), writer)
    sink.start()
    sink.deliver(frames("a"))
    os.close(writer)
    assert sink.trouble == "standard output: Broken pipe"
    assert sink.stats().lost == {"EPIPE": 1}
    assert sink.stats().closed


def test_no_output_at_all(frames: Make) -> None:
    """Started with standard output closed, the sink counts what it loses."""
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    sink = StdoutSink("screen", 0, StdoutSettings(), writer)
    sink.start()
    assert "Bad file descriptor" in sink.trouble
    sink.deliver(frames("a"))
    sink.close(0)
    assert sink.stats().lost == {"EBADF": 1}
    assert sink.stats().closed
