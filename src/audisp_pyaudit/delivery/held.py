"""What segments hold, told from the heads and meta data of their batches; frames are not read.

In: a generation's folder or a segment, and a place in it. Out: numbers of frames behind that place.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from audisp_pyaudit.delivery.batch import END, FRAMES, HEADER, Batch
from audisp_pyaudit.delivery.generation import CLASSES, Segment, segments_of
from audisp_pyaudit.delivery.segment import Damage, SegmentReader

# Frames for a sink of this name are for every sink that was not known when they were written.
HOLD = "_held"


@dataclass(frozen=True)
class Found:
    """Frames of one batch that are for a sink, and those that are not; earliest and latest time of all."""

    routed: int
    others: int
    span: tuple[int, int] | None


@dataclass(frozen=True)
class Ending:
    """How a generation ended.

    Args:
        whole: its process closed it as it should.
        ledger: its counters at its last commit.
        last_ms: latest time of an event in it, milliseconds since 1970; None if it has none.
    """

    whole: bool
    ledger: Mapping[str, Any]
    last_ms: int | None


def bit_of(about: Mapping[str, Any], sink: str) -> int | None:
    """A sink's bit in the routes of a segment's frames, by the segment's head; None if they are not for it."""
    sinks = about.get("sinks", [])
    name = sink if sink in sinks else HOLD
    return sinks.index(name) if name in sinks else None


def ending_of(folder: Path) -> Ending:
    """How a generation that nobody writes any more ended."""
    whole, ledger, newest, last_ms = False, {}, -1, None
    for klass in CLASSES:
        there = [each for each in segments_of(folder, klass) if not each.gone]
        for batch in batches_of(there[-1].path) if there else ():
            if batch.head.kind == HEADER:
                continue
            span = batch.meta.get("span")
            if span:
                last_ms = max(last_ms or 0, span[1])
            if "ledger" in batch.meta and (batch.head.kind == END or (batch.head.last >= newest and not whole)):
                newest, ledger = batch.head.last, batch.meta["ledger"]
            whole = whole or batch.head.kind == END
    return Ending(whole, ledger, last_ms)


def batches_of(path: Path) -> Iterator[Batch]:
    """Batches of a segment, without their frames; what is damaged is passed over, what cannot be read is not there."""
    with contextlib.suppress(OSError):
        reader = SegmentReader(path)
        try:
            found = reader.next(with_body=False)
            while found is not None:
                if not isinstance(found, Damage):
                    yield found
                found = reader.next(with_body=False)
        finally:
            reader.close()


def frames_after(folder: Path, sequence: int) -> int:
    """How many frames a generation that nobody writes any more holds from a sequence on, which begins a commit.

    Frames that are damaged count: their number is known from what is around them. Those that were removed to make room
    do not.
    """
    total = 0
    for klass in CLASSES:
        segments = segments_of(folder, klass)
        before = [each for each in segments if each.first <= sequence]
        for segment, following in zip_longest(segments[max(0, len(before) - 1) :], segments[max(1, len(before)) :]):
            if segment.gone:
                continue
            start, end = segment.index, following.index if following else segment.index
            if following is None or segment.first <= sequence:
                for batch in batches_of(segment.path):
                    behind = batch.head.index + batch.head.count
                    end = max(end, behind)
                    if batch.head.last <= sequence:
                        start = behind
                    elif batch.head.first <= sequence:  # what is damaged before it is behind us
                        start = max(start, batch.head.index)
            total += end - start
    return total


def routes_after(segment: Segment, sequence: int, sink: str, until: int | None = None) -> Iterator[Found]:
    """What a segment holds for a sink from a sequence on, batch by batch; frames in damaged batches are for nobody.

    Args:
        segment: the segment.
        sequence: where to begin, which begins a commit.
        sink: the sink's name.
        until: where to end, which begins a commit too; None for the end of the segment.
    """
    bit: int | None = None
    expected: int | None = None
    for batch in batches_of(segment.path):
        head = batch.head
        if until is not None and head.kind == FRAMES and head.first >= until:
            return
        if head.kind == HEADER:
            bit = bit_of(batch.meta, sink)
        if head.kind in {END, HEADER} or head.last <= sequence:
            expected = head.index + head.count
            continue
        if expected is not None and head.index > expected:
            yield Found(0, head.index - expected, None)
        expected = head.index + head.count
        routes = {int(mask): count for mask, count in batch.meta.get("routes", {}).items()}
        routed = 0 if bit is None else sum(count for mask, count in routes.items() if mask >> bit & 1)
        span = batch.meta.get("span")
        yield Found(routed, head.count - routed, (span[0], span[1]) if span else None)
