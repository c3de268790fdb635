"""Latency: what the histogram says of what was delivered."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.latency import BOUNDS_MS, SAMPLES, Latency, chosen, quantile, times_of
from tests.frames import TIME, frames


def ago(*milliseconds: int) -> list[int]:
    """Times so long ago."""
    now = time.time_ns() // 1_000_000
    return [now - each for each in milliseconds]


def test_every_event_counts_once() -> None:
    """The histogram has as many events as were delivered, however few of them were looked at."""
    latency = Latency()
    latency.note(ago(100, 200, 300), 1000)
    latency.note(ago(0), 7)
    assert sum(latency.counts) == 1007
    assert 100 * 334 + 200 * 333 + 300 * 333 <= latency.sum_ms < 400 * 1000


def test_an_event_lies_in_its_bucket() -> None:
    """What took as long as a bound is at most that; what took longer than all is in the last bucket."""
    latency = Latency()
    latency.note(ago(86_400_000 * 2), 3)
    assert latency.counts[-1] == 3
    latency.note(ago(150), 2)
    assert latency.counts[BOUNDS_MS.index(200)] == 2


def test_a_clock_that_was_set_back_makes_nothing_negative() -> None:
    """An event from the future took no time."""
    latency = Latency()
    latency.note(ago(-60_000), 1)
    assert (latency.counts[0], latency.sum_ms) == (1, 0)


def test_time_of_the_last_delivery() -> None:
    """People see when a sink took something last."""
    latency = Latency()
    assert latency.last_ms is None
    latency.note([], 0)
    assert latency.last_ms is not None
    assert abs(latency.last_ms - time.time() * 1000) < 60_000


def test_two_sinks_with_one_name() -> None:
    """What a sink delivered and what the one before it delivered is counted together."""
    one, two = Latency(), Latency()
    one.note(ago(150), 2)
    two.note(ago(150), 3)
    assert (one + two).counts[BOUNDS_MS.index(200)] == 5
    assert (one + two).sum_ms == one.sum_ms + two.sum_ms
    assert (one + two).last_ms == two.last_ms
    assert (Latency() + Latency()).last_ms is None


def test_a_copy_stays_as_it_is() -> None:
    """What was given to a reader does not change behind its back."""
    latency = Latency()
    copied = latency.copy()
    latency.note(ago(5), 1)
    assert sum(copied.counts) == 0


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 150, 10_000])
def test_few_of_many_are_looked_at(count: int) -> None:
    """The cost of a batch does not grow with it, and its first event is among those looked at."""
    found = list(chosen(count))
    assert len(found) <= SAMPLES
    assert bool(found) == bool(count)
    assert all(0 <= each < count for each in found)
    assert count == 0 or (found[0] == 0 and len(found) >= min(count, SAMPLES // 2))


def test_times_are_those_of_the_frames() -> None:
    """They are spread over the batch, from its first on."""
    assert times_of(frames(range(1, 13))) == [(TIME + each) * 1000 for each in (1, 4, 7, 10)]
    assert times_of(frames([8])) == [(TIME + 8) * 1000]


def test_quantiles() -> None:
    """Half of the events took at most the median, which lies within its bucket."""
    counts = [0] * (len(BOUNDS_MS) + 1)
    assert quantile(counts, 0.5) is None
    counts[BOUNDS_MS.index(100)] = 98
    counts[BOUNDS_MS.index(5000)] = 2
    middle, high = quantile(counts, 0.5), quantile(counts, 0.99)
    assert middle is not None
    assert 50 < middle <= 100
    assert high is not None
    assert 2000 < high <= 5000
    counts[-1] = 10_000
    assert quantile(counts, 0.5) == BOUNDS_MS[-1]
