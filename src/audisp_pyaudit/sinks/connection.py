"""A stream connection that we make, to a Unix socket or over TCP. Nothing here waits longer than it is told to.

In: an address; bytes to send. Out: bytes received; an OSError where the connection is over, whatever ended it. Only the
look-up of a host's name may take longer, which is why sinks connect on a thread of their own.
"""

import errno
import os
import select
import socket
import time
from typing import Any

from audisp_pyaudit.address import split

# Per address of a host. A LAN answers in a millisecond, the far side of the world in a second, with one repetition.
CONNECT_SECONDS = 5.0
_READ_BYTES = 16 * 1024


class Connection:
    """A connection, once `connected` says so.

    Args:
        address: as in the configuration.

    Raises:
        OSError: there is no such host, or nothing there can be connected to.
    """

    def __init__(self, address: str) -> None:
        found = split(address)
        self._targets: list[tuple[int, Any]] = [(socket.AF_UNIX, found)] if isinstance(found, str) else _look_up(*found)
        self._socket: socket.socket | None = None
        self._deadline = 0.0
        self._connected = False
        self._next()

    def connected(self, seconds: float) -> bool:
        """Whether it is; wait for it so long.

        Raises:
            OSError: no address of the host takes us.
        """
        if self._connected or self._socket is None:
            return self._connected
        if not self.wait(seconds, write=True)[1]:
            if time.monotonic() >= self._deadline:
                self._failed(errno.ETIMEDOUT)
            return False
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._failed(error)
            return False
        self._connected = True
        return True

    def wait(self, seconds: float, *, write: bool = False) -> tuple[bool, bool]:
        """Wait for something to read, or, if wanted, for room to write: whether there is the one, and the other."""
        poll = select.poll()
        poll.register(self._open, select.POLLIN | (select.POLLOUT if write else 0))
        events = sum(each for _, each in poll.poll(seconds * 1000))
        over = events & (select.POLLHUP | select.POLLERR)  # read and write tell what it is
        return bool(events & select.POLLIN or over), bool(events & select.POLLOUT or (write and over))

    def send(self, data: memoryview) -> int:
        """Send what there is room for: how many bytes.

        Raises:
            OSError: the connection is over.
        """
        try:
            return self._open.send(data)
        except BlockingIOError:
            return 0

    def receive(self) -> bytes:
        """What has come; empty if nothing has.

        Raises:
            OSError: the connection is over.
        """
        try:
            data = self._open.recv(_READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise ConnectionAbortedError("closed the connection")
        return data

    def close(self) -> None:
        """Let go of it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def _open(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionAbortedError("is not connected")
        return self._socket

    def _next(self) -> None:
        """Begin with the next address."""
        self.close()
        family, target = self._targets.pop(0)
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:  # a kernel without IPv6
            self._failed(error.errno or errno.EAFNOSUPPORT)
            return
        if family != socket.AF_UNIX:
            # A peer that vanished without a word is noticed; small chunks go out at once.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline = time.monotonic() + CONNECT_SECONDS
        number = self._socket.connect_ex(target)
        if number not in (0, errno.EINPROGRESS):
            self._failed(number)

    def _failed(self, error: int) -> None:
        if self._targets:
            self._next()
            return
        self.close()
        raise OSError(error, os.strerror(error))


def _look_up(host: str, port: int) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(int(family), target) for family, _, _, _, target in found]
