"""The queue between the pipeline and the sinks that deliver: lossless with a spool, lossy without.

In: frames, from the pipeline's thread. Out: the same frames in order, to each sink from its own place on, in slices of
a commit each; and what had to be given up, with its reason. Frames are numbered here; a commit is made of what came
within a short time. It is in memory at once, where a sink that keeps up finds it, and then on disk.

One lock guards memory and cursors. Nobody holds it while a disk is waited for, so no sink waits for another one, and
the pipeline waits for nobody but the disk.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.accounts import Accounts, Lost
from audisp_pyaudit.delivery.cursor import Counts, Cursor, Position, Slice
from audisp_pyaudit.delivery.generation import GenerationReader, Missing
from audisp_pyaudit.delivery.held import bit_of
from audisp_pyaudit.delivery.level import Level, OldestOnDisk, Place, first_waiting, level_of
from audisp_pyaudit.delivery.ring import Commit, Ring
from audisp_pyaudit.delivery.segment import Damage
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings, Unclean
from audisp_pyaudit.delivery.store import Store
from audisp_pyaudit.latency import chosen

# Past so many they may be told a second time; a disk with more has other troubles.
_MAX_KNOWN_DAMAGES = 1000


@dataclass(frozen=True)
class QueueSettings:
    """How much is kept in memory, and when a commit is made."""

    memory_bytes: int = 8 * 1024 * 1024
    commit_bytes: int = 256 * 1024
    commit_seconds: float = 0.05
    when_full: str = "drop_oldest"
    # How often what can be mended by people is tried again.
    retry_seconds: float = 1.0


class Queue:
    """Frames between the pipeline and the sinks that deliver.

    Args:
        settings: how much, how long.
        sinks: their cursors, new.
        open_spool: opens the spool, which may fail and is tried again; None for lossy.
        ledger: what is put beside each commit on disk.
        knows_all: whether sinks that are not among them are gone for good, so that what waits for those is lost.
    """

    def __init__(
        self,
        settings: QueueSettings,
        sinks: Iterable[Cursor],
        open_spool: Callable[[], Spool] | None = None,
        ledger: Callable[[], Mapping[str, Any]] = dict,
        *,
        knows_all: bool = True,
    ) -> None:
        self._settings = settings
        self._changed = threading.Condition()
        self._accounts = Accounts(sinks)
        self._ring = Ring(settings.memory_bytes)
        self._store = Store(open_spool, ledger, self._ring, self._accounts, self._changed, settings.retry_seconds)
        self._store.before_reclaim = self._set_aside
        self._store.knows_all = knows_all
        self._readers: dict[str, GenerationReader] = {}
        self._oldest_on_disk = OldestOnDisk()
        self._pending: list[Frames] = []
        self._pending_bytes = 0
        self._pending_since = 0.0
        self._next = 1
        self._untold: list[Unclean] = []
        self._damages: list[Damage] = []
        self._known_damages: set[Damage] = set()
        self._closed = False
        self._released: set[str] = set()

    @property
    def trouble(self) -> str:
        """Why the disk does not take what it should; empty if it does."""
        return self._store.trouble

    # --- the pipeline's side ------------------------------------------------------------------------------------------

    def append(self, frames: Frames) -> None:
        """Take frames; they are committed when enough are there, or `due` says so."""
        if not len(frames):
            return
        if not self._pending:
            self._pending_since = time.monotonic()
        self._pending.append(frames)
        self._pending_bytes += frames.size
        if self._pending_bytes >= self._settings.commit_bytes:
            self.commit()

    @property
    def due(self) -> float | None:
        """In how many seconds `commit` is to be called; None if nothing waits for it."""
        if not self._pending:
            return None
        return max(0.0, self._pending_since + self._settings.commit_seconds - time.monotonic())

    def commit(self) -> None:
        """Give what was taken to the sinks and to the disk."""
        if self._pending:
            frames = Frames.joined(self._pending, self._next)
            self._pending, self._pending_bytes = [], 0
            commit = Commit(self._next, self._next + len(frames), frames)
            with self._changed:
                self._next = commit.last
                self._ring.append(commit)
                for cursor in self._accounts:
                    cursor.counts.offered += len(frames)
                self._changed.notify_all()
        self.store()

    def store(self) -> None:
        """Write what the disk does not have yet; forget what memory has no room for."""
        self._store.write()
        with self._changed:
            read = [each.read for each in self._accounts]
            if read and min(read).generation == self._store.generation:
                # Without a disk, what was read is still needed until it is acknowledged.
                done = 0 if self._store.wanted else min(each.acknowledged for each in self._accounts).sequence
                self._ring.forget_before(min(read).sequence, done)
            for frames in self._ring.shrink(self._held_by_somebody):
                self._accounts.lose(frames, self._store.generation, self._store.reason)

    def _held_by_somebody(self, commit: Commit) -> bool:
        """Whether a sink was given a commit and may still need it, or the disk has half of it: then it stays."""
        if self._waits:  # one block of input may be more than there is room for; it is the last one
            return True
        end = self._own(commit.last)
        taken = (each.read >= end > each.acknowledged for each in self._in_own() if each.in_flight)
        return self._store.has_part_of(commit) or any(taken)

    @property
    def _waits(self) -> bool:
        return self._settings.when_full == "block" and self._store.wanted

    @property
    def blocked(self) -> bool:
        """Whether the pipeline has to wait for room (`when_full = "block"`)."""
        if not self._waits:
            return False
        with self._changed:
            return self._ring.unstored_bytes >= self._settings.memory_bytes // 2

    # --- the sinks' side ----------------------------------------------------------------------------------------------

    def take(self, name: str, timeout: float) -> Slice | None:
        """The next frames for a sink, of which at least one is wanted; None after `timeout` seconds, or at the end.

        Raises:
            OSError: the spool cannot be read; try again.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                if self._closed or name in self._released or name not in self._accounts:
                    return None
                cursor = self._accounts[name]
                if cursor.again:
                    return cursor.again.popleft()
                commit = self._in_memory(cursor)
                if commit is not None:
                    found = self._hand_out(cursor, commit.frames, cursor.bit, self._own(commit.last))
                    if found is not None:
                        return found
                    continue
                if not self._on_disk(cursor):
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        return None
                    self._changed.wait(remaining)
                    continue
                epoch, limit = cursor.epoch, self._limit(cursor)
            found = self._read(cursor, epoch, limit)
            if found is not None:
                return found

    def release(self, name: str) -> None:
        """Give a sink nothing more, and have it come back from `take`; what it acknowledges is still heard."""
        with self._changed:
            self._released.add(name)
            self._changed.notify_all()

    def admit(self, name: str) -> None:
        """Give to a sink again, from the first frame that was not acknowledged: another one has its place now."""
        with self._changed:
            self._released.discard(name)
            if not self._closed and name in self._accounts:
                self._accounts[name].rewind()

    def acknowledge(self, name: str, which: Sequence[tuple[Slice, int]]) -> None:
        """Note what was delivered: slices and indexes into their `wanted`."""
        with self._changed:
            # What was not known by the end is not delivered: it is lost, or comes again.
            if self._closed or name not in self._accounts:
                return
            cursor = self._accounts[name]
            delivered = 0
            for part, index in which:
                delivered += part.acknowledge(index)
            if delivered:
                cursor.counts.delivered += delivered
                looked_at = (which[each] for each in chosen(len(which)))
                times = [part.frames[part.wanted[index]].time_ms for part, index in looked_at]
                cursor.counts.latency.note(times, delivered)
            cursor.settle()

    def give_up(self, name: str, part: Slice, index: int, reason: str) -> None:
        """Note that a frame cannot be delivered, ever."""
        with self._changed:
            if self._closed or name not in self._accounts:
                return
            cursor = self._accounts[name]
            if part.acknowledge(index):
                time_ms = part.frames[part.wanted[index]].time_ms
                self._accounts.count_lost(cursor, reason, 1, (time_ms, time_ms))
            cursor.settle()

    def rewind(self, name: str) -> None:
        """Hand out again what a sink was given and did not acknowledge."""
        with self._changed:
            if not self._closed and name in self._accounts:
                self._accounts[name].rewind()

    # --- the house ----------------------------------------------------------------------------------------------------

    def keep_house(self) -> None:
        """What is due about every second: the lock, the cursors' files, room.

        Raises:
            OSError: the spool's folder does not work.
        """
        if self._store.begin():
            with self._changed:
                self._changed.notify_all()
        try:
            self._store.save()
        finally:  # room is given back above all where nothing can be written
            self._store.keep_within_lag()
            if not self._store.unclean and not self._untold:  # until that is told, it is known from what is there
                self._store.reclaim()

    def unclean_stops(self) -> list[Unclean]:
        """Processes before this one that did not end as they should, since the last call."""
        found, self._store.unclean = self._store.unclean, []
        self._untold += found
        return found

    def told(self) -> None:
        """What says of unclean stops was appended: commit it, and remember that it was told.

        Raises:
            OSError: that could not be noted; the next process will tell it again.
        """
        if self._untold and self._store.spool is not None:
            self.commit()
            with self._changed:
                safe = not self._ring.unstored_bytes
            while self._untold and safe:
                self._store.spool.told_of(self._untold.pop().generation)

    def damages(self) -> list[Damage]:
        """Damages that were found in the spool since the last call; the segments are set aside."""
        self._set_aside()
        with self._changed:
            found, self._damages = self._damages, []
        return found

    def _set_aside(self) -> None:
        """Keep damaged segments: who delivers fast gives them back within a second."""
        with self._changed:
            paths = {each.path for each in self._damages}
        spool = self._store.spool
        for path in paths:
            with contextlib.suppress(OSError):  # no room, or given up meanwhile: then there is nothing to keep
                if spool is not None:
                    spool.aside.keep(path)

    def sync(self) -> None:
        """Have the disk take what was written, if it is to now and then.

        Raises:
            OSError: it did not.
        """
        self._store.sync()

    # --- changes of the configuration, by the pipeline ----------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether a sink takes from it."""
        return name in self._accounts

    def add(self, cursor: Cursor) -> None:
        """A sink that takes frames from now on; the account of one that had its name before goes on."""
        self.commit()
        with self._changed:
            cursor.read = cursor.acknowledged = self._own(self._next)
            cursor.own_start = self._next
            self._accounts.add(cursor)
            self._released.discard(cursor.name)
            self._store.roll()

    def remove(self, name: str) -> None:
        """A sink takes no more frames; what it does not have by now it never gets."""
        self.commit()
        with self._changed:
            self._released.add(name)
            cursor = self._accounts.remove(name)
            cursor.skip(self._own(self._next))
            self._store.roll()
        self._store.remember(cursor)

    def configure(self, settings: QueueSettings, spool: SpoolSettings | None, lags: Mapping[str, int | None]) -> None:
        """Go on with other settings.

        Args:
            settings: those of memory and commits.
            spool: those of the disk, but for its folder; None without one.
            lags: how far each sink may fall behind, in bytes; None for as far as there is room.
        """
        self.commit()
        with self._changed:
            self._settings = settings
            self._ring.limit = settings.memory_bytes
            for cursor in self._accounts:
                cursor.max_lag_bytes = lags[cursor.name]
        self._store.configure(spool)

    def counts(self, name: str) -> Counts:
        """A copy of a sink's ledger."""
        with self._changed:
            return self._accounts.counts(name)

    def oldest_ms(self, name: str) -> int | None:
        """The time of the oldest event that a sink does not have yet, about; None if it has all, or nobody knows."""
        with self._changed:
            cursor = self._accounts[name]
            if not cursor.counts.queued:
                return None
            commit = None if cursor.in_flight else self._in_memory(cursor)
            place = Place(cursor.read, cursor.epoch)
            if cursor.in_flight or commit is not None:
                return first_waiting(cursor, commit)
        return self._oldest_on_disk.find(name, place, self._store.spool)

    def level(self) -> Level:
        """How full it is."""
        with self._changed:
            return level_of(self._store, self._ring, self._pending_bytes)

    def losses(self) -> list[Lost]:
        """What was lost since the last call."""
        with self._changed:
            return self._accounts.losses()

    def close(self) -> None:
        """Commit, say that this generation is whole, save the cursors. Sinks get nothing more."""
        self.commit()
        with self._changed:
            self._closed = True
            self._abandon()
            self._changed.notify_all()
        self._store.close()
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        with self._changed:  # who still has us, has our accounts only
            self._ring.forget()

    # --- under the lock -----------------------------------------------------------------------------------------------

    def _own(self, sequence: int) -> Position:
        """A place in what this process commits."""
        return Position(self._store.generation, sequence)

    def _in_own(self) -> list[Cursor]:
        """The sinks that read what this process commits."""
        return [each for each in self._accounts if each.read.generation == self._store.generation]

    def _in_memory(self, cursor: Cursor) -> Commit | None:
        """The next commit, if it is in memory and nothing on disk comes before it."""
        if not self._store.delivers or cursor.read.generation != self._store.generation:
            return None
        commit = self._ring.at(cursor.read.sequence)
        if commit is None or (commit.first > cursor.read.sequence and cursor.read.sequence < self._store.committed):
            return None
        return commit

    def _on_disk(self, cursor: Cursor) -> bool:
        """Whether the disk has more for a cursor."""
        if not self._store.delivers or self._store.spool is None:
            return False
        return cursor.read < self._own(self._store.committed)

    def _limit(self, cursor: Cursor) -> tuple[int, Mapping[str, int]] | None:
        """How far a cursor may read, and how many frames there are before; None in a generation that has ended."""
        if self._store.spool is None or cursor.read.generation != self._store.generation:
            return None
        return self._store.spool.writer.mark

    def _hand_out(self, cursor: Cursor, frames: Frames, bit: int | None, after: Position) -> Slice | None:
        """A slice of a commit; None if the sink wants nothing of it."""
        if cursor.read.sequence > 0 and cursor.read.generation == after.generation:
            frames = frames.since(cursor.read.sequence)
        wanted = [] if bit is None else frames.indexes_for(bit)
        cursor.counts.filtered += len(frames) - len(wanted)
        cursor.read = after
        if not wanted:
            cursor.settle()
            return None
        part = Slice(frames, wanted, after)
        cursor.in_flight.append(part)
        return part

    def _read(self, cursor: Cursor, epoch: int, limit: tuple[int, Mapping[str, int]] | None) -> Slice | None:
        """Read from disk, without the lock; what was removed meanwhile is not believed."""
        spool = self._store.spool
        if spool is None:
            return None
        reader = self._readers.get(cursor.name)
        place = (spool.folder_of(cursor.read.generation), cursor.read.sequence, epoch)
        if reader is None or (reader.folder, reader.sequence, reader.epoch) != place:
            if reader is not None:
                reader.close()
            reader = self._readers[cursor.name] = GenerationReader(*place)
        found = reader.next(limit and limit[0])
        with self._changed:
            if cursor.epoch != epoch or self._closed:
                return None
            if found is None:
                self._miss(cursor, reader.rest(limit and limit[1]))
                if limit is None:
                    self._go_on(cursor, spool)
                else:  # what was there up to the limit was given up
                    cursor.read = self._own(max(limit[0], cursor.read.sequence))
                    cursor.settle()
                return None
            self._miss(cursor, found.missing)
            after = Position(cursor.read.generation, found.last)
            if found.frames is None:
                cursor.read = after
                return None
            return self._hand_out(cursor, found.frames, bit_of(found.about, cursor.name), after)

    def _go_on(self, cursor: Cursor, spool: Spool) -> None:
        """To the next generation."""
        later = [each for each in spool.generations() if cursor.read.generation < each < spool.generation]
        if later:
            cursor.read = Position(later[0], 0)
        else:
            cursor.read = self._own(cursor.own_start)
        cursor.settle()

    def _abandon(self) -> None:
        """At the end: what is in memory only is lost, also what a sink was given and nobody acknowledged."""
        reason = self._store.reason if self._store.wanted else "shutdown"
        waiting = list(self._ring.unstored())
        for commit in waiting:
            self._accounts.lose(self._store.lacks(commit), self._store.generation, reason)
        ends = {self._own(commit.last) for commit in waiting}
        for cursor in self._in_own():
            for part in cursor.in_flight:
                if part.after in ends:
                    self._accounts.count_lost(cursor, reason, len(part.outstanding()), part.frames.span())
            cursor.in_flight.clear()

    def _miss(self, cursor: Cursor, missing: Missing) -> None:
        self._accounts.count_lost(cursor, "damaged", missing.frames, None)
        for damage in missing.damages:
            if damage not in self._known_damages:  # every sink finds it
                if len(self._known_damages) >= _MAX_KNOWN_DAMAGES:
                    self._known_damages.clear()
                self._known_damages.add(damage)
                self._damages.append(damage)
