"""Sinks that come, go and change places while the queue is in use."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from tests.frames import frames, serials

MIB = 1024 * 1024


def queue(folder: Path | None, names: list[str], sinks: list[str] | None = None) -> Queue:
    """A queue for these sinks; `sinks` are the names in the heads of segments, which may change."""
    about = {"sinks": names if sinks is None else sinks}
    settings = None if folder is None else SpoolSettings(folder / "spool", 16 * MIB)
    made = Queue(
        QueueSettings(memory_bytes=MIB),
        [Cursor(name, bit) for bit, name in enumerate(names)],
        None if settings is None else lambda: Spool(settings, about),
    )
    made.keep_house()
    return made


def put(target: Queue, first: int, last: int, sinks: list[str]) -> None:
    """Events with these serials, for all sinks."""
    target.append(frames(range(first, last + 1), sinks=sinks))
    target.commit()


def got(target: Queue, sink: str) -> list[int]:
    """What a sink is given now; it acknowledges."""
    found: list[int] = []
    while (part := target.take(sink, 0.0)) is not None:
        found += serials(part.frames, part.wanted)
        target.acknowledge(sink, [(part, which) for which in range(len(part.wanted))])
    return found


@pytest.mark.parametrize("lossless", [True, False])
def test_a_sink_that_comes(tmp_path: Path, *, lossless: bool) -> None:
    """A new sink gets what comes from now on, also after a restart; the others miss nothing."""
    sinks = ["a"]
    target = queue(tmp_path if lossless else None, ["a"], sinks)
    put(target, 1, 5, sinks)
    sinks.append("b")
    target.add(Cursor("b", 1))
    assert (target.has("b"), target.has("c")) == (True, False)
    put(target, 6, 9, sinks)
    assert got(target, "a") == list(range(1, 10))
    if not lossless:
        assert got(target, "b") == [6, 7, 8, 9]
    target.close()
    if lossless:
        later = queue(tmp_path, sinks)
        assert got(later, "a") == []
        assert got(later, "b") == [6, 7, 8, 9]
        assert later.counts("b").queued == 0
        later.close()


@pytest.mark.parametrize("lossless", [True, False])
def test_a_sink_that_goes(tmp_path: Path, *, lossless: bool) -> None:
    """What a sink did not have when it was taken away is counted, and told; room is given back."""
    sinks = ["a", "b"]
    target = queue(tmp_path if lossless else None, ["a", "b"], sinks)
    put(target, 1, 5, sinks)
    assert got(target, "a") == [1, 2, 3, 4, 5]
    target.remove("b")
    sinks[1] = ""
    assert target.take("a", 0.0) is None
    assert not target.has("b")
    counts = target.counts("b")
    assert (counts.offered, counts.queued, dict(counts.lost)) == (5, 0, {"removed": 5})
    assert [(each.sink, each.reason, each.frames) for each in target.losses()] == [("b", "removed", 5)]
    put(target, 6, 7, sinks)
    assert got(target, "a") == [6, 7]
    sinks[1] = "b"
    target.add(Cursor("b", 1))
    put(target, 8, 8, sinks)
    assert got(target, "b") == [8]
    counts = target.counts("b")
    assert (counts.offered, counts.delivered, dict(counts.lost)) == (6, 1, {"removed": 5})
    target.close()


def test_a_sink_that_went_does_not_get_what_is_counted_as_lost(tmp_path: Path) -> None:
    """Put back after a restart, it begins behind what it was said to have lost: the count stays true."""
    sinks = ["a", "b"]
    target = queue(tmp_path, sinks)
    put(target, 1, 5, sinks)
    target.remove("b")
    target.close()
    later = queue(tmp_path, sinks)
    put(later, 6, 6, sinks)
    assert got(later, "b") == [6]
    assert got(later, "a") == [1, 2, 3, 4, 5, 6]
    later.close()


def test_another_one_in_its_place() -> None:
    """Who follows a sink that was let go begins with what that one did not acknowledge."""
    target = queue(None, ["a"])
    put(target, 1, 3, ["a"])
    assert target.take("a", 0.0) is not None
    target.release("a")
    assert target.take("a", 0.0) is None
    target.admit("a")
    assert got(target, "a") == [1, 2, 3]
    target.close()


def test_other_settings(tmp_path: Path) -> None:
    """Memory, quota and lag follow the configuration without a restart; the folder stays."""
    target = queue(tmp_path, ["a"])
    spool = target._store.spool
    assert spool is not None
    settings = QueueSettings(memory_bytes=2 * MIB, commit_seconds=9.0)
    target.configure(settings, SpoolSettings(tmp_path / "elsewhere", 32 * MIB), {"a": 5 * MIB})
    assert target._ring.limit == 2 * MIB
    assert spool.limit <= 32 * MIB
    assert spool.settings.folder == tmp_path / "spool"
    assert target._accounts["a"].max_lag_bytes == 5 * MIB
    assert target.due is None
    put(target, 1, 2, ["a"])
    assert got(target, "a") == [1, 2]
    target.close()


def test_what_was_held_is_for_whoever_comes(tmp_path: Path) -> None:
    """Events that came while nobody knew the sinks go to each of them, whatever they are called."""
    held = queue(tmp_path, ["events", HOLD])
    put(held, 1, 4, ["events", HOLD])
    assert held.counts(HOLD).queued == 4
    held.close()
    later = queue(tmp_path, ["topic", "siem"])
    put(later, 5, 6, ["topic", "siem"])
    assert got(later, "topic") == [1, 2, 3, 4, 5, 6]
    assert got(later, "siem") == [1, 2, 3, 4, 5, 6]
    assert later.counts("siem").queued == 0
    later.close()


def test_what_is_held_and_has_no_room_is_counted(tmp_path: Path) -> None:
    """A wrong configuration over a weekend: what the quota has no room for is counted and told as everywhere."""
    settings = SpoolSettings(tmp_path / "spool", 1024 * 1024, segment_bytes=64 * 1024)
    target = Queue(QueueSettings(memory_bytes=MIB), [Cursor(HOLD, 0)], lambda: Spool(settings, {"sinks": [HOLD]}))
    target.keep_house()
    for first in range(1, 2000, 20):
        target.append(frames(range(first, first + 20), sinks=[HOLD], pad=1000))
        target.commit()
    counts = target.counts(HOLD)
    assert counts.lost["spool_full"] > 0
    assert counts.offered == counts.queued + counts.lost.total() == 2000
    target.close()
