"""Where all sinks are in the queue, and what each of them never got.

In: what was offered, delivered and lost. Out: each sink's ledger, and losses to announce. Not safe for threads: the
queue holds its lock.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.cursor import BEGINNING, Counts, Cursor, Position, load
from audisp_pyaudit.delivery.held import HOLD, Found, frames_after, routes_after
from audisp_pyaudit.delivery.spool import Dropped, Spool


@dataclass(frozen=True)
class Lost:
    """Frames that a sink never gets: how many, why, and their times (ms since 1970, None if unknown)."""

    sink: str
    reason: str
    frames: int
    first_ms: int | None = None
    last_ms: int | None = None


class Accounts:
    """The cursors of all sinks.

    Args:
        cursors: new ones.
    """

    def __init__(self, cursors: Iterable[Cursor]) -> None:
        self._cursors = {each.name: each for each in cursors}
        self._saved: dict[str, str] = {}
        self._losses: list[Lost] = []
        self._gone: dict[str, Counts] = {}

    def __getitem__(self, name: str) -> Cursor:
        return self._cursors[name]

    def __contains__(self, name: object) -> bool:
        return name in self._cursors

    def __iter__(self) -> Iterator[Cursor]:
        return iter(self._cursors.values())

    def counts(self, name: str) -> Counts:
        """A copy of a sink's ledger."""
        counts = self._cursors[name].counts if name in self._cursors else self._gone[name]
        return dataclasses.replace(counts, lost=counts.lost.copy(), latency=counts.latency.copy())

    def add(self, cursor: Cursor) -> None:
        """A sink comes; the ledger of one that had its name goes on."""
        cursor.counts = self._gone.pop(cursor.name, cursor.counts)
        self._cursors[cursor.name] = cursor

    def remove(self, name: str) -> Cursor:
        """A sink goes; what it does not have it never gets."""
        cursor = self._cursors.pop(name)
        self.count_lost(cursor, "removed", cursor.counts.queued, None)
        self._saved.pop(name, None)
        self._gone[name] = cursor.counts
        return cursor

    def in_flight(self, begin: Position, end: Position) -> bool:
        """Whether a sink was given something between two positions and has not acknowledged it.

        Such frames are neither delivered nor lost yet; they are few, and stay until it is known.
        """
        return any(begin < each.read and each.acknowledged < end for each in self if each.in_flight)

    def slowest(self) -> Position | None:
        """What lies before this position every sink has; None if there is no sink."""
        return min((each.acknowledged for each in self), default=None)

    # --- what is lost -------------------------------------------------------------------------------------------------

    def losses(self) -> list[Lost]:
        """What was lost since the last call."""
        found, self._losses = self._losses, []
        return found

    def count_lost(self, cursor: Cursor, reason: str, frames: int, span: tuple[int, int] | None) -> None:
        """Note that a sink never gets so many frames; `span` are their earliest and latest time."""
        if frames:
            cursor.counts.lost[reason] += frames
            self._losses.append(Lost(cursor.name, reason, frames, *(span or (None, None))))

    def lose(self, frames: Frames, generation: int, reason: str) -> None:
        """Frames of a generation that were in memory only are gone, for everybody who has not read them."""
        for cursor in self:
            rest = frames.since(cursor.read.sequence) if cursor.read.generation == generation else frames
            routed = rest.count_for(cursor.bit)
            cursor.counts.filtered += len(rest) - routed
            self.count_lost(cursor, reason, routed, rest.span())

    def drop(self, victim: Dropped) -> None:
        """A segment is removed to make room: it is lost for everybody who has not read it."""
        for cursor in self:
            cursor.epoch += 1
            if victim.generation < cursor.read.generation:
                continue
            position = cursor.read.sequence if victim.generation == cursor.read.generation else 0
            for found in routes_after(victim.segment, position, cursor.name):
                cursor.counts.filtered += found.others
                self.count_lost(cursor, "spool_full", found.routed, found.span)

    def skip(self, cursor: Cursor, position: Position, passed: Iterable[Found]) -> None:
        """A sink that fell too far behind goes on at a later position; what it passed over is lost for it."""
        self.count_lost(cursor, "lag", cursor.skip(position), None)
        for found in passed:
            cursor.counts.filtered += found.others
            self.count_lost(cursor, "lag", found.routed, found.span)

    # --- across processes ---------------------------------------------------------------------------------------------

    def forget_strangers(self, spool: Spool) -> None:
        """Sinks that processes before this one had and this one has not never get what waited for them: it is lost."""
        for path in spool.cursors():
            name = path.stem
            if name in self._cursors:
                continue
            with contextlib.suppress(OSError, ValueError):
                position = load(path) or BEGINNING
                lost = 0 if name == HOLD else sum(each.routed for each in held_since(spool, position, name))
                if lost:
                    self._losses.append(Lost(name, "removed", lost))
            with contextlib.suppress(OSError):  # then it is told again
                path.unlink()

    def resume(self, spool: Spool) -> None:
        """Go to where the processes before this one were; what they left is offered to us.

        `own_start` of each cursor is where it goes on in what this process writes.
        """
        older = [each for each in spool.generations() if each < spool.generation]
        for cursor in self:
            saved = None
            with contextlib.suppress(OSError, ValueError):
                saved = load(spool.cursor_of(cursor.name))
            start = Position(older[0], 0) if older else Position(spool.generation, 0)
            if saved is not None and saved.generation <= spool.generation:
                start = max(saved, start)
            cursor.own_start = cursor.read.sequence
            for number in older:
                if number >= start.generation:
                    sequence = start.sequence if number == start.generation else 0
                    cursor.counts.offered += frames_after(spool.folder_of(number), sequence)
            if start.generation == spool.generation:  # nobody left anything: all there is we wrote ourselves
                cursor.acknowledged = Position(spool.generation, cursor.acknowledged.sequence)
                cursor.read = Position(spool.generation, cursor.read.sequence)
                for part in cursor.in_flight:  # from memory, before there was a spool
                    part.after = Position(spool.generation, part.after.sequence)
                continue
            cursor.read = cursor.acknowledged = start
            for part in cursor.in_flight:
                part.after = start

    def unsaved(self, spool: Spool) -> list[tuple[Path, str]]:
        """Files of cursors that have moved, and what is to be in them."""
        found: list[tuple[Path, str]] = []
        for cursor in self:
            text = cursor.as_text()
            if self._saved.get(cursor.name) != text:
                found.append((spool.cursor_of(cursor.name), text))
        return found

    def saved(self, path: Path, text: str) -> None:
        """Note that a file was written."""
        self._saved[path.stem] = text


def held_since(spool: Spool, position: Position, sink: str) -> Iterator[Found]:
    """What processes before this one left for a sink from a position on.

    Raises:
        OSError: the spool cannot be read.
    """
    for number in spool.generations():
        if position.generation <= number < spool.generation:
            begin = position.sequence if number == position.generation else 0
            for segment in spool.segments(number):
                if not segment.gone:
                    yield from routes_after(segment, begin, sink)
