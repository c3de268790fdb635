"""The system's log (`/dev/log`): where auditd's plugins have to speak, whose standard error is /dev/null.

In: lines. Out: a datagram each, as syslog(3) writes them, so rsyslog and journald read it alike. Nothing here waits: a
log that is not there yet, since auditd starts early, or that is full costs no time. Its lines are kept for a while, the
oldest go first and are counted.

Standard library only: a bug in anything else has to be told here.
"""

import contextlib
import os
import socket
import stat
import threading
import time
from collections import deque
from pathlib import Path

PATH = "/dev/log"
_IDENT = "audisp-pyaudit"
# Facility `daemon` and the severities of syslog(3).
_DAEMON = 3 << 3
_SEVERITIES = {"critical": 2, "exception": 3, "error": 3, "warning": 4, "info": 6, "debug": 7}
# Lines that wait for a log, and how often it is tried to send them.
_KEPT_LINES = 200
_RETRY_SECONDS = 1.0
# What every log takes of a line; longer ones are cut.
_LINE_BYTES = 8000


class SystemLog:
    """Lines for the system's log. Safe for threads.

    Args:
        path: its socket.
    """

    def __init__(self, path: str = PATH) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._lock = threading.Lock()
        self._again: threading.Timer | None = None

    def say(self, text: str, severity: str = "info") -> bool:
        """Say a line, or keep it for later; whether it went out."""
        with self._lock:
            for line in text.splitlines():
                self._waiting.append(_framed(line, severity))
            while len(self._waiting) > _KEPT_LINES:
                self._waiting.popleft()
                self._lost += 1
            return self._send()

    def _send(self) -> bool:
        """Send what waits, under the lock."""
        while self._waiting or self._lost:
            told = self._lost
            lines = f'level=warning event="lines of this log are missing" lines={told}'
            if not self._sent(_framed(lines, "warning") if told else self._waiting[0]):
                self._try_again()
                return False
            if told:
                self._lost -= told
            else:
                self._waiting.popleft()
        return True

    def _sent(self, data: bytes) -> bool:
        for _ in range(2):  # a log that was restarted wants a fresh connection
            try:
                if self._socket is None:
                    self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                    self._socket.connect(self._path)
                self._socket.send(data)
            except BlockingIOError:
                return False
            except OSError:
                self.close()
            else:
                return True
        return False

    def _try_again(self) -> None:
        """Without a thread of its own while all is well."""
        if self._again is None:
            self._again = threading.Timer(_RETRY_SECONDS, self._retry)
            self._again.daemon = True
            with contextlib.suppress(RuntimeError):  # no thread can be had: then with the next line
                self._again.start()

    def _retry(self) -> None:
        with self._lock:
            self._again = None
            self._send()

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # --- as a logger: one method a level ------------------------------------------------------------------------------

    def debug(self, text: str) -> None:
        """Say a line."""
        self.say(text, "debug")

    def info(self, text: str) -> None:
        """Say a line."""
        self.say(text, "info")

    def warning(self, text: str) -> None:
        """Say a line."""
        self.say(text, "warning")

    def error(self, text: str) -> None:
        """Say a line."""
        self.say(text, "error")

    critical = exception = error


def _framed(line: str, severity: str) -> bytes:
    head = f"<{_DAEMON | _SEVERITIES[severity]}>{time.strftime('%b %e %H:%M:%S')} {_IDENT}[{os.getpid()}]: "
    return head.encode() + line.encode(errors="backslashreplace")[:_LINE_BYTES]


def nobody_reads(fd: int = 2) -> bool:
    """Whether a descriptor is /dev/null, as standard error is under auditd, or is not there."""
    try:
        found = os.fstat(fd)
    except OSError:
        return True
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev
