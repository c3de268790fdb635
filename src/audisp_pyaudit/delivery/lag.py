"""How far a sink may fall behind that others do not wait for.

In: the spool and a number of bytes. Out: the place from which on there are no more than that, and what lies before it.
Places are beginnings of segments: room is made by whole segments.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from audisp_pyaudit.delivery.batch import FRAMES
from audisp_pyaudit.delivery.cursor import Position
from audisp_pyaudit.delivery.generation import CLASSES, Segment, segments_of
from audisp_pyaudit.delivery.held import Found, batches_of, routes_after
from audisp_pyaudit.delivery.spool import Spool


@dataclass(frozen=True)
class _Stretch:
    """What a segment holds: from a position up to one that is not in it."""

    begin: Position
    end: Position
    size: int
    segment: Segment

    def unread(self, position: Position) -> int:
        """Bytes that lie at or behind a position."""
        if self.end <= position:
            return 0
        if self.begin >= position or self.begin.generation < position.generation:
            return self.size
        heads = (each.head for each in batches_of(self.segment.path))
        return sum(each.size for each in heads if each.kind == FRAMES and each.last > position.sequence)


def _stretches(spool: Spool) -> list[_Stretch]:
    found: list[_Stretch] = []
    for number in spool.generations():
        last = Position(number + 1, 0)
        for klass in CLASSES:
            segments = [each for each in segments_of(spool.folder_of(number), klass) if not each.gone]
            ends = [*(Position(number, each.first) for each in segments[1:]), last]
            for segment, end in zip(segments, ends, strict=False):
                found.append(_Stretch(Position(number, segment.first), end, segment.size, segment))
    return found


def place_within(spool: Spool, limit: int, place: Position) -> Position | None:
    """Where a sink has to go on so that at most `limit` bytes are before it; None if `place` is such.

    Raises:
        OSError: the spool cannot be read.
    """
    stretches = _stretches(spool)
    # Who keeps up is in the last segment; what lies in it need not be looked through for that.
    if sum(each.size for each in stretches if each.end > place) <= limit:
        return None

    def behind(position: Position) -> int:
        return sum(each.unread(position) for each in stretches)

    if behind(place) <= limit:
        return None
    begins = sorted({each.begin for each in stretches if each.begin > place})
    return next((each for each in begins if behind(each) <= limit), begins[-1] if begins else None)


def between(spool: Spool, begin: Position, end: Position, sink: str) -> Iterator[Found]:
    """What lies between two places for a sink.

    Raises:
        OSError: the spool cannot be read.
    """
    for each in _stretches(spool):
        if each.begin < end and each.end > begin:
            number = each.begin.generation
            start = begin.sequence if number == begin.generation else 0
            until = end.sequence if number == end.generation else None
            yield from routes_after(each.segment, start, sink, until)
