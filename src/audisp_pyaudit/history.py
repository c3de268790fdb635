"""What only several looks at the counters tell: since when a sink has troubles, how fast it is, when it lost something.

In: the counters and the states of the sinks, about once a second. Out: times, rates and quantiles. A sink is looked up
by its name each time; one that is gone is forgotten, and counters may begin anew.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audisp_pyaudit.latency import quantile
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.sinks.base import Sink, SinkStats

# Quantiles and rates are those of the last minute, in steps of ten seconds.
STEP_SECONDS = 10.0
STEPS = 6


@dataclass
class _Window:
    """States of some counters during the last minute, oldest first."""

    seen: deque[tuple[float, Sequence[int]]] = field(default_factory=deque)

    def look(self, counts: Sequence[int], first: Sequence[int]) -> tuple[float, Sequence[int]]:
        """Remember a state; give the oldest that counts, and how many seconds ago it was.

        Args:
            counts: the state, numbers that only grow; where one is smaller than before, they have begun anew.
            first: what to begin with.
        """
        now = time.monotonic()
        if self.seen and any(new < old for new, old in zip(counts, self.seen[-1][1], strict=True)):
            self.seen.clear()
        if not self.seen:
            self.seen.append((now, first))
        if now - self.seen[-1][0] >= STEP_SECONDS:
            self.seen.append((now, counts))
        while len(self.seen) > STEPS + 1:
            self.seen.popleft()
        return now - self.seen[0][0], self.seen[0][1]


class _SinkHistory:
    """What is remembered of one sink."""

    def __init__(self) -> None:
        self._trouble_since: float | None = None
        self._moved: tuple[int, int] | None = None
        self._moved_at = 0.0
        self._waits = False
        self._window = _Window()

    def look(self, sink: Sink, stats: SinkStats) -> dict[str, Any]:
        """The state of the sink."""
        trouble, now = sink.trouble, time.time()
        if not trouble:
            self._trouble_since = None
        elif self._trouble_since is None:
            self._trouble_since = now
        moved = (stats.delivered, stats.lost.total())
        if moved != self._moved or not self._waits:
            self._moved, self._moved_at = moved, now
        self._waits = stats.queued > 0
        latency = stats.latency
        _, before = self._window.look(latency.counts, [0] * len(latency.counts))
        recent = [new - old for new, old in zip(latency.counts, before, strict=True)]
        p50, p99 = quantile(recent, 0.5), quantile(recent, 0.99)
        oldest = sink.oldest_ms()
        return {
            "type": sink.type,
            "trouble": trouble,
            "trouble_since": self._trouble_since,
            "waiting_since": self._moved_at if stats.queued else None,
            "last_delivered": _seconds(latency.last_ms),
            "oldest_waiting": _seconds(oldest),
            "p50_ms": None if p50 is None else round(p50, 1),
            "p99_ms": None if p99 is None else round(p99, 1),
            "latency": {"counts": latency.counts, "sum_ms": latency.sum_ms},
        }


class History:
    """What is remembered between two looks."""

    def __init__(self) -> None:
        self._sinks: dict[str, _SinkHistory] = {}
        self._lost: dict[tuple[str, str], tuple[int, float]] = {}
        self._spool = _Window()

    def sinks(self, sinks: Sequence[Sink], stats: Mapping[str, SinkStats]) -> dict[str, dict[str, Any]]:
        """The states of all sinks there are, by name."""
        self._sinks = {each.name: self._sinks.get(each.name) or _SinkHistory() for each in sinks}
        return {each.name: self._sinks[each.name].look(each, stats[each.name]) for each in sinks}

    def losses(self, ledger: Ledger) -> list[dict[str, Any]]:
        """What was lost since the start, by sink (empty: before any) and reason, and when that number last rose."""
        found: list[dict[str, Any]] = []
        for sink, reason, count in _lost(ledger):
            before, at = self._lost.get((sink, reason), (0, 0.0))
            if count > before:
                at = time.time()
            self._lost[sink, reason] = (count, at)
            if count:
                found.append({"sink": sink, "reason": reason, "count": count, "last": at})
        return found

    def growth(self, spool_bytes: int) -> float:
        """Bytes by which the spool grew a second, over the last minute; 0 while it shrinks."""
        seconds, (before,) = self._spool.look([spool_bytes], [spool_bytes])
        return (spool_bytes - before) / seconds if seconds >= STEP_SECONDS else 0.0  # a commit is no trend


def _lost(ledger: Ledger) -> Iterator[tuple[str, str, int]]:
    yield "", "intake_full", ledger.dropped.records
    yield "", "panic", ledger.engine.get("records_lost_panic", 0)
    for name, stats in ledger.sinks.items():
        for reason, count in sorted(stats.lost.items()):
            yield name, reason, count


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
