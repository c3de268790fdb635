"""How long events take from the kernel to where they are delivered, counted in buckets.

In: the times of some of the events that were delivered just now, and how many there were. Out: a histogram, and
quantiles of what came between two of its states. Of a batch at most four events are looked at, so that the cost of an
event does not grow with their number; each of them stands for as many as there are beside it.
"""

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from audisp_pyaudit._engine import Frames as EngineFrames
from audisp_pyaudit.framing import Frames

# Upper bounds of the buckets in milliseconds, from a millisecond to a day; one bucket more has what took longer.
BOUNDS_MS = (
    *(digit * 10**power for power in range(7) for digit in (1, 2, 5)),
    10_000_000,
    86_400_000,
)
# So many events of a batch are looked at.
SAMPLES = 4


@dataclass
class Latency:
    """A histogram of what was delivered since the start. Not safe for threads.

    Args:
        counts: events in each bucket; the last one has those above all bounds.
        sum_ms: of all events, as far as those looked at stand for them.
        last_ms: when something was delivered last, in milliseconds since 1970; None if nothing was yet.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    sum_ms: int = 0
    last_ms: int | None = None

    def note(self, times_ms: Sequence[int], events: int) -> None:
        """Note that events were delivered now.

        Args:
            times_ms: times of some of them, evenly chosen, in milliseconds since 1970.
            events: how many there are.
        """
        self.last_ms = now = time.time_ns() // 1_000_000
        if not times_ms:
            return
        share, rest = divmod(events, len(times_ms))
        for each in times_ms:
            took = max(0, now - each)  # a clock may have been set
            weight = share + (rest > 0)
            rest -= 1
            self.counts[bisect_left(BOUNDS_MS, took)] += weight
            self.sum_ms += took * weight

    def __add__(self, other: "Latency") -> "Latency":
        """Of what was delivered by one or the other."""
        counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        return Latency(counts, self.sum_ms + other.sum_ms, max(self.last_ms or 0, other.last_ms or 0) or None)

    def copy(self) -> "Latency":
        """The same, as it is now."""
        return Latency(self.counts.copy(), self.sum_ms, self.last_ms)


def chosen(count: int) -> range:
    """Which of so many events to look at."""
    return range(0, count, -(-count // SAMPLES) or 1)


def times_of(frames: Frames | EngineFrames) -> list[int]:
    """The times of some frames of a batch, in milliseconds since 1970."""
    return [getattr(frames[each], "time_ms", 0) for each in chosen(len(frames))]


def quantile(counts: Sequence[int], part: float) -> float | None:
    """The milliseconds that a part of the events took at most, interpolated within a bucket; None if there are none.

    Args:
        counts: events in each bucket.
        part: from 0 to 1.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below = part * total, 0
    for index, count in enumerate(counts[:-1]):
        if count and below + count >= wanted:
            low = BOUNDS_MS[index - 1] if index else 0
            return float(low + (BOUNDS_MS[index] - low) * (wanted - below) / count)
        below += count
    return float(BOUNDS_MS[-1])
