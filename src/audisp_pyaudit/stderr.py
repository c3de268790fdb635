"""Standard error, written to without ever waiting.

In: text. Out: the text on the descriptor, or nothing: a pipe that nobody reads, a full disk or a closed descriptor
costs lines, never time. Lines that were lost are counted and told with the next one that gets through. The descriptor
is shared with whoever started us, so it is never made non-blocking; it is asked before each write instead.

Standard library only: a bug in anything else has to be told here.
"""

import os
import select
import sys
import time

# What a pipe that polls as writable takes without blocking.
_PIECE = select.PIPE_BUF


class Stderr:
    """Lines for a descriptor.

    Args:
        fd: the descriptor; None for nowhere.
    """

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._buffer = ""
        self._torn = False  # the last line was begun and not finished
        self.dropped = 0
        self._untold = 0

    def isatty(self) -> bool:
        """Whether a person reads."""
        return self._fd is not None and os.isatty(self._fd)

    def write(self, text: str) -> int:
        """Take text; it is written by `flush`."""
        self._buffer += text
        return len(text)

    def flush(self) -> None:
        """Write what was taken, if that is possible now; else it is dropped."""
        text, self._buffer = self._buffer, ""
        self.say(text)

    def say(self, text: str, patience: float = 0.0) -> bool:
        """Write whole lines at once.

        Args:
            text: lines.
            patience: seconds to wait for a reader, in all.

        Returns:
            Whether all was written.
        """
        if not text or self._fd is None:
            return True
        told = self._untold
        head = "\n" if self._torn else ""
        if told:
            head += f'level=warning event="standard error was blocked; lines of this log are missing" lines={told}\n'
        data = (head + text).encode(errors="backslashreplace")
        done = self._write(self._fd, data, time.monotonic() + patience)
        self._torn = done > 0 and data[done - 1 : done] != b"\n" if done else self._torn
        if done < len(data):
            self.dropped += 1
            self._untold += 1
            return False
        self._untold -= told
        return True

    @staticmethod
    def _write(fd: int, data: bytes, deadline: float) -> int:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        done = 0
        try:
            while done < len(data):
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    break
                done += os.write(fd, data[done : done + _PIECE])
        except OSError:
            return done
        return done


def standard_error() -> Stderr:
    """Ours; nowhere, if we were started without."""
    return Stderr(None if sys.stderr is None else 2)
