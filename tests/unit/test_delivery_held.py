"""What segments hold is told from their heads: quickly, and right also where they are damaged."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.generation import GenerationWriter, segments_of
from audisp_pyaudit.delivery.held import Found, batches_of, ending_of, frames_after, routes_after
from tests.frames import TIME, frames


def written(folder: Path) -> Path:
    """Three commits of two events; the segment of those of no class."""
    writer = GenerationWriter(folder, {"sinks": ["kafka"]}, 10**6)
    for first in (1, 3, 5):
        writer.append(Frames.joined([frames([first, first + 1])], first), first, first + 2, {})
    writer.close()
    return segments_of(folder, "normal")[0].path


def span(first: int) -> tuple[int, int]:
    """The times of a commit."""
    return (TIME + first) * 1000, (TIME + first + 1) * 1000


def test_frames_are_counted_from_a_place(tmp_path: Path) -> None:
    """At a start it is known at once how much waits for a sink."""
    written(tmp_path)
    assert [frames_after(tmp_path, each) for each in (0, 3, 5, 7)] == [6, 4, 2, 0]
    assert frames_after(tmp_path / "nowhere", 0) == 0


def test_damage_is_counted_for_nobody(tmp_path: Path) -> None:
    """What is given up is counted right, also where a batch in it could not have been read."""
    path = written(tmp_path)
    heads = [batch.head for batch in batches_of(path)]
    content = bytearray(path.read_bytes())
    content[heads[0].size + heads[1].size] ^= 0xFF  # the mark of the second commit
    path.write_bytes(content)
    segment = segments_of(tmp_path, "normal")[0]
    expected = [Found(2, 0, span(1)), Found(0, 2, None), Found(2, 0, span(5))]
    assert list(routes_after(segment, 0, "kafka")) == expected
    assert frames_after(tmp_path, 0) == 6


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    """A segment that vanished is no error."""
    assert list(batches_of(tmp_path / "gone.seg")) == []


def test_a_part_of_a_segment_can_be_told(tmp_path: Path) -> None:
    """What a slow sink passes over is counted exactly, up to where it goes on."""
    written(tmp_path)
    segment = segments_of(tmp_path, "normal")[0]
    assert list(routes_after(segment, 0, "kafka", until=3)) == [Found(2, 0, span(1))]
    assert list(routes_after(segment, 3, "kafka", until=5)) == [Found(2, 0, span(3))]


def test_how_a_process_ended_is_known(tmp_path: Path) -> None:
    """A kill is told apart from an end, and the time of what was kept last is known."""
    written(tmp_path)
    killed = ending_of(tmp_path)
    assert (killed.whole, killed.last_ms, dict(killed.ledger)) == (False, (TIME + 6) * 1000, {})
    writer = GenerationWriter(tmp_path / "next", {"sinks": ["kafka"]}, 10**6)
    (tmp_path / "next").mkdir()
    writer.append(Frames.joined([frames([1], keep=[1])], 1), 1, 2, {"ledger": {"records_in": 5}})
    writer.end({"ledger": {"records_in": 7}})
    writer.close()
    ended = ending_of(tmp_path / "next")
    assert (ended.whole, ended.last_ms, dict(ended.ledger)) == (True, (TIME + 1) * 1000, {"records_in": 7})
    assert ending_of(tmp_path / "nowhere").whole is False


def test_the_counters_stay_with_what_stays_longest(tmp_path: Path) -> None:
    """A long outage drops the oldest accesses to files; what the process before had counted is known all the same."""
    writer = GenerationWriter(tmp_path, {"sinks": ["kafka"]}, 1 << 20)
    for first in (1, 5):
        batch = Frames.joined([frames(range(first, first + 4), keep=[first])], first)
        writer.append(batch, first, first + 4, {"ledger": {"records_in": first + 3}})
    writer.close()
    (normal,) = tmp_path.glob("normal-*.seg")
    normal.rename(normal.with_suffix(".gone"))
    assert ending_of(tmp_path).ledger == {"records_in": 8}
