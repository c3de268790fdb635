"""A Unix stream socket that many subscribers read from.

In: frames, from the pipeline's thread. Out: the same stream to every subscriber, from the moment it connected. One
thread moves all bytes; the pipeline only appends to queues. A subscriber that does not keep up loses frames of its own
and finds a notice in their place (`subscriber.py`). What a subscriber sends is thrown away.
"""

import contextlib
import dataclasses
import os
import select
import socket
import threading
import time

from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.framing import Frames, socket_framing
from audisp_pyaudit.latency import times_of
from audisp_pyaudit.notices import Notices, encode
from audisp_pyaudit.sink_settings import UnixSettings
from audisp_pyaudit.sinks.base import SinkStats, copy_of
from audisp_pyaudit.sinks.listener import Listener, peer_of
from audisp_pyaudit.sinks.subscriber import Subscriber

# Sent to one subscriber before the next has its turn.
_TURN_BYTES = 1024 * 1024
_LAST_READS = 16
# How long accepting rests when there are no descriptors left.
_REST_SECONDS = 1.0
# The group's id is looked up on the sink's thread: a name service that hangs must not hold up the start.
_START_SECONDS = 1.0
# How often it is looked whether the name still means our socket.
CHECK_SECONDS = 1.0
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


@dataclasses.dataclass(eq=False)
class _Connection:
    socket: socket.socket
    queue: Subscriber
    reads: bool = True  # it has not closed its sending side


class UnixSink:
    """Frames for subscribers of a Unix socket.

    Args:
        name: the sink's name.
        index: its bit in a frame's routes.
        settings: what the configuration says.
        notices: makes the notice for a subscriber that fell behind.
    """

    type = "unix"

    def __init__(self, name: str, index: int, settings: UnixSettings, notices: Notices) -> None:
        self.name = name
        self.trouble = ""
        self._index = index
        self._settings = settings
        self._framing = socket_framing(settings.format)
        self._notices = notices
        self._lock = threading.Lock()
        self._stats = SinkStats()
        self._connections: dict[int, _Connection] = {}
        self._listener: Listener | None = None
        self._retry_at = 0.0
        self._check_at = 0.0
        self._rest_until = 0.0
        self._deadline: float | None = None
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)

    # --- the pipeline's side ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to serve; the socket is there when this returns, unless making it takes strangely long."""
        self._thread.start()
        self._tried.wait(_START_SECONDS)

    def deliver(self, frames: Frames) -> None:
        """Queue the frames for every subscriber."""
        blob = frames.blob(self._framing, self._index)
        count = frames.count_for(self._index)
        times = times_of(frames)
        with self._lock:
            stats = self._stats
            stats.frames += len(frames)
            stats.offered += len(frames) - count
            stats.filtered += len(frames) - count
            if not count:
                return
            if not self._connections:
                stats.offered += count
                stats.lost["no_subscriber"] += count
                return
            for connection in self._connections.values():
                connection.queue.offer(blob, count, times)
        self._wake()

    def close(self, deadline: float) -> None:
        """Send what waits until `deadline`, then hang up."""
        self._deadline = deadline
        if self._thread.is_alive():
            self._wake()
            self._thread.join(max(0.0, deadline - time.monotonic()) + 1.0)

    def stats(self) -> SinkStats:
        """A copy of the ledger."""
        with self._lock:
            return copy_of(self._stats)

    def oldest_ms(self) -> int | None:
        """The time of the oldest event that a subscriber has not taken yet."""
        with self._lock:
            found = (each.queue.oldest_ms for each in self._connections.values())
            return min((each for each in found if each is not None), default=None)

    @property
    def alive(self) -> bool:
        """Whether its thread runs, so that its numbers may change."""
        return self._thread.is_alive()

    @property
    def subscribers(self) -> int:
        """How many there are now."""
        return len(self._connections)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError), self._lock:
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    # --- the sink's own thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                if self._deadline is not None and self._drained(self._deadline):
                    break
                self._serve_once()
            except Exception as error:  # noqa: BLE001  # a bug here costs the subscribers, not the process
                self.trouble = f"{self._settings.path}: {type(error).__name__}: {error}"
                self._hang_up("failed")
                time.sleep(0.1)
        self._hang_up("shutdown")
        self._unlisten()
        with self._lock:
            os.close(self._wake_fd)
            self._wake_fd = -1

    def _drained(self, deadline: float) -> bool:
        """While closing: whether nothing waits, or the time is over."""
        self._unlisten()
        return time.monotonic() >= deadline or self.stats().queued == 0

    def _serve_once(self) -> None:
        now = time.monotonic()
        if self._deadline is None:
            self._listen(now)
            self._tried.set()
        listener = self._listener
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        if listener is not None and now >= self._rest_until:
            poll.register(listener.socket, select.POLLIN)
        with self._lock:
            for fd, connection in self._connections.items():
                waits = select.POLLOUT if connection.queue.next_bytes() is not None else 0
                poll.register(fd, waits | (select.POLLIN if connection.reads else 0))
        for fd, events in poll.poll(self._pause(now) * 1000):
            if fd == self._wake_fd:
                os.eventfd_read(fd)
            elif fd in self._connections:
                self._serve(self._connections[fd], events)
            else:
                self._accept()

    def _pause(self, now: float) -> float:
        """How long to wait for something to happen, in seconds."""
        if self._deadline is not None:
            return max(0.0, self._deadline - now)
        if self._listener is None:
            return max(0.0, self._retry_at - now)
        return min(_REST_SECONDS, CHECK_SECONDS)

    def _serve(self, connection: _Connection, events: int) -> None:
        try:
            if events & select.POLLIN and not connection.socket.recv(4096):
                connection.reads = False
            if events & select.POLLOUT:
                self._send(connection)
        except BlockingIOError:
            return
        except OSError:
            events |= _GONE
        if events & _GONE:
            self._part(connection, "left")

    def _send(self, connection: _Connection) -> None:
        turn = _TURN_BYTES
        while turn > 0:
            with self._lock:
                data = connection.queue.next_bytes()
            if data is None:
                return
            count = connection.socket.send(data)
            turn -= count
            with self._lock:
                connection.queue.sent(count)

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            new, _ = self._listener.socket.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptors left, most likely
            self._rest_until = time.monotonic() + _REST_SECONDS
            return
        if len(self._connections) >= self._settings.subscribers:
            with self._lock:
                self._stats.refused += 1
            new.close()
            return
        if not self._listener.allows(peer_of(new)):
            with self._lock:
                self._stats.denied += 1
            new.close()
            return
        new.settimeout(0.0)
        queue = Subscriber(self._framing, self._settings.buffer_bytes, self._lag_notice, self._stats)
        with self._lock:
            self._connections[new.fileno()] = _Connection(new, queue)

    def _lag_notice(self, frames: int, size: int) -> bytes:
        lost = {"reason": "slow", "frames": frames, "bytes": size, "sink": self.name}
        return encode(self._notices.loss("subscriber-lagged", lost), self._framing)

    def _part(self, connection: _Connection, why: str) -> None:
        with self._lock:
            del self._connections[connection.socket.fileno()]
            connection.queue.leave(why)
        # Closed with its words unread, the subscriber would get a reset instead of what we sent last.
        with contextlib.suppress(OSError):
            for _ in range(_LAST_READS):
                if not connection.socket.recv(65536):
                    break
        connection.socket.close()

    def _hang_up(self, why: str) -> None:
        for connection in list(self._connections.values()):
            self._part(connection, why)

    def _listen(self, now: float) -> None:
        """Have a listening socket under our name, if that can be; subscribers stay when it is made again."""
        if self._listener is not None and now >= self._check_at:
            self._check_at = now + CHECK_SECONDS
            if self._listener.displaced():
                self._unlisten()
        if self._listener is None and now >= self._retry_at:
            said = self._settings
            try:
                self._listener = Listener(said.path, said.mode, said.group, said.allow)
                self._check_at = now + CHECK_SECONDS
                self.trouble = ""
            except SinkError as error:
                self.trouble = str(error)
                self._retry_at = now + error.retry_after

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
