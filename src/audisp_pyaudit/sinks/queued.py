"""What sinks have in common that take frames from the queue and acknowledge what was delivered.

In: slices of the queue, on a thread of the sink's own. Out: acknowledgements. A sink that fails in any way waits a
little, longer each time, and goes on with the first frame that was not acknowledged: that costs no event.
"""

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sized

from audisp_pyaudit.delivery.queue import Queue
from audisp_pyaudit.sinks.base import SinkStats

# How long the network is waited for at a time.
POLL_SECONDS = 0.05
# What a sink gets to leave when the end has come: auditd may kill us 30 ms after it closed the input. It may be waiting
# for the network; nothing of what it has yet to hear is needed.
LEAVE_SECONDS = 0.01
# After a failure the next try comes after this long, twice as long after each that fails soon, up to the second.
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 30.0
# What worked for as long was good; the next failure is a new one.
GOOD_SECONDS = 60.0


class Pause:
    """How long to wait after a failure."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE_SECONDS
        self._began = 0.0
        self._resume_at = 0.0

    @property
    def over(self) -> bool:
        """Whether it is time for the next try."""
        return time.monotonic() >= self._resume_at

    def begun(self) -> None:
        """Note that a try began."""
        self._began = time.monotonic()

    def failed(self) -> None:
        """Note that it failed."""
        now = time.monotonic()
        if now - self._began > GOOD_SECONDS:
            self._next = FIRST_PAUSE_SECONDS
        self._resume_at = now + self._next
        self._next = min(2 * self._next, LAST_PAUSE_SECONDS)


class QueuedSink(ABC):
    """A thread that delivers what is in the queue. Subclasses say how, in `step`, `recover` and `let_go`.

    Args:
        name: the sink's name.
        queue: where frames come from.
        drains: whether it has to deliver what waits before it ends, since nobody else will.
    """

    type = ""

    def __init__(self, name: str, queue: Queue, *, drains: bool = False) -> None:
        self.name = name
        self.trouble = ""
        self.queue = queue
        self.stop = threading.Event()
        self._drains = drains
        self.cut = self.refused = self.denied = 0
        self._frames = 0
        self._before: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)

    def follow(self, before: "QueuedSink") -> None:
        """Take the place of a sink that was closed: its account, and what it did not deliver. Before `start`."""
        self._frames = before._frames  # noqa: SLF001  # one of us
        self.cut, self.refused, self.denied = before.cut, before.refused, before.denied
        self._before = before._thread  # noqa: SLF001

    def start(self) -> None:
        """Begin to deliver. What it delivers to need not be there."""
        self._thread.start()

    def deliver(self, frames: Sized) -> None:
        """Count them: they come from the queue."""
        self._frames += len(frames)

    def close(self, deadline: float) -> None:
        """Stop; what was not acknowledged is in the spool. Without one go on until `deadline` while something waits."""
        while self._drains and time.monotonic() < deadline and self.queue.counts(self.name).queued:
            time.sleep(0.005)
        self.stop.set()
        self.queue.release(self.name)
        if self._thread.is_alive():
            self._thread.join(LEAVE_SECONDS)

    def stats(self) -> SinkStats:
        """The ledger of its place in the queue."""
        counts = self.queue.counts(self.name)
        return SinkStats(
            frames=self._frames,
            offered=counts.offered,
            delivered=counts.delivered,
            filtered=counts.filtered,
            queued=counts.queued,
            lost=counts.lost,
            latency=counts.latency,
            cut=self.cut,
            refused=self.refused,
            denied=self.denied,
        )

    def oldest_ms(self) -> int | None:
        """The time of the oldest event that was not acknowledged."""
        return self.queue.oldest_ms(self.name)

    # --- on the sink's own thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        if self._before is not None:
            self._before.join()  # it may be waiting for the network a last time
            self._before = None
            self.queue.admit(self.name)
        while not self.stop.is_set():
            try:
                self.step()
            except:  # noqa: E722  # a bug here costs time, no event; libraries raise things that are no exceptions
                self.recover(sys.exc_info()[1])
        try:
            self.let_go()
        except:  # noqa: E722  # as above; nobody is left who could do better
            self.trouble = f"{self.name}: {sys.exc_info()[1]!r}"

    @abstractmethod
    def step(self) -> None:
        """Do something, for at most some hundred milliseconds."""

    @abstractmethod
    def recover(self, why: object) -> None:
        """Begin anew, after a pause, with what was not acknowledged."""

    @abstractmethod
    def let_go(self) -> None:
        """The sink ends: let go of everything, without waiting."""
