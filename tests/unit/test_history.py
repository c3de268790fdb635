"""What only several looks at the counters tell."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.history import History
from audisp_pyaudit.intake import Dropped
from audisp_pyaudit.ledger import Ledger
from tests.status import StandIn


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._passed = 0.0
        wall, steady = time.time(), time.monotonic()
        monkeypatch.setattr(time, "time", lambda: wall + self._passed)
        monkeypatch.setattr(time, "monotonic", lambda: steady + self._passed)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds

    def now(self) -> float:
        """The time."""
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A hold on time."""
    return Clock(monkeypatch)


def look(history: History, sink: StandIn) -> dict[str, Any]:
    """The state of a sink."""
    return history.sinks([sink], {sink.name: sink.stats()})[sink.name]


def test_since_when_there_is_trouble(clock: Clock) -> None:
    """A person on call sees how long a sink has been unable to deliver, whatever its words meanwhile."""
    history, sink = History(), StandIn()
    assert look(history, sink)["trouble_since"] is None
    clock.pass_by(5)
    sink.trouble, began = "away", clock.now()
    look(history, sink)
    clock.pass_by(60)
    sink.trouble = "still away"
    assert look(history, sink)["trouble_since"] == began
    sink.trouble = ""
    assert look(history, sink)["trouble_since"] is None
    sink.trouble = "away again"
    assert look(history, sink)["trouble_since"] == clock.now()


def test_since_when_nothing_moves(clock: Clock) -> None:
    """A sink that says nothing and takes nothing is known by what waits for it."""
    history, sink = History(), StandIn()
    assert look(history, sink)["waiting_since"] is None
    clock.pass_by(100)
    sink.queued, began = 5, clock.now()
    look(history, sink)
    clock.pass_by(30)
    assert look(history, sink)["waiting_since"] == began
    sink.delivered, sink.queued = 1, 4
    assert look(history, sink)["waiting_since"] == clock.now()
    sink.delivered, sink.queued = 5, 0
    assert look(history, sink)["waiting_since"] is None


def test_quantiles_are_those_of_the_last_minute(clock: Clock) -> None:
    """What was slow an hour ago does not make the sink look slow now; what came at once counts at once."""
    history, sink = History(), StandIn()
    slow = time.time_ns() // 1_000_000 - 30_000
    sink.measured.note([slow], 1000)
    assert look(history, sink)["p50_ms"] > 10_000
    for _ in range(8):
        clock.pass_by(11)
        sink.measured.note([time.time_ns() // 1_000_000], 10)
        state = look(history, sink)
    assert state["p99_ms"] < 1000
    for _ in range(8):
        clock.pass_by(11)
        state = look(history, sink)
    assert state["p50_ms"] is None


def test_another_sink_under_the_same_name(clock: Clock) -> None:
    """After a reload counters may begin anew: no number gets negative, and what is gone is forgotten."""
    history, sink = History(), StandIn()
    sink.measured.note([time.time_ns() // 1_000_000], 1000)
    look(history, sink)
    clock.pass_by(20)
    other = StandIn()
    other.measured.note([time.time_ns() // 1_000_000 - 30_000], 1)
    assert look(history, other)["p50_ms"] > 10_000
    sink.trouble = "away"
    look(history, sink)
    history.sinks([], {})
    clock.pass_by(20)
    assert look(history, sink)["trouble_since"] == clock.now()


def test_when_something_was_lost_last(clock: Clock) -> None:
    """Each reason has the time at which its number last rose; what was never lost is not spoken of."""
    history, sink = History(), StandIn()
    assert history.losses(Ledger({})) == []
    sink.lost, first = {"slow": 2}, clock.now()
    ledger = Ledger({"records_lost_panic": 3}, Dropped(4), sinks={"topic": sink.stats()})
    assert history.losses(ledger) == [
        {"sink": "", "reason": "intake_full", "count": 4, "last": first},
        {"sink": "", "reason": "panic", "count": 3, "last": first},
        {"sink": "topic", "reason": "slow", "count": 2, "last": first},
    ]
    clock.pass_by(60)
    ledger = Ledger({"records_lost_panic": 3}, Dropped(5), sinks={"topic": sink.stats()})
    assert [each["last"] - first for each in history.losses(ledger)] == [pytest.approx(60), 0, 0]


def test_how_fast_the_spool_grows(clock: Clock) -> None:
    """The rate is that of the last minute; one commit is no trend, and what shrinks does not grow."""
    history = History()
    assert history.growth(1000) == 0
    clock.pass_by(5)
    assert history.growth(9000) == 0
    clock.pass_by(5)
    assert history.growth(11_000) == 1000
    for _ in range(8):
        clock.pass_by(11)
        assert history.growth(11_000) >= 0
    assert history.growth(11_000) == 0
    assert history.growth(100) == 0
