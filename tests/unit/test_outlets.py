"""Sinks that come, go and follow each other."""

import time
from collections.abc import Sized
from typing import cast

import pytest

from audisp_pyaudit.framing import FrameList, Frames
from audisp_pyaudit.outlets import Outlets
from audisp_pyaudit.sinks.base import Sink, SinkStats


class CountingSink:
    """Counts what it gets."""

    type = "counting"

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.trouble = ""
        self.count = 0
        self.started = self.closed = False

    def start(self) -> None:
        """Note it."""
        self.started = True

    def deliver(self, frames: Sized) -> None:
        """Count."""
        assert self.started
        assert not self.closed
        self.count += len(frames)

    def close(self, deadline: float) -> None:
        """Note it."""
        assert deadline <= time.monotonic() + 60
        self.closed = True

    def stats(self) -> SinkStats:
        """All delivered."""
        return SinkStats(frames=self.count, offered=self.count, delivered=self.count)

    def oldest_ms(self) -> int | None:
        """Nothing waits."""
        return None


def frames(count: int) -> Frames:
    """So many frames of which nobody looks at one."""
    return FrameList([cast("Frames", None)] * count)  # type: ignore[list-item]  # see above


def started(*names: str) -> tuple[Outlets, dict[str, CountingSink]]:
    """Outlets with these sinks, started."""
    sinks = {name: CountingSink(name) for name in names}
    for sink in sinks.values():
        sink.start()
    return Outlets(cast("list[Sink]", list(sinks.values()))), sinks


def test_a_sink_gets_what_comes_while_it_is_there() -> None:
    """The account of a sink says what it had, and how much was published before it came and after it went."""
    outlets, _ = started("one")
    outlets.publish(frames(3))
    late = CountingSink("late")
    outlets.add(late)
    outlets.publish(frames(5))
    outlets.remove("late")
    outlets.publish(frames(7))
    assert late.closed
    stats = outlets.stats()
    assert (stats["one"].frames, stats["one"].absent) == (15, 0)
    assert (stats["late"].frames, stats["late"].absent) == (5, 10)
    assert list(stats) == ["one", "late"]


def test_a_sink_that_comes_again_goes_on_with_its_account() -> None:
    """Taken away and put back, it has one line in the ledger, which adds up."""
    outlets, _ = started("one")
    outlets.publish(frames(1))
    outlets.remove("one")
    outlets.publish(frames(10))
    outlets.add(CountingSink())
    outlets.publish(frames(100))
    stats = outlets.stats()["one"]
    assert (stats.frames, stats.absent, stats.delivered) == (101, 10, 101)
    assert stats.frames + stats.absent == outlets.frames


def test_a_sink_that_is_replaced() -> None:
    """The old one ends, the new one has its name, place and account."""
    outlets, sinks = started("one", "two")
    outlets.publish(frames(4))
    new = CountingSink()
    outlets.replace(new)
    outlets.publish(frames(6))
    assert sinks["one"].closed
    assert [sink.name for sink in outlets.sinks] == ["one", "two"]
    assert outlets.stats()["one"].frames == 10
    assert outlets.stats()["one"].absent == 0


def test_a_sink_with_a_bug_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broken sink does not get shows in its account; the others get everything."""
    told: list[str] = []
    sinks = {name: CountingSink(name) for name in ("bad", "good")}
    outlets = Outlets(
        cast("list[Sink]", list(sinks.values())), failed=lambda name, error: told.append(f"{name} {error}")
    )
    monkeypatch.setattr(sinks["bad"], "deliver", lambda _frames: 1 // 0)
    sinks["good"].start()
    for _ in range(3):
        outlets.publish(frames(2))
    assert len(told) == 1
    assert told[0].startswith("bad ")
    assert sinks["good"].count == 6
    assert outlets.stats()["bad"].frames == 0


def test_the_end_closes_all() -> None:
    """At the end every sink is told to end."""
    outlets, sinks = started("one", "two")
    outlets.close(time.monotonic())
    assert all(sink.closed for sink in sinks.values())


def test_what_a_sink_gives_up_at_its_end_is_in_its_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that could not be finished when its file went is lost in the ledger, and waits for nobody."""
    outlets, sinks = started("one")
    outlets.publish(frames(3))
    stats = SinkStats(frames=3, offered=3, delivered=2, queued=1)

    def close(_deadline: float) -> None:
        stats.queued, stats.lost["shutdown"] = 0, 1

    monkeypatch.setattr(sinks["one"], "stats", lambda: stats)
    monkeypatch.setattr(sinks["one"], "close", close)
    outlets.remove("one")
    found = outlets.stats()["one"]
    assert (found.queued, dict(found.lost), found.closed) == (0, {"shutdown": 1}, True)
