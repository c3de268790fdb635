"""Whole frames into a file descriptor.

In: blobs of frames. Out: bytes on the descriptor, in order. A write that stops inside a frame (a full disk, a full
pipe) keeps the rest of that frame and writes it first the next time, so that the stream stays readable; frames behind
it in the same blob are lost and counted. Only pipes and the like are waited for, and not for long.
"""

import contextlib
import os
import select
import stat
import time

from audisp_pyaudit.framing import ends
from audisp_pyaudit.sinks.base import MAX_WAIT_SECONDS, SinkStats, reason

# A pipe that polls as writable takes this much without blocking.
_PIPE_BYTES = select.PIPE_BUF


def tail_of(fd: int, count: int) -> bytes:
    """The last bytes of a regular file that is open for writing only.

    Raises:
        OSError: it cannot be read.
    """
    reader = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(reader, count, max(0, os.fstat(reader).st_size - count))
    finally:
        os.close(reader)


class FrameWriter:
    """Writes to one descriptor and keeps a sink's ledger.

    Args:
        fd: the descriptor; stays the caller's.
        framing: of the blobs to come.
        stats: the ledger to keep; outlives the writer.
        first: bytes that are written before the first frame and are none.
    """

    def __init__(self, fd: int, framing: str, stats: SinkStats, first: bytes = b"") -> None:
        self.fd = fd
        self._framing = framing
        self._stats = stats
        self._rest = first  # of a frame that was begun
        self._rest_frames = 0
        self._begun = b""  # what was written of it
        self._waits = not stat.S_ISREG(os.fstat(fd).st_mode)
        self._poll = select.poll()
        if self._waits:
            self._poll.register(fd, select.POLLOUT)

    def write(self, blob: bytes, frames: int) -> OSError | None:
        """Write `frames` frames. What could not be written is in the ledger; its cause is returned."""
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        if self._rest:
            done, error = self._write(self._rest, deadline)
            if self._rest_frames:
                self._begun += self._rest[:done]
            self._rest = self._rest[done:]
            if self._rest:
                self._lose(frames, error)
                return error
            self._stats.queued -= self._rest_frames
            self._stats.delivered += self._rest_frames
            self._rest_frames, self._begun = 0, b""
        done, error = self._write(blob, deadline)
        if done == len(blob):
            self._stats.delivered += frames
        else:
            self._torn(blob, done, frames, error)
        return error

    def give_up(self, why: str) -> None:
        """The rest of a begun frame will not be written any more."""
        if self._rest_frames:
            self._stats.queued -= self._rest_frames
            self._stats.lost[why] += self._rest_frames
        self._rest, self._rest_frames, self._begun = b"", 0, b""

    def take_back(self) -> None:
        """Cut a begun frame off the end of a regular file, so that whole frames are all that stands in it.

        Only if the file still ends with exactly what was written of that frame: others may append to it.
        """
        if not self._begun or self._waits:
            return
        with contextlib.suppress(OSError):
            size = os.fstat(self.fd).st_size
            begin = size - len(self._begun)
            if begin >= 0 and tail_of(self.fd, len(self._begun)) == self._begun:
                os.ftruncate(self.fd, begin)

    def _write(self, data: bytes, deadline: float) -> tuple[int, OSError | None]:
        view, done = memoryview(data), 0
        try:
            while done < len(data):
                if not self._waits:
                    done += os.write(self.fd, view[done:])
                    continue
                remaining = max(0, deadline - time.monotonic())
                if not self._poll.poll(remaining * 1000):
                    return done, TimeoutError()
                done += os.write(self.fd, view[done : done + _PIPE_BYTES])
        except OSError as error:
            return done, error
        return done, None

    def _torn(self, blob: bytes, done: int, frames: int, error: OSError | None) -> None:
        whole, begin = 0, 0
        for end in ends(blob, self._framing):
            if end > done:
                if begin < done:  # inside this one
                    self._rest = blob[done:end]
                    self._begun = blob[begin:done]
                    self._rest_frames = 1
                    self._stats.queued += 1
                    frames -= 1
                break
            whole, begin = whole + 1, end
        self._stats.delivered += whole
        self._lose(frames - whole, error)

    def _lose(self, frames: int, error: OSError | None) -> None:
        why = "slow" if isinstance(error, TimeoutError | BlockingIOError) else reason(error or OSError())
        if frames:
            self._stats.lost[why] += frames
