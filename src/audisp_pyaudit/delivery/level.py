"""How full the queue is, and how old what waits in it is.

In: the parts of the queue, under its lock. Out: bytes and their limits; the time of the oldest event that a sink does
not have. Where that is on disk only, it is looked up in the heads of batches, now and then.
"""

import time
from dataclasses import dataclass

from audisp_pyaudit.delivery.batch import FRAMES
from audisp_pyaudit.delivery.cursor import Cursor, Position
from audisp_pyaudit.delivery.generation import CLASSES, segments_of
from audisp_pyaudit.delivery.held import batches_of
from audisp_pyaudit.delivery.ring import Commit, Ring
from audisp_pyaudit.delivery.spool import Spool
from audisp_pyaudit.delivery.store import Store

# To look through the heads of a segment may take some ten milliseconds.
_LOOK_SECONDS = 10.0


@dataclass(frozen=True)
class Level:
    """How full the queue is, in bytes.

    Args:
        mode: `lossless` or `lossy`.
        memory_bytes: what is in memory, of `memory_limit_bytes`.
        memory_limit_bytes: what may be.
        spool_bytes: what is on disk; None where there is no spool, or it could not be opened yet.
        spool_limit_bytes: what may be.
        trouble: why the disk does not take what it should; empty if it does.
        delivers: whether sinks get anything: not while a process before this one still has the spool.
    """

    mode: str
    memory_bytes: int
    memory_limit_bytes: int
    spool_bytes: int | None
    spool_limit_bytes: int | None
    trouble: str
    delivers: bool


def level_of(store: Store, ring: Ring, pending_bytes: int) -> Level:
    """How full the queue is; under its lock."""
    spool = store.spool
    return Level(
        mode="lossless" if store.wanted else "lossy",
        memory_bytes=ring.size + pending_bytes,
        memory_limit_bytes=ring.limit,
        spool_bytes=None if spool is None else spool.bytes,
        spool_limit_bytes=None if spool is None else spool.limit,
        trouble=store.trouble,
        delivers=store.delivers,
    )


def first_waiting(cursor: Cursor, commit: Commit | None) -> int | None:
    """The time of the first event that was handed out and not acknowledged; else of what comes next in memory."""
    for part in cursor.in_flight:
        outstanding = part.outstanding()
        if outstanding:
            return part.frames[part.wanted[outstanding[0]]].time_ms
    span = None if commit is None else commit.frames.span()
    return span[0] if span else None


@dataclass(frozen=True)
class Place:
    """Where a sink reads on, and how often room was made since it began."""

    position: Position
    epoch: int


class OldestOnDisk:
    """Times of what waits on disk. They are remembered while a sink does not move."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Place, int | None]] = {}
        self._look_at: dict[str, float] = {}

    def find(self, name: str, place: Place, spool: Spool | None) -> int | None:
        """The time of the first event behind a place; the last that was found if it is too early to look again."""
        known = self._known.get(name)
        now = time.monotonic()
        if spool is None or (known is not None and (known[0] == place or now < self._look_at[name])):
            return None if spool is None or known is None else known[1]
        self._look_at[name] = now + _LOOK_SECONDS
        found = _first_behind(spool, place.position)
        self._known[name] = (place, found)
        return found


def _first_behind(spool: Spool, position: Position) -> int | None:
    for number in spool.generations():
        if number < position.generation:
            continue
        sequence = position.sequence if number == position.generation else 0
        firsts = [_first_of(spool, number, klass, sequence) for klass in CLASSES]
        there = [each for each in firsts if each is not None]
        if there:
            return min(there)
    return None


def _first_of(spool: Spool, number: int, klass: str, sequence: int) -> int | None:
    segments = [each for each in segments_of(spool.folder_of(number), klass) if not each.gone]
    before = [each for each in segments if each.first <= sequence]
    for segment in segments[max(0, len(before) - 1) :]:
        for batch in batches_of(segment.path):
            span = batch.meta.get("span")
            if batch.head.kind == FRAMES and batch.head.last > sequence and span:
                return int(span[0])
    return None
