"""A file as a sink: frames are appended, whole, in order.

The file is made readable by its owner only. When it was renamed or removed (logrotate), a new one is begun within a
second; no signal is needed. A full disk costs the frames that do not fit, counted as `ENOSPC`; writing is tried again
with every batch, and a frame that cannot be finished is cut off again when we let go of the file. Where a process was
killed inside a document, the next one begins on a line of its own.
"""

import os
import stat
import time
from pathlib import Path

from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.framing import Frames, stream_framing
from audisp_pyaudit.latency import times_of
from audisp_pyaudit.sink_settings import FileSettings
from audisp_pyaudit.sinks.base import SinkStats, copy_of, sink_error
from audisp_pyaudit.sinks.writer import FrameWriter, tail_of

# How often it is looked whether the name still means our file.
CHECK_SECONDS = 1.0
# O_NONBLOCK: a FIFO without a reader must not hang the pipeline; it changes nothing for a file.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class FileSink:
    """Frames in a file.

    Args:
        name: the sink's name.
        index: its bit in a frame's routes.
        settings: what the configuration says.
    """

    type = "file"

    def __init__(self, name: str, index: int, settings: FileSettings) -> None:
        self.name = name
        self.trouble = ""
        self._index = index
        self._settings = settings
        self._framing = stream_framing(settings.format)
        self._stats = SinkStats()
        self._writer: FrameWriter | None = None
        self._file_id = (0, 0)
        self._next_check = 0.0
        self._retry_at = 0.0
        self._lost_as = "closed"

    def start(self) -> None:
        """Open the file."""
        self._make_sure(time.monotonic())

    def deliver(self, frames: Frames) -> None:
        """Append the frames."""
        blob = frames.blob(self._framing, self._index)
        count = frames.count_for(self._index)
        stats = self._stats
        stats.frames += len(frames)
        stats.offered += len(frames)
        stats.filtered += len(frames) - count
        if not count:
            return
        self._make_sure(time.monotonic())
        if self._writer is None:
            stats.lost[self._lost_as] += count
            return
        before = stats.delivered
        error = self._writer.write(blob, count)
        if stats.delivered > before:
            stats.latency.note(times_of(frames), stats.delivered - before)
        self.trouble = "" if error is None else f"{self._settings.path}: {error.strerror or 'nobody reads'}"

    def close(self, deadline: float) -> None:  # noqa: ARG002  # nothing is queued but the rest of one frame
        """Let go of the file."""
        self._let_go("shutdown")

    def stats(self) -> SinkStats:
        """A copy of the ledger."""
        return copy_of(self._stats)

    def oldest_ms(self) -> int | None:
        """Nothing waits here, but for the rest of one event."""
        return None

    def _make_sure(self, now: float) -> None:
        """Have the file open that the name means, if that can be."""
        if self._writer is not None and now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            if not self._is_ours():
                self._let_go("rotated")
        if self._writer is None and now >= self._retry_at:
            try:
                self._open()
                self.trouble = ""
                self._next_check = now + CHECK_SECONDS
            except SinkError as error:
                self.trouble = str(error)
                self._lost_as = error.reason
                self._retry_at = now + error.retry_after

    def _open(self) -> None:
        path = self._settings.path
        try:
            fd = os.open(path, _FLAGS, self._settings.mode)
        except OSError as error:
            raise sink_error(path, error) from None
        found = os.fstat(fd)
        first = b"\n" if self._framing == "json-lines" and _is_torn(fd, found) else b""
        self._writer = FrameWriter(fd, self._framing, self._stats, first)
        self._file_id = (found.st_dev, found.st_ino)

    def _is_ours(self) -> bool:
        try:
            found = Path(self._settings.path).stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._file_id

    def _let_go(self, why: str) -> None:
        if self._writer is not None:
            self._writer.take_back()
            self._writer.give_up(why)
            os.close(self._writer.fd)
            self._writer = None


def _is_torn(fd: int, found: os.stat_result) -> bool:
    """Whether a file of lines ends inside a line."""
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    try:
        return tail_of(fd, 1) != b"\n"
    except OSError:  # ours to write, not to read
        return False
