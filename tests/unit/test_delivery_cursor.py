"""Cursors: they move over what was acknowledged, in order, and survive."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor, Position, Slice, load
from audisp_pyaudit.files import replace_file
from tests.frames import frames


def part(after: int, count: int = 2) -> Slice:
    """A slice of so many frames."""
    return Slice(frames(range(1, count + 1)), list(range(count)), Position(1, after))


def test_a_cursor_moves_in_order_only() -> None:
    """What was acknowledged out of order (several partitions) is not skipped over after a crash."""
    cursor, first, second = Cursor("kafka", 0), part(3), part(5)
    cursor.in_flight.extend([first, second])
    cursor.read = Position(1, 5)
    assert [second.acknowledge(0), second.acknowledge(1), second.acknowledge(1)] == [True, True, False]
    cursor.settle()
    assert cursor.acknowledged == Position(0, 0)
    first.acknowledge(0)
    cursor.settle()
    assert cursor.acknowledged == Position(0, 0)
    first.acknowledge(1)
    cursor.settle()
    assert cursor.acknowledged == Position(1, 5)


def test_only_what_was_not_delivered_is_handed_out_again() -> None:
    """A broken connection costs as few duplicates as can be."""
    cursor, first, second = Cursor("kafka", 0), part(3), part(5)
    cursor.in_flight.extend([first, second])
    first.acknowledge(0)
    first.acknowledge(1)
    second.acknowledge(1)
    cursor.rewind()
    assert list(cursor.again) == [second]
    assert second.outstanding() == [0]


def test_a_position_survives(tmp_path: Path) -> None:
    """After a restart, delivery goes on where it was."""
    cursor = Cursor("kafka", 0, acknowledged=Position(3, 77))
    cursor.counts.lost["spool_full"] = 4
    replace_file(tmp_path / "kafka.json", cursor.as_text().encode())
    assert load(tmp_path / "kafka.json") == Position(3, 77)
    assert json.loads((tmp_path / "kafka.json").read_text())["lost"] == {"spool_full": 4}
    assert (tmp_path / "kafka.json").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["kafka.json"]
    assert load(tmp_path / "other.json") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"version":1,"generation":"1","sequence":2}',
        b'{"version":2,"generation":1,"sequence":2}',
    ],
)
def test_what_is_no_cursor_is_not_believed(tmp_path: Path, content: bytes) -> None:
    """A damaged file costs duplicates, never events."""
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(ValueError, match="is no cursor"):
        load(tmp_path / "c")
