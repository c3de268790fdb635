"""Connections from inside a namespace to a broker outside; they can be made to stall, or to be refused.

In: a socket that listens in the namespace. Out: for each connection, one to the broker, and bytes both ways.
"""

import contextlib
import select
import socket
import threading

_CHUNK = 1 << 16
_WAIT_SECONDS = 0.05


class Relay:
    """A relay.

    Args:
        listening: where clients come.
        target: the broker, `host:port`.
    """

    def __init__(self, listening: socket.socket, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listening = listening
        self._listening.settimeout(_WAIT_SECONDS)
        self._closed = threading.Event()
        self._stalled = threading.Event()
        self._away = threading.Event()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def stall(self) -> None:
        """Take nothing more from anybody, and answer nobody; connections stay."""
        self._stalled.set()

    def go_away(self) -> None:
        """Hang up on everybody who is there and who comes."""
        self._away.set()

    def come_back(self) -> None:
        """Be there again, for all who come."""
        self._stalled.clear()
        self._away.clear()

    def close(self) -> None:
        """The end of it."""
        self._closed.set()
        for each in self._threads:
            each.join(10)
        self._listening.close()

    def _begin(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="relay", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listening.accept()
                self._begin(self._pass_on, client)

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._target, 10) as broker:
            for each in (client, broker):
                each.settimeout(30)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            other = {client: broker, broker: client}
            while not self._closed.is_set() and not self._away.is_set():
                if self._stalled.is_set():
                    self._closed.wait(_WAIT_SECONDS)
                    continue
                for source in select.select([client, broker], [], [], _WAIT_SECONDS)[0]:
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    other[source].sendall(data)
