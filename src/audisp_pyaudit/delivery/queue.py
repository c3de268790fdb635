"""The queue between the pipeline and the sinks that deliver: lossless with a spool, lossy without.

In: frames, from the pipeline's thread. Out: the same frames in order, to each sink from its own place on, in slices of
a commit each; and what had to be given up, with its reason. Frames are numbered here; a commit is made of what came
within a short time. It is in memory at once, where a sink that keeps up finds it, and then on disk.

One lock guards memory and cursors. Nobody holds it while a disk is waited for, so no sink waits for another one, and
the pipeline waits for nobody but the disk.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery import cursor as cursors
from audisp_pyaudit.delivery.cursor import Counts, Cursor, Position, Slice
from audisp_pyaudit.delivery.generation import GenerationReader, Missing
from audisp_pyaudit.delivery.held import frames_after, routes_after
from audisp_pyaudit.delivery.ring import Commit, Ring
from audisp_pyaudit.delivery.spool import NO_ROOM, Dropped, Spool

# Before the spool is there, and in lossy mode, there is no generation on disk.
_MEMORY = 0
# How often what can be mended by people is tried again.
_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class QueueSettings:
    """How much is kept in memory, and when a commit is made."""

    memory_bytes: int = 8 * 1024 * 1024
    commit_bytes: int = 256 * 1024
    commit_seconds: float = 0.05
    when_full: str = "drop_oldest"


@dataclass(frozen=True)
class Lost:
    """Frames that a sink never gets: how many, why, and their times (ms since 1970, None if unknown)."""

    sink: str
    reason: str
    frames: int
    first_ms: int | None = None
    last_ms: int | None = None


class Queue:
    """Frames between the pipeline and the sinks that deliver.

    Args:
        settings: how much, how long.
        sinks: their cursors, new.
        open_spool: opens the spool, which may fail and is tried again; None for lossy.
        ledger: what is put beside each commit on disk.
    """

    def __init__(
        self,
        settings: QueueSettings,
        sinks: Iterable[Cursor],
        open_spool: Callable[[], Spool] | None = None,
        ledger: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._settings = settings
        self._open_spool = open_spool
        self._ledger = ledger
        self._changed = threading.Condition()
        self._cursors = {each.name: each for each in sinks}
        self._ring = Ring(settings.memory_bytes)
        self._spool: Spool | None = None
        self._begun = False
        self._own_start: dict[str, int] = {}
        self._readers: dict[str, GenerationReader] = {}
        self._pending: list[Frames] = []
        self._pending_bytes = 0
        self._pending_since = 0.0
        self._next = 1
        self._retry_at = 0.0
        self._losses: list[Lost] = []
        self._closed = False
        self.trouble = ""
        self._try_spool()

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
                for cursor in self._cursors.values():
                    cursor.counts.offered += len(frames)
                self._changed.notify_all()
        self.store()

    def store(self) -> None:
        """Write what the disk does not have yet; forget what memory has no room for."""
        now = time.monotonic()
        if self._spool is None and now >= self._retry_at:
            self._try_spool()
        spool = self._spool
        if spool is not None and now >= self._retry_at:
            with self._changed:
                waiting = list(self._ring.unstored())
            for commit in waiting:
                if not self._store(spool, commit):
                    self._retry_at = now + _RETRY_SECONDS
                    break
                with self._changed:
                    commit.stored = True
        with self._changed:
            for frames in self._ring.shrink(self._held_by_somebody):
                self._lose(frames, "memory_full" if self._open_spool is None else self._why_not())

    def _held_by_somebody(self, commit: Commit) -> bool:
        """Whether a sink was given a commit and may still need it: then memory holds it anyway."""
        end = self._own(commit.last)
        return any(each.read >= end > each.acknowledged for each in self._in_own() if each.in_flight)

    def _in_own(self) -> list[Cursor]:
        """The sinks that read what this process wrote."""
        own = self._own(0).generation
        return [each for each in self._cursors.values() if each.read.generation == own]

    def _why_not(self) -> str:
        return "spool_full" if "full" in self.trouble else "spool_failed"

    @property
    def blocked(self) -> bool:
        """Whether the pipeline has to wait for room (`when_full = "block"`)."""
        if self._settings.when_full != "block" or self._open_spool is None:
            return False
        with self._changed:
            return self._ring.unstored_bytes >= self._settings.memory_bytes // 2

    def _store(self, spool: Spool, commit: Commit) -> bool:
        """Write one commit, making room if that is allowed; False if it cannot be."""
        try:
            if spool.is_full_for(commit.size) and not self._make_room(spool, commit.size):
                self.trouble = f"{spool.settings.folder}: full ({spool.bytes} of {spool.limit} bytes)"
                return False
            try:
                spool.store(commit, self._ledger())
            except OSError as error:
                # Full by what others wrote: memory first, it may pass. Then one segment for each try.
                with self._changed:
                    patient = self._ring.unstored_bytes < self._settings.memory_bytes // 2
                if error.errno not in NO_ROOM or patient or not self._drop_oldest(spool):
                    raise
                spool.store(commit, self._ledger())
        except OSError as error:
            full = "the disk is full: " if error.errno in NO_ROOM else ""
            self.trouble = f"{spool.settings.folder}: {full}{error.strerror}"
            return False
        self.trouble = ""
        return True

    def _try_spool(self) -> None:
        if self._open_spool is None:
            return
        try:
            self._spool = self._open_spool()
        except OSError as error:
            self.trouble = f"{error.filename or 'spool'}: {error.strerror}"
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            return
        self.trouble = ""
        self._retry_at = 0.0

    # --- room ---------------------------------------------------------------------------------------------------------

    def _make_room(self, spool: Spool, size: int) -> bool:
        self._reclaim(spool)
        while spool.is_full_for(size):
            if not self._drop_oldest(spool):
                return False
        return True

    def _drop_oldest(self, spool: Spool) -> bool:
        """Remove the oldest segment that may go; False if there is none."""
        if spool.settings.when_full != "drop_oldest" or not self._delivers:
            return False
        victim = spool.oldest(self._in_flight)
        if victim is None and spool.writer.roll():
            victim = spool.oldest(self._in_flight)
        if victim is None:
            return False
        self._drop(spool, victim)
        return True

    def _in_flight(self, begin: Position, end: Position) -> bool:
        """Whether somebody was given something between two positions and has not acknowledged it.

        Such frames are neither delivered nor lost yet; they are few, and stay until it is known.
        """
        with self._changed:
            return any(
                begin < each.read and each.acknowledged < end for each in self._cursors.values() if each.in_flight
            )

    def _drop(self, spool: Spool, victim: Dropped) -> None:
        """Remove a segment, and count it for everybody who has not read it."""
        with self._changed:
            self._ring.forget_stored()
            for cursor in self._cursors.values():
                cursor.epoch += 1
                if victim.generation < cursor.read.generation:
                    continue
                position = cursor.read.sequence if victim.generation == cursor.read.generation else 0
                for found in routes_after(victim.segment, position, cursor.name):
                    cursor.counts.filtered += found.others
                    self._count_lost(cursor, "spool_full", found.routed, found.span)
        spool.give_up(victim)

    def _reclaim(self, spool: Spool) -> None:
        """Give back what everybody has."""
        with self._changed:
            if not self._delivers:
                return
            position = min(
                (each.acknowledged for each in self._cursors.values()), default=Position(spool.generation, 0)
            )
        if position.generation != _MEMORY:
            spool.reclaim(position.generation, position.sequence)

    # --- the sinks' side ----------------------------------------------------------------------------------------------

    def take(self, name: str, timeout: float) -> Slice | None:
        """The next frames for a sink, of which at least one is wanted; None after `timeout` seconds, or at the end.

        Raises:
            OSError: the spool cannot be read; try again.
        """
        cursor = self._cursors[name]
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
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
                    if remaining <= 0 or self._closed:
                        return None
                    self._changed.wait(remaining)
                    continue
                epoch, limit = cursor.epoch, self._limit(cursor)
            found = self._read(cursor, epoch, limit)
            if found is not None:
                return found

    def acknowledge(self, name: str, which: Sequence[tuple[Slice, int]]) -> None:
        """Note what was delivered: slices and indexes into their `wanted`."""
        with self._changed:
            cursor = self._cursors[name]
            for part, index in which:
                cursor.counts.delivered += part.acknowledge(index)
            cursor.settle()

    def give_up(self, name: str, part: Slice, index: int, reason: str) -> None:
        """Note that a frame cannot be delivered, ever."""
        with self._changed:
            cursor = self._cursors[name]
            if part.acknowledge(index):
                time_ms = part.frames[part.wanted[index]].time_ms
                self._count_lost(cursor, reason, 1, (time_ms, time_ms))
            cursor.settle()

    def rewind(self, name: str) -> None:
        """Hand out again what a sink was given and did not acknowledge."""
        with self._changed:
            self._cursors[name].rewind()

    # --- the house ----------------------------------------------------------------------------------------------------

    def keep_house(self) -> None:
        """What is due about every second: the lock, the cursors' files, room.

        Raises:
            OSError: the spool's folder does not work.
        """
        spool = self._spool
        if spool is None:
            return
        if not self._begun and spool.take_lock():
            self._begin(spool)
        self._save(spool)
        self._reclaim(spool)

    def sync(self) -> None:
        """Have the disk take what was written, if it is to now and then.

        Raises:
            OSError: it did not.
        """
        if self._spool is not None and self._spool.settings.fsync == "interval":
            self._spool.writer.sync()

    def counts(self, name: str) -> Counts:
        """A copy of a sink's ledger."""
        with self._changed:
            counts = self._cursors[name].counts
            return dataclasses.replace(counts, lost=counts.lost.copy())

    def losses(self) -> list[Lost]:
        """What was lost since the last call."""
        with self._changed:
            found, self._losses = self._losses, []
        return found

    def close(self) -> None:
        """Commit, say that this generation is whole, save the cursors. Sinks get nothing more."""
        self.commit()
        with self._changed:
            self._closed = True
            self._abandon()
            self._changed.notify_all()
        spool = self._spool
        if spool is None:
            return
        with contextlib.suppress(OSError):
            if not self._ring.unstored_bytes:
                spool.writer.end(self._ledger())
            if spool.settings.fsync == "always":
                spool.writer.sync()
        with contextlib.suppress(OSError):
            self._save(spool)
        for reader in self._readers.values():
            reader.close()
        spool.close()

    # --- under the lock -----------------------------------------------------------------------------------------------

    def _own(self, sequence: int) -> Position:
        return Position(self._spool.generation if self._spool else _MEMORY, sequence)

    def _begin(self, spool: Spool) -> None:
        """The right to deliver is ours: find where each sink is."""
        with self._changed:
            for cursor in self._cursors.values():
                saved = None
                path = spool.settings.folder / "cursors" / f"{cursor.name}.json"
                with contextlib.suppress(OSError, ValueError):
                    saved = cursors.load(path)
                older = [each for each in spool.generations() if each < spool.generation]
                start = Position(older[0], 0) if older else Position(spool.generation, 0)
                if saved is not None and saved.generation <= spool.generation:
                    start = max(saved, start)
                self._own_start[cursor.name] = cursor.read.sequence
                for number in older:
                    if number >= start.generation:
                        sequence = start.sequence if number == start.generation else 0
                        cursor.counts.offered += frames_after(spool.folder_of(number), sequence)
                if start.generation == spool.generation:
                    start = Position(spool.generation, cursor.read.sequence)
                cursor.read = cursor.acknowledged = start
                for part in cursor.in_flight:  # from memory, before there was a spool
                    part.after = start
            self._begun = True
            self._changed.notify_all()

    @property
    def _delivers(self) -> bool:
        """Whether sinks get anything: not while another process has the spool, which holds what comes first."""
        return self._begun or self._spool is None

    def _in_memory(self, cursor: Cursor) -> Commit | None:
        """The next commit, if it is in memory and nothing on disk comes before it."""
        if not self._delivers or cursor.read.generation != self._own(0).generation:
            return None
        commit = self._ring.at(cursor.read.sequence)
        if commit is None or (commit.first > cursor.read.sequence and cursor.read.sequence < self._committed()):
            return None
        return commit

    def _committed(self) -> int:
        return self._spool.writer.committed if self._spool else 0

    def _on_disk(self, cursor: Cursor) -> bool:
        """Whether the disk has more for a cursor."""
        if not self._delivers or self._spool is None:
            return False
        return cursor.read.generation < self._spool.generation or cursor.read.sequence < self._committed()

    def _limit(self, cursor: Cursor) -> tuple[int, Mapping[str, int]] | None:
        """How far a cursor may read, and how many frames there are before; None in a generation that has ended."""
        if self._spool is None or cursor.read.generation != self._spool.generation:
            return None
        return self._spool.writer.mark

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
        spool = self._spool
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
            if cursor.epoch != epoch:
                return None
            if found is None:
                self._miss(cursor, reader.rest(limit and limit[1]))
                if limit is None:
                    self._go_on(cursor, spool)
                else:  # what was there up to the limit was given up
                    cursor.read = Position(spool.generation, max(limit[0], cursor.read.sequence))
                    cursor.settle()
                return None
            self._miss(cursor, found.missing)
            after = Position(cursor.read.generation, found.last)
            if found.frames is None:
                cursor.read = after
                return None
            sinks = found.about.get("sinks", [])
            bit = sinks.index(cursor.name) if cursor.name in sinks else None
            return self._hand_out(cursor, found.frames, bit, after)

    def _go_on(self, cursor: Cursor, spool: Spool) -> None:
        """To the next generation."""
        later = [each for each in spool.generations() if cursor.read.generation < each < spool.generation]
        if later:
            cursor.read = Position(later[0], 0)
        else:
            cursor.read = Position(spool.generation, self._own_start.get(cursor.name, 0))
        cursor.settle()

    def _abandon(self) -> None:
        """At the end: what is in memory only is lost, also what a sink was given and nobody acknowledged."""
        reason = "shutdown" if self._open_spool is None else self._why_not()
        waiting = list(self._ring.unstored())
        for commit in waiting:
            self._lose(commit.frames, reason)
        ends = {commit.last for commit in waiting}
        for cursor in self._in_own():
            for part in cursor.in_flight:
                if part.after.sequence in ends and part.after.generation == cursor.read.generation:
                    self._count_lost(cursor, reason, len(part.outstanding()), part.frames.span())
            cursor.in_flight.clear()

    # --- what is lost -------------------------------------------------------------------------------------------------

    def _miss(self, cursor: Cursor, missing: Missing) -> None:
        if missing.frames:
            self._count_lost(cursor, "damaged", missing.frames, None)

    def _lose(self, frames: Frames, reason: str) -> None:
        """Frames that were in memory only are gone, for everybody who has not read them."""
        for cursor in self._cursors.values():
            rest = frames
            if cursor.read.generation == self._own(0).generation:
                rest = frames.since(cursor.read.sequence)
            routed = rest.count_for(cursor.bit)
            cursor.counts.filtered += len(rest) - routed
            self._count_lost(cursor, reason, routed, rest.span())

    def _count_lost(self, cursor: Cursor, reason: str, frames: int, span: tuple[int, int] | None) -> None:
        if frames:
            cursor.counts.lost[reason] += frames
            self._losses.append(Lost(cursor.name, reason, frames, *(span or (None, None))))

    def _save(self, spool: Spool) -> None:
        with self._changed:
            if not self._delivers:
                return
            texts = [(each, each.as_text()) for each in self._cursors.values()]
        for cursor, text in texts:
            if text != cursor.saved:
                cursors.save(spool.settings.folder / "cursors" / f"{cursor.name}.json", text)
                cursor.saved = text
