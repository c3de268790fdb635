"""Intake: reads audit records from auditd and never waits.

In: bytes from a descriptor (auditd gives a Unix stream socket on 0). Out: blocks of the same bytes, in order, through
`take`, for one other thread. It must never wait for anything but its input: only some 180 records fit between auditd
and us, then auditd's queue fills, then the machine loses audit records or stalls.

When the buffer is full, whole lines are dropped and counted as `intake_full`, with the first and last serial seen in
them, until the buffer has room again. What is in the buffer stays whole lines: a line that has begun is finished first.
Only a regular file is waited for instead: nobody stands behind it, and a person who feeds a log wants all of it.

Standard library only: this runs before anything else is imported.
"""

import os
import select
import signal
import stat
import threading
import time
from collections import deque

from audisp_pyaudit.errand import Errand
from audisp_pyaudit.signals import WakeUp

TYPE_CHECKING = False  # that of `typing`, which takes its time to load
if TYPE_CHECKING:
    from collections.abc import Callable

# auditd's socket holds about 60 KB of records when full (212,992 bytes of kernel memory), so one read empties it.
READ_BYTES = 64 * 1024
# auditd writes record by record, and waking up for each costs more than decoding it. So the taker is told of something
# when its event has ended, or a nap after it came; and where records come all the time, who reads naps before a read,
# and hands on what that found. In a nap auditd may write some 180 short records before it would wait for us, which it
# does at no rate it can reach (it was measured at 31,000 a second), or some 20 of the longest; then it waits for the
# rest of the nap. After a read that found much there is no nap.
NAP_SECONDS = 0.001
NAP_BELOW_BYTES = 16 * 1024
# Records come all the time if there was something to read so often in a row within a nap; those of one event mostly
# come in fewer pieces.
BUSY_READS = 3
_END_OF_EVENT = b"type=EOE "
_END_BYTES = 64  # the end's record has 48 at most
# What comes within this time after a small block is handed over together: a wake-up of the other thread, and its turn
# with cold caches, cost far more than decoding an event (see docs/decisions.md). What comes after a silence does not
# wait.
REST_SECONDS = 0.02
SMALL_BLOCK_BYTES = 64 * 1024
# What `take` hands over at most: large enough to make the call cheap, small enough to keep the engine's output small.
BLOCK_BYTES = 256 * 1024
# Who reads ahead of us waits until there is room for so much: not to be woken for every block.
ROOM_BYTES = 8 * BLOCK_BYTES
# Who waits for room looks this often whether a signal came.
WAKE_SECONDS = 0.1
DEFAULT_LIMIT = 16 * 1024 * 1024
# A line that was begun when the buffer filled up may go this far over the limit; longer ones are cut.
SLACK_BYTES = 256 * 1024
_NEWLINE = 0x0A
_SERIAL = rb"msg=audit\((\d{1,20}\.\d{1,3}:\d{1,20})\)"


class Dropped:
    """What intake had to drop. `first` and `last` are `sec.ms:serial` of lines dropped, empty if none was readable."""

    # No dataclass: they take as long to load as all that intake needs.
    def __init__(self, records: int = 0, size: int = 0, first: str = "", last: str = "") -> None:
        self.records = records
        self.bytes = size
        self.first = first
        self.last = last

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dropped) and vars(self) == vars(other)

    def copy(self) -> "Dropped":
        """The same, as it is now."""
        return Dropped(self.records, self.bytes, self.first, self.last)


class Intake:
    """The bounded buffer between auditd and the engine.

    Args:
        fd: where records come from.
        wake: ends the waiting for input; also brings signals.
        limit: bytes the buffer may hold.

    `rest_seconds` is how long `take` lets a block grow after a small one.
    """

    def __init__(self, fd: int, wake: WakeUp, limit: int = DEFAULT_LIMIT) -> None:
        self._fd = fd
        self._wake = wake
        self.limit = limit
        self.rest_seconds = REST_SECONDS
        kind = os.fstat(fd).st_mode
        # Nobody stands behind a file; and whoever configured it wants auditd to wait rather than a record to be lost.
        self.may_wait = self._is_file = stat.S_ISREG(kind)
        self._is_socket = stat.S_ISSOCK(kind)
        self._changed = threading.Condition()
        self._blocks: deque[bytearray | bytes] = deque()  # bytes: nothing is appended to it
        self._size = 0
        self._ready = False  # there is something that the taker is to have
        self._rest_until = 0.0
        self._due_at: float | None = None  # when the taker has to be told of what it was not told of
        self._quick_reads = 0  # in a row
        self._found = 0  # bytes, by the last read
        self._knocked = False
        self._ended = False
        self._stopped = False
        self._mid_line = False  # the buffer ends inside a line
        self._dropping = False
        self._drop_mid_line = False  # what was dropped ends inside a line
        self._dropped = Dropped()
        self._announced = Dropped()
        self._signals: deque[int] = deque()
        self._errands: deque[Errand] = deque()
        self.bytes_read = 0

    # --- the reading side: one thread, the main one -------------------------------------------------------------------

    def run(self) -> None:
        """Read until the end of the input, or until `stop`."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake.fd, select.POLLIN)
        buffer = bytearray(READ_BYTES)
        try:
            while not self._stopped:
                asked = time.monotonic()
                wait = None if self._due_at is None else max(0.0, self._due_at - asked) * 1000
                ready = {fd for fd, _ in poll.poll(wait)}
                now = time.monotonic()
                if not ready or (self._due_at is not None and now >= self._due_at):  # whatever else has come by now
                    self._hand_over()
                if self._wake.fd in ready:
                    self._note(self._wake.drain())
                elif self._fd in ready and not self._read(buffer, now - asked):
                    return
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._do_errands()  # nobody waits for them longer than they take

    def _do_errands(self) -> None:
        while self._errands:
            self._errands.popleft()()

    def _note(self, numbers: list[int]) -> None:
        self._do_errands()
        signals = [number for number in numbers if number]
        if signal.SIGINT in signals and not self._is_socket:
            # A person's ^C; auditd, which gives a socket, always ends the input itself.
            self._stopped = True
        with self._changed:
            self._signals.extend(signals[:64])
            self._knocked = True
            self._changed.notify_all()

    def _hand_over(self) -> None:
        with self._changed:
            self._tell()

    def _tell(self) -> None:
        """Let the taker have what there is."""
        self._due_at = None
        self._ready = bool(self._blocks)
        if self._ready:
            self._changed.notify_all()

    def _read(self, buffer: bytearray, waited: float) -> bool:
        """Read once, after so many seconds of waiting; False at the end of the input."""
        data: bytes | memoryview
        self._quick_reads = self._quick_reads + 1 if waited < NAP_SECONDS else 0
        naps = self._quick_reads >= BUSY_READS and self._found < NAP_BELOW_BYTES and not self._is_file
        if naps:
            time.sleep(NAP_SECONDS)
        try:
            if self._is_file:  # no block of it need be copied
                data = os.read(self._fd, min(BLOCK_BYTES, self.limit))
            else:
                data = memoryview(buffer)[: os.readv(self._fd, [buffer])]
        except BlockingIOError:
            return True
        except OSError:  # a socket that was reset: nothing more will come
            return False
        if data:
            self._found = len(data)
            self._admit(data, has_grown=naps)
        return bool(data)

    def _admit(self, data: bytes | memoryview, *, has_grown: bool) -> None:
        with self._changed:
            self.bytes_read += len(data)
            if self.may_wait:
                while self.may_wait and self._size + len(data) > self.limit and not self._stopped:
                    rung = self._wake.drain()  # a reload may be what ends this
                    if rung:
                        self._note(rung)
                    self._do_errands()
                    self._changed.wait(WAKE_SECONDS)
            if self._dropping:
                data = self._resume(data)
            if data and not self._dropping:
                if self._size + len(data) <= self.limit:
                    self._append(data)
                else:
                    self._fill_up(data)
            self._due_at = self._due(has_grown=has_grown)
            if self._due_at is None:
                self._tell()

    def _due(self, *, has_grown: bool) -> float | None:
        """When the taker is to be told of what there is; None for now."""
        now = time.monotonic()
        if self._size >= SMALL_BLOCK_BYTES or self._is_file:
            return None
        if now < self._rest_until:
            return self._rest_until
        if has_grown or (self._blocks and _END_OF_EVENT in self._blocks[-1][-_END_BYTES:]):
            return None
        return now + NAP_SECONDS

    def _append(self, data: bytes | memoryview) -> None:
        last = self._blocks[-1] if self._blocks else None
        if len(data) > BLOCK_BYTES // 2:  # a block by itself: `take` need not copy it once more
            self._blocks.append(bytes(data))
        elif isinstance(last, bytearray) and len(last) + len(data) <= BLOCK_BYTES:
            last += data
        else:
            self._blocks.append(bytearray(data))
        self._size += len(data)
        self._mid_line = data[-1] != _NEWLINE

    def _fill_up(self, data: bytes | memoryview) -> None:
        """The buffer is full: finish the line that has begun, drop the rest."""
        self._dropping = True
        self._drop_mid_line = False
        if self._mid_line:
            end = bytes(data).find(b"\n") + 1
            if end and self._size + end <= self.limit + SLACK_BYTES:
                self._append(data[:end])
                data = data[end:]
            elif not end and self._size + len(data) <= self.limit + SLACK_BYTES:
                self._append(data)
                self._dropping = False
                return
            else:  # a line without end: close it, its rest is dropped
                self._append(memoryview(b"\n"))
                self._drop_mid_line = True
                self._drop(data[: end or len(data)])
                data = data[end or len(data) :]
        self._drop(data)

    def _resume(self, data: bytes | memoryview) -> bytes | memoryview:
        """While dropping: drop up to the next line's start, and go on from there if there is room again."""
        start = 0
        if self._drop_mid_line:
            start = bytes(data).find(b"\n") + 1 or len(data)
            self._drop(data[:start])
        rest = data[start:]
        if self._drop_mid_line or self._size + max(len(rest), READ_BYTES) > self.limit:
            self._drop(rest)
            return data[:0]
        self._dropping = False
        return rest

    def _drop(self, data: bytes | memoryview) -> None:
        """Count what is dropped; a record counts with its first byte."""
        if not data:
            return
        content = bytes(data)
        ends_line = content.endswith(b"\n")
        begun = content.count(b"\n") + (not ends_line) - self._drop_mid_line
        self._drop_mid_line = not ends_line
        dropped = self._dropped
        dropped.records += begun
        dropped.bytes += len(content)
        last_at = content.rfind(b"msg=audit(")
        import re  # noqa: PLC0415  # takes its time to load, and is hardly ever needed

        serial = re.compile(_SERIAL)
        last = serial.match(content, last_at) if last_at >= 0 else None
        first = serial.search(content)
        if first:
            dropped.first = dropped.first or first[1].decode()
        if last or first:
            dropped.last = ((last or first) or [b"", b""])[1].decode()

    # --- the taking side: one other thread ----------------------------------------------------------------------------

    def take(self, timeout: float) -> bytes:
        """The oldest block, at most 256 KiB; empty if none is there after `timeout` seconds, a `knock`, or at the end.

        It waits for the end of an event; after a small block, `rest_seconds` for the next one to grow.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._ready and not self._ended and not self._knocked:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    break
            self._knocked = False
            if not self._blocks:
                return b""
            block = self._blocks.popleft()
            self._size -= len(block)
            self._ready = bool(self._blocks)
            if len(block) < SMALL_BLOCK_BYTES:
                self._rest_until = time.monotonic() + self.rest_seconds
            if self.may_wait and self.limit - self._size >= min(self.limit, ROOM_BYTES):
                self._changed.notify_all()
        return bytes(block)

    def knock(self) -> None:
        """End the waiting in `take`: something else wants the taker's attention. From any thread."""
        with self._changed:
            self._knocked = True
            self._changed.notify_all()

    def on_reader(self, what: "Callable[[], None]", seconds: float) -> None:
        """Have the reading thread, if it still reads, do something that does not wait. From another one, which waits.

        Raises:
            OSError: as `what` does, or it was not done in time.
        """
        errand = Errand(what)
        with self._changed:
            if self._ended:
                return
            self._errands.append(errand)
            self._changed.notify_all()
        self._wake.ring()
        if not errand.done(seconds):
            raise TimeoutError(0, "the reading thread has not had its turn")

    def make_room(self, limit: int, *, waits: bool) -> None:
        """How many bytes may wait here, and whether reading waits when it is full: from a file it always does.

        From any thread.
        """
        with self._changed:
            self.limit = limit
            self.may_wait = self._is_file or waits
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop reading. From any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._wake.ring()

    @property
    def finished(self) -> bool:
        """Whether the input has ended and everything was taken."""
        with self._changed:
            return self._ended and not self._blocks

    @property
    def hung_up(self) -> bool:
        """Whether nobody is there any more who writes, though not all may have been read."""
        poll = select.poll()
        poll.register(self._fd, select.POLLRDHUP)
        gone = select.POLLRDHUP | select.POLLHUP | select.POLLERR
        return self._ended or any(events & gone for _, events in poll.poll(0))

    def signals(self) -> list[int]:
        """The signals that came since the last call."""
        with self._changed:
            found = list(self._signals)
            self._signals.clear()
        return found

    @property
    def waiting_bytes(self) -> int:
        """Bytes that were read and not taken yet."""
        return self._size

    def dropped(self) -> Dropped:
        """Everything dropped so far; `first` and `last` are those of the current span, see `dropped_since`."""
        with self._changed:
            return self._dropped.copy()

    def dropped_since(self) -> Dropped:
        """What was dropped since the last call of this."""
        with self._changed:
            now, before = self._dropped, self._announced
            span = Dropped(now.records - before.records, now.bytes - before.bytes, now.first, now.last)
            self._announced = now.copy()
            now.first = now.last = ""
        return span
