"""Events from the Unix socket of a running plugin.

In: a path. Out: the documents that the plugin publishes while we are connected; when it ends, so do they, or we wait
for it to come back. A sink of the type "unix" keeps nothing of what is published meanwhile. One of the type
"subscriber" begins with what was not acknowledged: it is told how many documents of a connection are finished with.
"""

import contextlib
import socket
import time
from collections.abc import Iterator

from audisp_pyaudit.consumer.address import UnixAddress
from audisp_pyaudit.consumer.base import EndOfEvents, Problem
from audisp_pyaudit.consumer.documents import Document
from audisp_pyaudit.consumer.stream import CHUNK_BYTES, Stream
from audisp_pyaudit.errors import ConsumerError

# How often it is tried whether the plugin is back: a reload is missed by no more than this.
RETRY_SECONDS = 0.05
# Acknowledgements are sent for as many documents at a time, or after so long.
_TOGETHER = 100
_ACKNOWLEDGE_SECONDS = 0.2


class UnixSource:
    """A socket.

    Args:
        address: where it is.
        reconnect: whether to wait for a plugin that is not there.

    Raises:
        ConsumerError: nobody is there, and we are not to wait.
    """

    def __init__(self, address: UnixAddress, *, reconnect: bool) -> None:
        self.where = address.where
        self._path = address.path
        self._acknowledges = address.acknowledges
        self._received = self._finished = self._told_of = 0  # documents of this connection
        self._told_at = 0.0
        self._is_end = False  # what is handed out tells of the end of a connection, and is no document of one
        self._reconnect = reconnect
        self._socket: socket.socket | None = None
        self._stream = Stream(self.where)
        self._found: Iterator[Document | Problem] = iter(())
        self._told = False
        self._over = False
        if not reconnect:
            self._connect()

    def receive(self, seconds: float) -> Document | Problem | None:
        """The next document."""
        for each in self._found:
            self._received += self._socket is not None and not self._is_end
            return each
        if self._over:
            raise EndOfEvents
        if self._socket is None:
            return self._try(seconds)
        chunk = self._read(self._socket, seconds)
        if chunk is None:
            return None
        self._is_end = not chunk
        if self._is_end:
            self._found = self._ended()
            return next(self._found, None)
        self._found = self._stream.feed(chunk)
        for each in self._found:
            self._received += 1
            return each
        return None

    def finish(self) -> None:
        """Acknowledge what was received, if that is wanted, some of it at a time."""
        self._finished = self._received
        if self._finished - self._told_of >= _TOGETHER or time.monotonic() - self._told_at >= _ACKNOWLEDGE_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Acknowledge all that is finished with. What cannot be said comes again with the next connection."""
        if self._acknowledges and self._socket is not None and self._finished > self._told_of:
            self._told_of, self._told_at = self._finished, time.monotonic()
            with contextlib.suppress(OSError):
                self._socket.sendall(b"%d\n" % self._finished)

    def close(self) -> None:
        """Hang up."""
        self.commit()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self._path)
        except ConnectionRefusedError:
            connection.close()
            raise ConsumerError(self.where, "nobody listens there; is the plugin running?") from None
        except (OSError, ValueError) as error:
            connection.close()
            raise ConsumerError(self.where, getattr(error, "strerror", None) or str(error)) from None
        self._socket = connection
        self._received = self._finished = self._told_of = 0
        self._stream = Stream(self.where)
        self._told = False

    def _try(self, seconds: float) -> Problem | None:
        """Connect if somebody is there; why not is said once."""
        try:
            self._connect()
        except ConsumerError as error:
            if not self._told:
                self._told = True
                return Problem(ConsumerError(self.where, f"{error.message}; waiting"), "troubles")
            time.sleep(min(seconds, RETRY_SECONDS))
        return None

    def _read(self, connection: socket.socket, seconds: float) -> bytes | None:
        """The next bytes: none at the end, None if there are none yet."""
        connection.settimeout(max(seconds, 0.001))  # 0 would mean something else
        try:
            return connection.recv(CHUNK_BYTES)
        except TimeoutError:
            return None
        except OSError as error:
            if self._reconnect:
                return b""
            raise ConsumerError(self.where, error.strerror or str(error)) from None

    def _ended(self) -> Iterator[Problem]:
        rest = self._stream.end()
        self.close()
        if rest is not None:
            yield rest
        if not self._reconnect:
            self._over = True
            return
        self._told = True
        with contextlib.suppress(ConsumerError):  # a plugin that was restarted may be there already
            self._connect()
        yield Problem(ConsumerError(self.where, "the plugin has ended; waiting for the next"), "troubles")
