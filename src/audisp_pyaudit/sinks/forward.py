"""The Fluent forward protocol as a sink: we connect to fluentd, Fluent Bit or Vector, over a Unix socket or TCP.

In: slices of the queue. Out: chunks of documents, in order; what the peer acknowledges is acknowledged to the queue.
Several chunks may be on their way. Without acknowledgements the queue goes by what the socket took: what lies in the
peer's buffers when it dies is lost, and nobody can count it.

Whatever goes wrong with a connection ends it. After a pause another one goes on with the first frame that was not
acknowledged, so nothing is lost; what the peer had and did not acknowledge comes again, with the same `event.id`.
"""

import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import cast

from audisp_pyaudit.delivery.cursor import Slice
from audisp_pyaudit.delivery.queue import Queue
from audisp_pyaudit.framing import document_of
from audisp_pyaudit.packing import pack, unpack
from audisp_pyaudit.sink_settings import ForwardSettings
from audisp_pyaudit.sinks.chunk import Answers, entry, message, new_id
from audisp_pyaudit.sinks.connection import Connection
from audisp_pyaudit.sinks.queued import POLL_SECONDS, Pause, QueuedSink
from audisp_pyaudit.sinks.trim import Document, trimmed

# A chunk ends before it is larger, unless one document alone is. Fluent Bit reads 1 MB at a time by default.
CHUNK_BYTES = 512 * 1024
CHUNK_ENTRIES = 4096
# What may be on its way unacknowledged. Vector acknowledges only what its own sinks have delivered, which may take
# seconds; less would make that time the limit of the rate. More costs memory, and duplicates when a connection breaks.
WINDOW_BYTES = 8 * 1024 * 1024
WINDOW_CHUNKS = 64


@dataclass(eq=False)
class _Chunk:
    """A chunk on its way.

    Args:
        id: by which it is acknowledged.
        frames: what is in it.
        size: of the message, in bytes.
        unsent: what the socket has not taken yet.
        cut: how many of its events are smaller than they were.
    """

    id: str
    frames: list[tuple[Slice, int]]
    size: int
    unsent: memoryview
    cut: int


class ForwardSink(QueuedSink):
    """Delivers the queue to a peer that speaks the forward protocol.

    Args:
        name: the sink's name.
        settings: what the configuration says.
        queue: where frames come from.
        drains: whether it has to deliver what waits before it ends, since nobody else will.
    """

    type = "forward"

    def __init__(self, name: str, settings: ForwardSettings, queue: Queue, *, drains: bool = False) -> None:
        super().__init__(name, queue, drains=drains)
        self.reconnected = 0
        self._settings = settings
        self._pause = Pause()
        self._connection: Connection | None = None
        self._greeted = False
        self._answers = Answers()
        self._waiting: deque[tuple[Slice, int]] = deque()
        self._sending: _Chunk | None = None
        self._unacknowledged: dict[str, _Chunk] = {}  # in the order in which they were sent
        self._unacknowledged_bytes = 0
        self._progress = 0.0  # when the first of them became the first, or the peer last took a byte

    def step(self) -> None:
        """Send what waits, hear what was acknowledged."""
        if self._connection is None:
            if not self._pause.over:
                self.stop.wait(POLL_SECONDS)
                return
            self._pause.begun()
            self._connection = Connection(self._settings.address)
        if not self._greeted:
            self._greet(self._connection)
            return
        if self._sending is None and self._has_room:
            self._sending = self._next_chunk()
        waits = self._sending is not None or bool(self._unacknowledged)
        if not waits:
            self.trouble = ""
        readable, writable = self._connection.wait(POLL_SECONDS if waits else 0.0, write=self._sending is not None)
        if readable:
            self._hear(self._connection)
        if writable and self._sending is not None:
            self._send(self._connection, self._sending)
        self._check_time()

    def _greet(self, connection: Connection) -> None:
        """Begin a connection. A peer that wants authentication speaks first, and would ignore what we send."""
        if not connection.connected(POLL_SECONDS):
            return
        if connection.wait(POLL_SECONDS)[0]:
            self._hear(connection)
        self.queue.rewind(self.name)
        self._greeted = True

    @property
    def _has_room(self) -> bool:
        return len(self._unacknowledged) < WINDOW_CHUNKS and self._unacknowledged_bytes < WINDOW_BYTES

    def _next_chunk(self) -> _Chunk | None:
        """A chunk of what waits; None if nothing does."""
        frames: list[tuple[Slice, int]] = []
        entries: list[bytes] = []
        size = cut = 0
        while len(entries) < CHUNK_ENTRIES:
            if not self._waiting:
                # With nothing on its way there is nothing else to wait for.
                part = self.queue.take(self.name, 0.0 if entries or self._unacknowledged else POLL_SECONDS)
                if part is None:
                    break
                self._waiting.extend((part, which) for which in part.outstanding())
                continue
            part, which = self._waiting[0]
            frame = part.frames[part.wanted[which]]
            document = document_of(frame, "msgpack")
            if len(document) > self._settings.event_bytes:
                smaller = trimmed(cast("Document", unpack(document)), self._settings.event_bytes, pack)
                if smaller is None:
                    self.queue.give_up(self.name, part, which, "too_large")
                    self._waiting.popleft()
                    continue
                document = smaller
                cut += 1
            if entries and size + len(document) > CHUNK_BYTES:
                break
            frames.append(self._waiting.popleft())
            entries.append(entry(frame.time_ms, document))
            size += len(entries[-1])
        if not entries:
            return None
        identity = new_id()
        data = message(self._settings.tag, entries, identity if self._settings.acknowledge else None)
        if not self._unacknowledged:
            self._progress = time.monotonic()
        return _Chunk(identity, frames, len(data), memoryview(data), cut)

    def _send(self, connection: Connection, chunk: _Chunk) -> None:
        count = connection.send(chunk.unsent)
        chunk.unsent = chunk.unsent[count:]
        if count and not self._unacknowledged:
            self._progress = time.monotonic()
        if chunk.unsent:
            return
        chunk.unsent = memoryview(b"")  # frees the message
        self._sending = None
        if self._settings.acknowledge:
            self._unacknowledged[chunk.id] = chunk
            self._unacknowledged_bytes += chunk.size
        else:
            self._delivered(chunk)

    def _hear(self, connection: Connection) -> None:
        for identity in self._answers.feed(connection.receive()):
            first = next(iter(self._unacknowledged), None)
            chunk = self._unacknowledged.pop(identity, None)
            if chunk is None:
                raise ValueError("acknowledges a chunk that it was not sent")
            if identity == first:
                self._progress = time.monotonic()
            self._unacknowledged_bytes -= chunk.size
            self._delivered(chunk)

    def _delivered(self, chunk: _Chunk) -> None:
        self.queue.acknowledge(self.name, chunk.frames)
        self.cut += chunk.cut
        self.trouble = ""

    def _check_time(self) -> None:
        """A peer that stopped to take or to acknowledge is left; without acknowledgements it may take its time.

        Only the first chunk is timed, from when it became the first: a slow peer with many before it is not late.
        """
        if self._sending is None and not self._unacknowledged:
            return
        if time.monotonic() - self._progress < self._settings.acknowledge_seconds:
            return
        if self._settings.acknowledge:
            raise TimeoutError(f"acknowledged nothing for {self._settings.acknowledge_seconds} s")
        self.trouble = f"{self._settings.address}: takes nothing"

    def recover(self, why: object) -> None:
        """Go on with another connection, after a pause, from what was not acknowledged."""
        self.trouble = f"{self._settings.address}: {_told(why)}"
        self._hang_up()
        self.reconnected += 1
        self._pause.failed()

    def let_go(self) -> None:
        """Hear what was acknowledged by now, and hang up."""
        if self._connection is not None and self._greeted:
            with contextlib.suppress(OSError, ValueError):  # it ends anyway
                self._hear(self._connection)
        self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        self._greeted = False
        self._answers = Answers()
        self._waiting.clear()
        self._sending = None
        self._unacknowledged.clear()
        self._unacknowledged_bytes = 0
        if connection is not None:
            connection.close()


def _told(why: object) -> str:
    """What went wrong, in words."""
    if isinstance(why, OSError):
        said = why.strerror or str(why)
        return f"{why.filename}: {said}" if why.filename else said
    return str(why) if type(why) is ValueError else f"{type(why).__name__}: {why}"
