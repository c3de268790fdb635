"""The system's log of a namespace: what auditd and the plugin say there, kept line by line."""

import contextlib
import re
import socket
import threading
from dataclasses import dataclass

_LINE = re.compile(rb"<(\d+)>(?:\w{3} [ \d]\d \d\d:\d\d:\d\d )?([^\[:]+)(?:\[(\d+)\])?: (.*)\Z", re.DOTALL)
_LINE_BYTES = 16384


@dataclass(frozen=True)
class Said:
    """A line: who said it, its number if it told it, what, and how bad that is: 3 is an error, less is worse."""

    program: str
    pid: int
    text: str
    severity: int


class SystemLog:
    """Reads from a socket, until it is closed."""

    def __init__(self, source: socket.socket) -> None:
        self._socket = source
        self._socket.settimeout(0.2)
        self._closed = threading.Event()
        self.lines: list[Said] = []
        self._thread = threading.Thread(target=self._read, name="log", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                data = self._socket.recv(_LINE_BYTES)
                found = _LINE.match(data)
                assert found, data
                text = found[4].decode(errors="replace").rstrip("\n\0")
                self.lines.append(Said(found[2].decode(), int(found[3] or 0), text, int(found[1]) & 7))

    def of(self, program: str) -> list[str]:
        """What a program said, in order."""
        return [each.text for each in self.lines if each.program == program]

    def text(self) -> str:
        """All of it, for people."""
        return "\n".join(f"{each.program}[{each.pid}]: {each.text}" for each in self.lines)

    def close(self) -> None:
        """Hang up."""
        self._closed.set()
        self._thread.join(10)
        self._socket.close()
