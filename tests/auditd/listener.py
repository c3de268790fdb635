"""A client of auditd's TCP listener: what audisp-remote sends, which auditd hands on to its plugins as it came.

In: lines. Out: messages of the managed protocol, each of which auditd acknowledges.
"""

import socket
import struct
from collections.abc import Iterable

# Magic, versions of header and message, type, length, sequence.
_HEADER = struct.Struct("<IBBIHI")
_MAGIC = 0xFF0000FE
_MESSAGE, _ACKNOWLEDGED = 0, 0x40000000
# What auditd has room for.
LONGEST = 8954
_WINDOW = 64


class Client:
    """A connection to auditd."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.settimeout(30)
        self._sent = 0
        self._acknowledged = 0
        self._rest = b""

    def send(self, lines: Iterable[bytes]) -> int:
        """Send lines, without newline at their end, and wait until auditd has acknowledged all; how many there were."""
        before = self._sent
        for line in lines:
            assert len(line) <= LONGEST
            self._sent += 1
            self._socket.sendall(_HEADER.pack(_MAGIC, 0, 0, _MESSAGE, len(line), self._sent) + line)
            while self._sent - self._acknowledged >= _WINDOW:
                self._hear()
        while self._acknowledged < self._sent:
            self._hear()
        return self._sent - before

    def _hear(self) -> None:
        data = self._socket.recv(65536)
        assert data, "auditd hung up"
        self._rest += data
        while len(self._rest) >= _HEADER.size:
            magic, _, _, kind, length, sequence = _HEADER.unpack_from(self._rest)
            assert magic == _MAGIC
            if len(self._rest) < _HEADER.size + length:
                return
            text, self._rest = self._rest[_HEADER.size : _HEADER.size + length], self._rest[_HEADER.size + length :]
            assert kind == _ACKNOWLEDGED, (hex(kind), text)
            self._acknowledged += 1
            assert sequence == self._acknowledged, (sequence, self._acknowledged)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
