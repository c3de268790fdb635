"""Events for the kernel's stand-in: those of the drills, with the time of their sending.

In: a rate, or a number. Out: records with the kernel, and what was sent.
"""

import threading
import time

from tests.auditd.kernel import Kernel, number_of
from tests.drills.writer import event

_PROCTITLE = "type=PROCTITLE msg=audit({identity}): proctitle=746F756368002D64002F7372762F64617461"
_PATIENCE = 60.0


def identity(at: int, serial: int) -> str:
    """How records name an event: its time, in ms since 1970, and its serial."""
    return f"{at // 1000}.{at % 1000:03}:{serial}"


class Feed:
    """Sends events to the kernel's stand-in, at a rate on a thread of its own, each with the time of its sending.

    `last` is the serial of the last one, `times` are those of all, in ms since 1970. `cut`: how many bytes at the end
    of each record are left out.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.last = 0
        self.cut = 0
        self.records = 0
        self.times: dict[int, int] = {}
        self.long_texts: dict[int, str] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, count: int) -> None:
        """So many events, as fast as they are taken."""
        for _ in range(count):
            self._one()

    def send_long(self, size: int) -> None:
        """A record of one event, of so many bytes; nearly all of them are its text, which is kept in `long_texts`."""
        serial, now = self.last + 1, time.time_ns() // 1_000_000
        head = f"audit({identity(now, serial)}): pid=1 uid=0 auid=1000 ses=1 msg='op=long cmd=\""
        end = "\" res=success'"
        self.long_texts[serial] = "S" * (size - len(head) - len(end))
        self._kernel.send_record(number_of("USER_CMD"), f"{head}{self.long_texts[serial]}{end}".encode())
        self.times[serial] = now
        self.last = serial

    def _one(self) -> None:
        serial, now = self.last + 1, time.time_ns() // 1_000_000
        self.times[serial] = now
        records = event(serial, now - serial)
        if len(records) > 1:  # as every kernel has it since 3.14
            records.insert(-1, _PROCTITLE.format(identity=identity(now, serial)).encode())
        if self.cut:
            records = [each.rstrip(b"\n")[: -self.cut] for each in records]
        self.records += self._kernel.send(records)
        self.last = serial

    def begin(self, rate: float) -> None:
        """Send events from now on, this many records a second."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(rate,), name="feed", daemon=True)
        self._thread.start()

    def _run(self, rate: float) -> None:
        begin, sent = time.monotonic(), self.records
        while not self._stopped.is_set():
            try:
                self._one()
            except OSError:  # at the end of a test that failed: nobody is there any more
                return
            ahead = begin + (self.records - sent) / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)

    def give_up(self) -> None:
        """Send no more."""
        self._stopped.set()

    def stop(self) -> None:
        """Send no more; returns when the last event is with the kernel."""
        self.give_up()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
            assert not self._thread.is_alive(), "auditd does not take what the kernel has"
            self._thread = None
