"""The spool as the queue uses it: opened when it can be, tried again when it fails, given room when it is full.

In: commits that are in memory. Out: the same on disk, sooner or later, and why it is not there yet. Memory and cursors
are looked at under the queue's lock; nobody holds it while the disk is waited for.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.accounts import Accounts
from audisp_pyaudit.delivery.cursor import Cursor, Position
from audisp_pyaudit.delivery.generation import CLASSES
from audisp_pyaudit.delivery.lag import between, place_within
from audisp_pyaudit.delivery.ring import Commit, Ring
from audisp_pyaudit.delivery.spool import NO_ROOM, Spool, SpoolSettings, Unclean
from audisp_pyaudit.files import replace_file


class Store:
    """Keeps commits on disk, if there is a spool.

    Args:
        open_spool: opens it, which may fail; None for lossy.
        ledger: what is put beside each commit.
        ring: the commits.
        accounts: the sinks.
        lock: guards both.
        retry_seconds: how long after a failure the next try comes.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what the queue has
        self,
        open_spool: Callable[[], Spool] | None,
        ledger: Callable[[], Mapping[str, Any]],
        ring: Ring,
        accounts: Accounts,
        lock: threading.Condition,
        retry_seconds: float,
    ) -> None:
        self.spool: Spool | None = None
        self.wanted = open_spool is not None
        self.begun = False
        self.trouble = ""
        self.knows_all = True  # the sinks there are; not under a configuration that stands in for one that is wrong
        self.before_reclaim: Callable[[], None] = lambda: None  # what is to be kept of what goes
        self.unclean: list[Unclean] = []  # to be told
        # Under which name what memory has no room for is counted.
        self.reason = "spool_failed" if self.wanted else "memory_full"
        self._open = open_spool
        self._settings: SpoolSettings | None = None  # others than those that it is opened with
        self._ledger = ledger
        self._ring = ring
        self._accounts = accounts
        self._lock = lock
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._try_open()

    @property
    def generation(self) -> int:
        """Of what this process commits; 0 without a spool."""
        return self.spool.generation if self.spool else 0

    @property
    def committed(self) -> int:
        """The sequence behind the last commit that is whole on disk."""
        return self.spool.writer.committed if self.spool else 0

    @property
    def delivers(self) -> bool:
        """Whether sinks get anything: not while another process has the spool, which holds what comes first."""
        return self.begun or self.spool is None

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write what the disk does not have yet, if it takes it."""
        now = time.monotonic()
        if now < self._retry_at:
            return
        if self.spool is None:
            self._try_open()
        if self.spool is None:
            return
        with self._lock:
            waiting = list(self._ring.unstored())
        for commit in waiting:
            if not self._write(self.spool, commit):
                self._retry_at = now + self._retry_seconds
                return
            with self._lock:
                commit.stored = True

    def _try_open(self) -> None:
        if self._open is None:
            return
        try:
            self.spool = self._open()
            if self._settings is not None:
                self.spool.configure(self._settings)
        except OSError as error:
            self._fail(f"{error.filename or 'spool'}: {error.strerror}")
            self._retry_at = time.monotonic() + self._retry_seconds
        else:
            self.trouble = ""

    def _fail(self, why: str, reason: str = "spool_failed") -> None:
        self.trouble, self.reason = why, reason

    def _write(self, spool: Spool, commit: Commit) -> bool:
        """Write one commit, making room if that is allowed; False if it cannot be."""
        folder = spool.settings.folder
        try:
            if spool.is_full_for(commit.size) and (
                commit.size > spool.limit or not self._make_room(spool, commit.size)
            ):
                self._fail(f"{folder}: full ({spool.bytes} of {spool.limit} bytes)", "spool_full")
                return False
            try:
                spool.store(commit, {"ledger": self._ledger()})
            except OSError as error:
                # Full by what others wrote: memory first, it may pass. Then one segment for each try.
                with self._lock:
                    patient = self._ring.unstored_bytes < self._ring.limit // 2
                if error.errno not in NO_ROOM or patient or not self._drop_oldest(spool):
                    raise
                spool.store(commit, {"ledger": self._ledger()})
        except OSError as error:
            full = error.errno in NO_ROOM
            why = f"{folder}: {'the disk is full: ' if full else ''}{error.strerror}"
            self._fail(why, "spool_full" if full else "spool_failed")
            return False
        self.trouble = ""
        if spool.settings.fsync == "always":
            try:
                spool.writer.sync()
            except OSError as error:  # it is there, for everybody but a power cut
                self.trouble = f"{folder}: what was written may not survive a power cut: {error.strerror}"
        return True

    def has_part_of(self, commit: Commit) -> bool:
        """Whether the disk has one class of a commit and not the other."""
        done = [] if self.spool is None else [self.spool.writer.has(each, commit.last) for each in CLASSES]
        return any(done) and not all(done)

    def lacks(self, commit: Commit) -> Frames:
        """What the disk does not have of a commit."""
        if self.spool is None:
            return commit.frames
        lacking = [commit.frames.of_class(each) for each in CLASSES if not self.spool.writer.has(each, commit.last)]
        if len(lacking) == len(CLASSES):
            return commit.frames
        return lacking[0] if lacking else commit.frames.since(commit.last)

    def sync(self) -> None:
        """Have the disk take what was written, if it is to now and then.

        Raises:
            OSError: it did not.
        """
        if self.spool is not None and self.spool.settings.fsync == "interval":
            self.spool.writer.sync()

    def configure(self, settings: SpoolSettings | None) -> None:
        """Go on with other settings, now or when it can be opened; the folder stays."""
        self._settings = settings
        if settings is not None and self.spool is not None:
            self.spool.configure(settings)

    def roll(self) -> None:
        """The sinks are others from now on: what comes next begins new segments, which say so."""
        if self.spool is not None:
            self.spool.writer.renew()

    def remember(self, cursor: Cursor) -> None:
        """Save where a sink is that is gone: should it come again, what is counted as lost for it stays lost."""
        if self.spool is not None and self.begun:
            with contextlib.suppress(OSError):  # then it gets that, too
                replace_file(self.spool.cursor_of(cursor.name), cursor.as_text().encode())

    def close(self) -> None:
        """Say that this generation is whole, if it is, and let go of it."""
        spool = self.spool
        if spool is None:
            return
        with contextlib.suppress(OSError):
            if not self._ring.unstored_bytes:
                spool.writer.end({"ledger": self._ledger()})
            if spool.settings.fsync == "always":
                spool.writer.sync()
        with contextlib.suppress(OSError):
            self.save()
        spool.close()

    # --- room ---------------------------------------------------------------------------------------------------------

    def reclaim(self) -> None:
        """Give back what every sink has.

        Raises:
            OSError: something could not be removed.
        """
        if self.spool is None:
            return
        with self._lock:
            position = self._accounts.slowest() if self.begun else None
        self.before_reclaim()
        if position is not None:
            self.spool.reclaim(position.generation, position.sequence)

    def keep_within_lag(self) -> None:
        """Have sinks that others do not wait for go on where they are allowed to be.

        Raises:
            OSError: the spool cannot be read.
        """
        spool = self.spool
        if spool is None or not self.begun:
            return
        for cursor in self._accounts:
            if cursor.max_lag_bytes is None:
                continue
            with self._lock:
                epoch, read = cursor.epoch, cursor.read
            position = place_within(spool, cursor.max_lag_bytes, cursor.acknowledged)
            if position is None:
                continue
            passed = list(between(spool, read, position, cursor.name))
            with self._lock:
                if (cursor.epoch, cursor.read) == (epoch, read):  # else the next time
                    self._accounts.skip(cursor, max(position, read), passed)

    def _make_room(self, spool: Spool, size: int) -> bool:
        self.reclaim()
        while spool.is_full_for(size):
            if not self._drop_oldest(spool):
                return False
        return True

    def _drop_oldest(self, spool: Spool) -> bool:
        """Remove the oldest segment that may go; False if there is none."""
        if spool.settings.when_full != "drop_oldest" or not self.begun:
            return False
        victim = spool.oldest(self._in_flight)
        if victim is None and spool.writer.roll():
            victim = spool.oldest(self._in_flight)
        if victim is None:
            return False
        with self._lock:
            gone = spool.retire(victim)  # whoever reads it now reads on, and is not believed
            self._ring.forget_stored()
            self._accounts.drop(gone)
        spool.empty(gone)
        return True

    def _in_flight(self, begin: Position, end: Position) -> bool:
        with self._lock:
            return self._accounts.in_flight(begin, end)

    # --- across processes ---------------------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Take the right to deliver, if it is not ours and no other process has it; whether it came to us now.

        What a process before us still writes comes first, so it is waited for.

        Raises:
            OSError: the spool's folder does not work.
        """
        if self.spool is None or self.begun or not self.spool.take_lock():
            return False
        if self.spool.has_living_elders():
            self.spool.leave_lock()  # one of them needs it
            return False
        self.spool.recount()
        unclean = self.spool.unclean()
        with self._lock:
            if self.knows_all:
                self._accounts.forget_strangers(self.spool)
            self._accounts.resume(self.spool)
            self.unclean += unclean
            self.begun = True
        return True

    def save(self) -> None:
        """Save where the sinks are.

        Raises:
            OSError: it could not be written.
        """
        if self.spool is None:
            return
        with self._lock:
            texts = self._accounts.unsaved(self.spool) if self.begun else []
        for path, text in texts:
            replace_file(path, text.encode())
            self._accounts.saved(path, text)
