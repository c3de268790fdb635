"""A small server of the Fluent forward protocol for tests, over a Unix socket or TCP on loopback, which can misbehave.

In: bytes of clients, in any of the protocol's modes. Out: entries, in the order in which they came, and answers as a
test wants them. It ends with `close`, or with the test's process.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]

TIMEOUT = 30.0


@dataclass
class Message:
    """A message as it came: `entries` are pairs of (seconds, nanoseconds) and a document."""

    tag: str
    entries: list[tuple[tuple[int, int], dict[str, Any]]]
    option: dict[str, Any]


@dataclass
class Behaviour:
    """What a server does.

    Args:
        reads: whether it reads at all.
        greeting: what it says first.
        die_after: it hangs up after so many messages on a connection, without having answered the last.
        answer: is given the ids of the chunks that came since it last gave something, and gives what to send.
    """

    reads: bool = True
    greeting: bytes = b""
    die_after: int | None = None
    answer: Callable[[list[str]], bytes] = field(default=lambda ids: acks(*ids))


def acks(*ids: str) -> bytes:
    """Acknowledgements of chunks."""
    return b"".join(msgpack.packb({"ack": each}) for each in ids)


class Server:
    """Listens until `close`; can be started again at the same place with `open`.

    Args:
        path: of a Unix socket; None for TCP on a free port of loopback.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.behaviour = Behaviour()
        self.messages: list[Message] = []
        self.connections = 0
        self._path = path
        self._port = 0
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.open()

    @property
    def address(self) -> str:
        """As in the configuration."""
        return f"unix://{self._path}" if self._path else f"127.0.0.1:{self._port}"

    @property
    def documents(self) -> list[dict[str, Any]]:
        """All documents, in order."""
        with self._lock:
            return [document for each in self.messages for _, document in each.entries]

    @property
    def serials(self) -> list[int]:
        """Serials of the events, in order, each as often as it came."""
        return [each["event"]["sequence"] for each in self.documents if "sequence" in each["event"]]

    def open(self) -> None:
        """Listen."""
        if self._path:
            self._path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self._path))
        else:
            listener = socket.socket(socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._port))
            self._port = listener.getsockname()[1]
        listener.listen(16)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Die: hang up on everybody, listen no more."""
        if self._listener is not None:
            # close() alone would leave the thread in accept(), and the socket open with it.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            clients = list(self._clients)
        for each in clients:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Until something is true."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.01)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                with self._lock:
                    self._clients.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.sendall(self.behaviour.greeting)
            while not self.behaviour.reads:
                time.sleep(0.01)
            self._talk(client)
        with self._lock:
            self._clients.discard(client)

    def _talk(self, client: socket.socket) -> None:
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        unanswered: list[str] = []
        count = 0
        while data := client.recv(65536):
            unpacker.feed(data)
            for raw in unpacker:
                message = decoded(raw)
                with self._lock:
                    self.messages.append(message)
                count += 1
                if count == self.behaviour.die_after:
                    return
                if "chunk" in message.option:
                    unanswered.append(message.option["chunk"])
                    answer = self.behaviour.answer(list(unanswered))
                    if answer:
                        unanswered.clear()
                        client.sendall(answer)


def decoded(raw: list[Any]) -> Message:
    """A message in any mode: Message, Forward, PackedForward."""
    tag, second, *rest = raw
    if isinstance(second, bytes | str):
        entries = list(_stream(second if isinstance(second, bytes) else second.encode()))
    elif isinstance(second, list):
        entries = second
    else:
        entries = [[second, rest.pop(0)]]
    return Message(tag, [(_time(when), document) for when, document in entries], rest[0] if rest else {})


def _stream(packed: bytes) -> Iterator[list[Any]]:
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(packed)
    yield from unpacker
    assert unpacker.tell() == len(packed), "an entry is cut off"


def _time(when: Any) -> tuple[int, int]:  # noqa: ANN401  # what msgpack made of it
    if isinstance(when, int):
        return when, 0
    assert when.code == 0
    return int.from_bytes(when.data[:4], "big"), int.from_bytes(when.data[4:], "big")
