"""Accounts: who is where, and what each sink never got."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.accounts import Accounts, Lost
from audisp_pyaudit.delivery.cursor import Cursor, Position, Slice
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from audisp_pyaudit.files import replace_file
from tests.frames import TIME, frames


def test_what_is_gone_from_memory_is_counted_for_those_who_had_not_read_it() -> None:
    """Two sinks at different places lose different numbers, each with the times of what it lost."""
    accounts = Accounts([Cursor("fast", 0), Cursor("slow", 0), Cursor("other", 1)])
    batch = Frames.joined([frames(range(1, 11))], 1)
    for cursor in accounts:
        cursor.counts.offered += len(batch)
    accounts["fast"].read = Position(0, 8)
    accounts.lose(batch, 0, "memory_full")
    assert accounts.losses() == [
        Lost("fast", "memory_full", 3, 1000 * (TIME + 8), 1000 * (TIME + 10)),
        Lost("slow", "memory_full", 10, 1000 * (TIME + 1), 1000 * (TIME + 10)),
    ]
    assert accounts.losses() == []
    assert (accounts.counts("fast").lost, accounts.counts("slow").lost) == ({"memory_full": 3}, {"memory_full": 10})
    assert accounts.counts("other").filtered == 10


def test_the_slowest_says_what_may_go() -> None:
    """Nothing is given back that one sink still needs."""
    accounts = Accounts([Cursor("a", 0, acknowledged=Position(2, 5)), Cursor("b", 1, acknowledged=Position(1, 9))])
    assert accounts.slowest() == Position(1, 9)
    assert Accounts([]).slowest() is None


def test_what_is_under_way_is_known() -> None:
    """What was sent and not confirmed is neither delivered nor lost; its segment stays."""
    cursor = Cursor("kafka", 0, read=Position(1, 20), acknowledged=Position(1, 10))
    accounts = Accounts([cursor])
    assert not accounts.in_flight(Position(1, 0), Position(1, 15))
    cursor.in_flight.append(Slice(frames([1]), [0], Position(1, 20)))
    assert accounts.in_flight(Position(1, 0), Position(1, 15))
    assert not accounts.in_flight(Position(1, 0), Position(1, 10))
    assert not accounts.in_flight(Position(1, 20), Position(1, 30))


def test_only_who_moved_is_saved_again(tmp_path: Path) -> None:
    """A host where nothing happens does not write every second."""
    spool = Spool(SpoolSettings(tmp_path / "spool", 1 << 30), {})
    accounts = Accounts([Cursor("a", 0), Cursor("b", 1)])
    found = accounts.unsaved(spool)
    assert [path.name for path, _ in found] == ["a.json", "b.json"]
    for path, text in found:
        replace_file(path, text.encode())
        accounts.saved(path, text)
    accounts["b"].acknowledged = Position(1, 3)
    assert [path.name for path, _ in accounts.unsaved(spool)] == ["b.json"]
    spool.close()
