"""A file as a sink."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audisp_pyaudit.framing import FrameList
from audisp_pyaudit.latency import BOUNDS_MS
from audisp_pyaudit.notices import NoticeFrame, timestamp_of
from audisp_pyaudit.sink_settings import FileSettings
from audisp_pyaudit.sinks import file as module
from audisp_pyaudit.sinks.file import FileSink

Make = Callable[..., FrameList]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time; set the first element."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


def sink_for(path: Path, index: int = 0, mode: int = 0o600) -> FileSink:
    """A started sink."""
    sink = FileSink("archive", index, FileSettings(path=str(path), mode=mode))
    sink.start()
    return sink


def test_frames_are_appended(tmp_path: Path, frames: Make) -> None:
    """Events are added to what is there, and only root may read them."""
    path = tmp_path / "events.json"
    for text in ("a", "b"):
        sink = sink_for(path)
        sink.deliver(frames(text))
        sink.close(0)
    assert path.read_bytes() == b"".join(frames(text)[0].json + b"\n" for text in ("a", "b"))  # type: ignore[operator]
    assert path.stat().st_mode & 0o777 == 0o600


def test_how_long_events_took(tmp_path: Path) -> None:
    """What was written counts in the histogram, what a full disk lost does not; nothing waits here."""
    sink = sink_for(tmp_path / "events.json")
    now = time.time_ns() // 1_000_000
    sink.deliver(FrameList([NoticeFrame({"event": {"id": "a"}, "@timestamp": timestamp_of(now - 150)})] * 3))
    assert sink.stats().latency.counts[BOUNDS_MS.index(200) :][:1] == [3]
    full = sink_for(Path("/dev/full"))
    full.deliver(FrameList([NoticeFrame({"event": {"id": "a"}, "@timestamp": timestamp_of(now)})]))
    assert sum(full.stats().latency.counts) == 0
    assert (sink.oldest_ms(), sink.type) == (None, "file")
    sink.close(0)
    full.close(0)


def test_mode_is_configurable(tmp_path: Path) -> None:
    """A group of readers can be let in."""
    old = os.umask(0)
    try:
        sink_for(tmp_path / "x", mode=0o640).close(0)
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_rotation_needs_no_signal(tmp_path: Path, frames: Make, now: list[float]) -> None:
    """After logrotate has renamed the file, a new one is begun within a second."""
    path = tmp_path / "events.json"
    sink = sink_for(path)
    sink.deliver(frames("a"))
    path.rename(tmp_path / "events.json.1")
    sink.deliver(frames("b"))
    now[0] += module.CHECK_SECONDS
    sink.deliver(frames("c"))
    sink.close(0)
    assert (tmp_path / "events.json.1").read_bytes().count(b"\n") == 2
    assert path.read_bytes().count(b"\n") == 1
    assert sink.stats().closed


def test_a_missing_folder_is_tried_again(tmp_path: Path, frames: Make, now: list[float]) -> None:
    """A folder that comes later is found; until then every event is counted under the reason."""
    path = tmp_path / "later" / "events.json"
    sink = sink_for(path)
    assert sink.trouble == f"{path}: No such file or directory"
    sink.deliver(frames("a", "b"))
    path.parent.mkdir()
    sink.deliver(frames("c"))
    now[0] += 5
    sink.deliver(frames("d"))
    assert sink.trouble == ""
    sink.close(0)
    stats = sink.stats()
    assert (stats.delivered, dict(stats.lost)) == (1, {"ENOENT": 3})
    assert stats.closed


def test_a_fifo_without_reader_does_not_hang(tmp_path: Path, frames: Make) -> None:
    """A path that is a FIFO nobody reads costs the events, not the pipeline."""
    os.mkfifo(tmp_path / "fifo")
    sink = sink_for(tmp_path / "fifo")
    sink.deliver(frames("a"))
    sink.close(0)
    assert dict(sink.stats().lost) == {"ENXIO": 1}


def test_a_full_device_is_trouble(frames: Make) -> None:
    """ENOSPC is told, counted, and never raised."""
    sink = sink_for(Path("/dev/full"))
    sink.deliver(frames("a", "b"))
    assert "No space left" in sink.trouble
    sink.close(0)
    assert dict(sink.stats().lost) == {"ENOSPC": 2}
    assert sink.stats().closed


def test_a_torn_tail_costs_its_own_document(tmp_path: Path, frames: Make) -> None:
    """After a kill inside a document, the next document begins on a line of its own."""
    path = tmp_path / "events.json"
    path.write_bytes(b'{"torn": ')
    sink = sink_for(path)
    sink.deliver(frames("a"))
    sink.close(0)
    assert path.read_bytes() == b'{"torn": \n' + (frames("a")[0].json or b"") + b"\n"
    assert sink.stats().closed
    assert (sink.stats().delivered, sink.stats().queued) == (1, 0)


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_a_frame_that_a_full_disk_cut_off_is_taken_back(
    tmp_path: Path, frames: Make, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A disk that stays full until the end leaves a file of whole documents, in either format."""
    path = tmp_path / "events"
    sink = FileSink("archive", 0, FileSettings(path=str(path), format=form))
    sink.start()
    sink.deliver(frames("a"))
    whole = path.read_bytes()
    full_after(5, monkeypatch)
    sink.deliver(frames("b"))
    assert path.stat().st_size == len(whole) + 5
    sink.close(0)
    assert path.read_bytes() == whole
    assert dict(sink.stats().lost) == {"shutdown": 1}
    assert sink.stats().closed


def test_what_others_append_is_left_alone(tmp_path: Path, frames: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """If somebody else wrote behind a begun document, nothing is cut off."""
    path = tmp_path / "events"
    sink = sink_for(path)
    full_after(5, monkeypatch)
    sink.deliver(frames("b"))
    with path.open("ab") as other:
        other.write(b"theirs")
    sink.close(0)
    assert path.read_bytes().endswith(b"theirs")


def full_after(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes so many bytes."""
    real, left = os.write, [room]

    def write(fd: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        done = real(fd, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", write)


def test_nothing_for_this_sink(tmp_path: Path, frames: Make) -> None:
    """Events routed elsewhere are filtered, and the file is not touched."""
    sink = sink_for(tmp_path / "x", index=3)
    sink.deliver(frames("a", routes=0b1))
    sink.close(0)
    stats = sink.stats()
    assert (stats.offered, stats.filtered) == (1, 1)
    assert (tmp_path / "x").read_bytes() == b""
