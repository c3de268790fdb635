"""Whole frames into a descriptor, whatever the descriptor does."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audisp_pyaudit.sinks.base import SinkStats
from audisp_pyaudit.sinks.writer import FrameWriter

BLOB = b"one\ntwo\nthree\n"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file to write to."""
    fd = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield fd
    os.close(fd)


def content(fd: int) -> bytes:
    """What stands in the file."""
    return os.pread(fd, 1 << 20, 0)


def limited(monkeypatch: pytest.MonkeyPatch, room: list[int]) -> None:
    """A disk with so many bytes left."""
    real = os.write

    def write(fd: int, data: memoryview) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", write)


def offered(stats: SinkStats, count: int) -> None:
    """As the sink counts before it writes."""
    stats.offered += count


def test_a_full_disk_loses_whole_frames_and_is_counted(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up inside a frame: the frame is finished when there is room, the file stays readable."""
    stats = SinkStats()
    writer = FrameWriter(file, "json-lines", stats)
    room = [6]
    limited(monkeypatch, room)
    offered(stats, 3)
    error = writer.write(BLOB, 3)
    assert isinstance(error, OSError)
    assert (stats.delivered, stats.queued, dict(stats.lost)) == (1, 1, {"ENOSPC": 1})
    offered(stats, 1)
    assert writer.write(b"four\n", 1) is not None
    assert (stats.delivered, stats.queued, dict(stats.lost)) == (1, 1, {"ENOSPC": 2})
    room[0] = 1000
    offered(stats, 1)
    assert writer.write(b"five\n", 1) is None
    assert content(file) == b"one\ntwo\nfive\n"
    assert (stats.delivered, stats.queued) == (3, 0)
    assert stats.closed


def test_a_disk_full_between_frames(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is begun that is not needed."""
    stats = SinkStats()
    limited(monkeypatch, [8])
    offered(stats, 3)
    FrameWriter(file, "json-lines", stats).write(BLOB, 3)
    assert content(file) == b"one\ntwo\n"
    assert (stats.delivered, stats.queued, dict(stats.lost)) == (2, 0, {"ENOSPC": 1})
    assert stats.closed


def test_giving_up_a_begun_frame(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end, a frame that was begun and not finished is counted as lost."""
    stats = SinkStats()
    writer = FrameWriter(file, "json-lines", stats)
    limited(monkeypatch, [2])
    offered(stats, 1)
    writer.write(b"one\n", 1)
    writer.give_up("shutdown")
    assert (stats.queued, dict(stats.lost)) == (0, {"shutdown": 1})
    assert stats.closed


def test_short_writes_are_continued(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less than it is given; that is no loss."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    stats = SinkStats(offered=3)
    assert FrameWriter(file, "json-lines", stats).write(BLOB, 3) is None
    assert content(file) == BLOB
    assert stats.closed


def test_a_pipe_that_nobody_reads_costs_a_bounded_time() -> None:
    """A reader that stopped reading keeps the pipeline for a tenth of a second, and no event is torn for it."""
    reader, writer_fd = os.pipe()
    fcntl.fcntl(writer_fd, fcntl.F_SETPIPE_SZ, 65536)
    stats = SinkStats()
    writer = FrameWriter(writer_fd, "json-lines", stats)
    frame = b"x" * 999 + b"\n"
    offered(stats, 100)
    begin = time.monotonic()
    assert isinstance(writer.write(frame * 100, 100), TimeoutError)
    assert time.monotonic() - begin < 5
    assert stats.lost["slow"] > 0
    got = b""
    thread_done = threading.Event()

    def read() -> None:
        nonlocal got
        while chunk := os.read(reader, 1 << 16):
            got += chunk
        thread_done.set()

    thread = threading.Thread(target=read)
    thread.start()
    offered(stats, 1)
    assert writer.write(frame, 1) is None
    os.close(writer_fd)
    assert thread_done.wait(10)
    thread.join()
    os.close(reader)
    assert got == frame * stats.delivered
    assert stats.queued == 0
    assert stats.closed


def test_a_closed_pipe() -> None:
    """A reader that went away is counted, not crashed on."""
    reader, writer_fd = os.pipe()
    os.close(reader)
    stats = SinkStats(offered=3)
    assert isinstance(FrameWriter(writer_fd, "json-lines", stats).write(BLOB, 3), BrokenPipeError)
    assert dict(stats.lost) == {"EPIPE": 3}
    os.close(writer_fd)
