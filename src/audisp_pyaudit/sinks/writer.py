"""Whole frames into a file descriptor.

In: blobs of frames. Out: bytes on the descriptor, in order. A write that stops inside a frame (a full disk, a full
pipe) keeps the rest of that frame and writes it first the next time, so that the stream stays readable; frames behind
it in the same blob are lost and counted. Only pipes and the like are waited for, and not for long.
"""

import os
import select
import stat
import time

from audisp_pyaudit.framing import ends
from audisp_pyaudit.sinks.base import MAX_WAIT_SECONDS, SinkStats, reason

# A pipe that polls as writable takes this much without blocking.
_PIPE_BYTES = select.PIPE_BUF


class FrameWriter:
    """Writes to one descriptor and keeps a sink's ledger.

    Args:
        fd: the descriptor; stays the caller's.
        framing: of the blobs to come.
        stats: the ledger to keep; outlives the writer.
    """

    def __init__(self, fd: int, framing: str, stats: SinkStats) -> None:
        self.fd = fd
        self._framing = framing
        self._stats = stats
        self._rest = b""  # of a frame that was begun
        self._waits = not stat.S_ISREG(os.fstat(fd).st_mode)
        self._poll = select.poll()
        if self._waits:
            self._poll.register(fd, select.POLLOUT)

    def write(self, blob: bytes, frames: int) -> OSError | None:
        """Write `frames` frames. What could not be written is in the ledger; its cause is returned."""
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        if self._rest:
            done, error = self._write(self._rest, deadline)
            self._rest = self._rest[done:]
            if self._rest:
                self._lose(frames, error)
                return error
            self._stats.queued -= 1
            self._stats.delivered += 1
        done, error = self._write(blob, deadline)
        if done == len(blob):
            self._stats.delivered += frames
        else:
            self._torn(blob, done, frames, error)
        return error

    def give_up(self, why: str) -> None:
        """The rest of a begun frame will not be written any more."""
        if self._rest:
            self._rest = b""
            self._stats.queued -= 1
            self._stats.lost[why] += 1

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
