"""Names of users and groups, asked from NSS on threads of their own.

In: wants of the engine (`uid`, `gid` and a number as text). Out: answers, a name or None. A lookup may hang for minutes
(LDAP, sssd): it must never hang anything but its own thread. So the threads are daemons, a hanging one is replaced, and
when too many hang nothing more is asked for a while: those events go without names. What could not be asked, or was
answered with an error, gets no answer here, which would mean that there is no such user; it is asked again later. How
long an answer is good for is the engine's business; nothing else is kept here.
"""

import grp
import pwd
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# The engine publishes an event without its names after 20 ms; a lookup that takes seconds is not slow, it hangs.
HANG_SECONDS = 5.0
# Each holds a thread (8 MiB of address space, some 20 KiB of memory) until its lookup returns.
MAX_THREADS = 4
# One entry is some 200 bytes. More distinct unknown ids than this at once means someone makes them up.
MAX_WAITING = 4096
# What was refused is asked again this often, so many at a time. The engine itself asks once.
RETRY_SECONDS = 1.0
RETRY_BATCH = 256
_MAX_ID = 2**32 - 2  # 2^32-1 means: unset

Answer = tuple[str, str, str | None]
Lookup = Callable[[str, str], str | None]


def look_up(kind: str, key: str) -> str | None:
    """Ask NSS for the name of a `uid` or `gid`; None if there is none.

    Python's pwd and grp raise KeyError for "not found" and for most errors of a name service alike, so an unreachable
    service may look like a user that is not there; the engine asks again when its negative answer is old.

    Raises:
        OSError: the name service failed in a way that could be told.
    """
    try:
        number = int(key)
        if not 0 <= number <= _MAX_ID:
            return None
        return pwd.getpwuid(number).pw_name if kind == "uid" else grp.getgrgid(number).gr_name
    except (KeyError, ValueError, OverflowError):
        return None


@dataclass(eq=False)
class _Worker:
    since: float | None = None  # when the current lookup began
    hanging: bool = False


class NameLookup:
    """Looks names up in the background.

    Args:
        on_answer: called from a lookup thread when an answer is there to be fetched; must not block.
        lookup: what is asked.
        hang_seconds: after this a lookup counts as hanging.
    """

    def __init__(
        self, on_answer: Callable[[], None], lookup: Lookup = look_up, hang_seconds: float = HANG_SECONDS
    ) -> None:
        self._on_answer = on_answer
        self._lookup = lookup
        self._hang_seconds = hang_seconds
        self._wants: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._answers: deque[Answer] = deque()
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()
        self._later: dict[tuple[str, str], None] = {}  # refused or failed, oldest first
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self.outstanding = 0
        self.refused = 0
        self.hung = 0

    def ask(self, kind: str, key: str) -> None:
        """Want a name. The answer comes with `answers`; much later if too much is waiting now."""
        if not self._ask((kind, key)):
            self.refused += 1
            self._put_off((kind, key))

    def _ask(self, want: tuple[str, str]) -> bool:
        if self._wants.qsize() >= MAX_WAITING or not self._staffed():
            return False
        with self._lock:
            self.outstanding += 1
        self._wants.put(want)
        return True

    def _put_off(self, want: tuple[str, str]) -> None:
        with self._lock:
            self._later[want] = None
            if len(self._later) > MAX_WAITING:
                del self._later[next(iter(self._later))]

    def _ask_again(self) -> None:
        """Ask for some of what was put off, if it is time and a thread is free."""
        now = time.monotonic()
        if not self._later or now < self._retry_at:
            return
        self._retry_at = now + RETRY_SECONDS
        with self._lock:
            wants = list(self._later)[:RETRY_BATCH]
        for want in wants:
            with self._lock:
                self._later.pop(want, None)
            if not self._ask(want):
                self._put_off(want)
                break

    def answers(self) -> list[Answer]:
        """The answers that came since the last call."""
        found = []
        while self._answers:
            found.append(self._answers.popleft())
        with self._lock:
            self.outstanding -= len(found)
        if self.outstanding:
            self._staffed()  # a thread that hangs now is replaced now, not at the next want
        self._ask_again()
        return found

    def close(self) -> None:
        """Let the threads end; a hanging one ends with the process."""
        for _ in self._workers:
            self._wants.put(None)

    def _staffed(self) -> bool:
        """Make sure that a thread is there that does not hang; False if all that are allowed do."""
        now = time.monotonic()
        with self._lock:
            for worker in self._workers:
                if not worker.hanging and worker.since is not None and now - worker.since > self._hang_seconds:
                    worker.hanging = True
                    self.hung += 1
            if any(not worker.hanging for worker in self._workers):
                return True
            if len(self._workers) >= MAX_THREADS:
                return False
            worker = _Worker()
            try:
                threading.Thread(target=self._work, args=(worker,), name="names", daemon=True).start()
            except RuntimeError:  # no thread to be had: go without names
                return False
            self._workers.append(worker)
        return True

    def _work(self, worker: _Worker) -> None:
        while (want := self._wants.get()) is not None:
            worker.since = time.monotonic()
            try:
                self._answers.append((*want, self._lookup(*want)))
            except Exception:  # noqa: BLE001  # a broken NSS module must cost a name, not the thread
                self._put_off(want)
                with self._lock:
                    self.outstanding -= 1
            self._on_answer()
            worker.since = None
            if worker.hanging:  # replaced meanwhile
                break
        with self._lock:
            self._workers.remove(worker)
