"""A named subscriber: one reader that acknowledges, on a Unix socket of its own.

In: slices of the queue. Out: the stream, beginning with the first frame that the reader did not acknowledge, whichever
process of ours or of its it was sent by. The name is that of the sink, so nobody declares it but the configuration; who
may connect is told by the kernel. The reader acknowledges with lines of digits: how many frames of this connection it
is done with, all told. Whoever never does gets no more than a window of frames, and the same ones the next time.
"""

import contextlib
import select
import socket
import time
from collections import deque
from dataclasses import replace

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.cursor import Slice
from audisp_pyaudit.delivery.queue import Queue
from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.framing import document_of, frame, socket_framing
from audisp_pyaudit.sink_settings import SubscriberSettings
from audisp_pyaudit.sinks.base import SinkStats
from audisp_pyaudit.sinks.listener import Listener, peer_of
from audisp_pyaudit.sinks.queued import POLL_SECONDS, QueuedSink

# A frame that was sent: its slice, and its index in what is wanted of that.
_Sent = tuple[Slice, int]

_READ_BYTES = 64 * 1024
# An acknowledgement is a number of at most as many digits.
_DIGITS = 19
# How often it is looked whether the name still means our socket.
_CHECK_SECONDS = 1.0


class BadAcknowledgementError(Exception):
    """What a reader said is no acknowledgement."""


class DurableSink(QueuedSink):
    """Delivers the queue to one reader at a time.

    Args:
        name: the sink's name, which is the subscriber's.
        settings: what the configuration says.
        queue: where frames come from.
        drains: whether it has to deliver what waits before it ends, since nobody else will.
    """

    type = "subscriber"

    def __init__(self, name: str, settings: SubscriberSettings, queue: Queue, *, drains: bool = False) -> None:
        super().__init__(name, queue, drains=drains)
        self._settings = settings
        self._framing = socket_framing(settings.format)
        self._listener: Listener | None = None
        self._listen_at = 0.0
        self._connection: socket.socket | None = None
        self._peer = ""
        self._out = bytearray()
        self._in = b""
        self._waiting: deque[_Sent] = deque()  # taken, and not sent yet
        self._sent: deque[_Sent] = deque()  # not acknowledged
        self._acknowledged = 0  # of this connection

    def stats(self) -> SinkStats:
        """The ledger of its place in the queue, and who is connected."""
        peers = {self._settings.path: self._peer or "nobody is connected"}
        return replace(super().stats(), peers=peers)

    # --- on the sink's own thread -------------------------------------------------------------------------------------

    def step(self) -> None:
        """Let a reader in, send it what it has room for, hear what it has done."""
        self._listen()
        self._accept()
        if self._connection is None:
            self._wait(0)
            return
        if self._out:
            self._wait(select.POLLOUT)
        elif len(self._sent) < self._settings.window:
            self._take()
        else:
            self._wait(0)
        try:
            self._write(self._connection)
            self._read(self._connection)
        except BadAcknowledgementError as error:
            self._part(f"{self._settings.path}: hung up on {self._peer}: {error}")
        except OSError:
            self._hear_last_words()
            self._part(f"{self._settings.path}: {self._peer} has left")

    def recover(self, why: object) -> None:
        """Hang up, and begin anew with what was not acknowledged."""
        self._part(f"{self._settings.path}: {type(why).__name__}: {why}")
        self.stop.wait(POLL_SECONDS)

    def let_go(self) -> None:
        """Hear what was acknowledged last, hang up and stop to listen."""
        try:
            self._hear_last_words()
            self._part("")
        finally:
            if self._listener is not None:
                self._listener.close()
                self._listener = None

    def _hear_last_words(self) -> None:
        """A reader that leaves with something unread is reported as a reset, once, before what it said last."""
        if self._connection is not None:
            with contextlib.suppress(OSError, BadAcknowledgementError):
                self._read(self._connection)

    def _listen(self) -> None:
        now = time.monotonic()
        if now < self._listen_at:
            return
        self._listen_at = now + _CHECK_SECONDS
        if self._listener is not None and self._listener.displaced():
            self._listener.close()
            self._listener = None
        if self._listener is None:
            said = self._settings
            try:
                self._listener = Listener(said.path, said.mode, said.group, said.allow)
                self.trouble = ""
            except SinkError as error:
                self.trouble = str(error)
                self._listen_at = now + error.retry_after

    def _accept(self) -> None:
        """Let a reader in, if there is none and it may."""
        if self._listener is None:
            return
        try:
            new, _ = self._listener.socket.accept()
        except OSError:
            return
        user = peer_of(new)
        if not self._listener.allows(user) or self._connection is not None:
            if self._connection is None:
                self.denied += 1
            else:
                self.refused += 1
            new.close()
            return
        new.settimeout(0.0)
        self._connection, self._peer = new, f"user {user}"
        self.trouble = ""

    def _wait(self, events: int) -> None:
        """Until a reader comes, speaks, or has room, but not for long."""
        poll = select.poll()
        if self._connection is not None:
            poll.register(self._connection, select.POLLIN | events)
        elif self._listener is not None:
            poll.register(self._listener.socket, select.POLLIN)
        poll.poll(POLL_SECONDS * 1000)

    def _take(self) -> None:
        """Take no more than the window allows."""
        if not self._waiting:
            part = self.queue.take(self.name, POLL_SECONDS)
            if part is None:
                return
            self._waiting.extend((part, each) for each in part.outstanding())
        room = min(len(self._waiting), self._settings.window - len(self._sent))
        chosen = [self._waiting.popleft() for _ in range(room)]
        frames = Frames.collected([part.frames[part.wanted[each]] for part, each in chosen])
        try:
            self._out += frames.blob(self._framing)
        except ValueError:  # written for sinks of another format
            documents = (document_of(frames[each], self._settings.format) for each in range(len(frames)))
            self._out += b"".join(frame(each, self._framing) for each in documents)
        self._sent.extend(chosen)

    def _write(self, connection: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._out:
                del self._out[: connection.send(self._out)]

    def _read(self, connection: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            data = connection.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError
            *lines, self._in = (self._in + data).split(b"\n")
            if len(self._in) > _DIGITS:
                raise BadAcknowledgementError(_said(self._in))
            for line in lines:
                self._done(line)

    def _done(self, line: bytes) -> None:
        if not line.isdigit() or len(line) > _DIGITS:
            raise BadAcknowledgementError(_said(line))
        count = int(line) - self._acknowledged
        if not 0 <= count <= len(self._sent):
            sent = self._acknowledged + len(self._sent)
            raise BadAcknowledgementError(f"{int(line)} frames acknowledged, of {sent} that were sent")
        self._acknowledged += count
        self.queue.acknowledge(self.name, [self._sent.popleft() for _ in range(count)])

    def _part(self, why: str) -> None:
        """Hang up; what was not acknowledged is sent to the next one."""
        self.trouble = why
        self._out.clear()
        self._in = b""
        self._waiting.clear()
        self._sent.clear()
        self._acknowledged = 0
        self.queue.rewind(self.name)
        connection, self._connection, self._peer = self._connection, None, ""
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.recv(_READ_BYTES)  # closed with its words unread, the reader would get a reset
            connection.close()


def _said(what: bytes) -> str:
    return f"expected a number of frames and a newline, found {what[:20]!r}"
