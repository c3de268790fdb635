"""The spool: generations of processes, room by whole segments, one deliverer."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.ring import Commit
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from tests.frames import frames

MIB = 1024 * 1024


def spool(folder: Path, quota: int = 64 * MIB, share: float = 1.0) -> Spool:
    """A spool of one sink."""
    return Spool(SpoolSettings(folder, quota, share, segment_bytes=64 * 1024), {"sinks": ["kafka"]})


def commit(first: int, count: int = 50, keep: tuple[int, ...] = ()) -> Commit:
    """Events of some 2 KiB each on disk."""
    numbers = range(first, first + count)
    return Commit(first, first + count, Frames.joined([frames(numbers, keep=keep, pad=2000)], first))


def fill(target: Spool, commits: int, keep: tuple[int, ...] = ()) -> None:
    """Commits of some 100 KiB."""
    for number in range(commits):
        target.store(commit(1 + 50 * number, keep=keep), {})


def test_every_process_has_a_generation(tmp_path: Path) -> None:
    """An old and a new process never write into each other's files."""
    first, second = spool(tmp_path / "s"), spool(tmp_path / "s")
    assert (first.generation, second.generation) == (1, 2)
    assert first.generations() == [1, 2]


def test_one_process_delivers(tmp_path: Path) -> None:
    """Nothing is delivered twice because auditd was reloaded."""
    first, second = spool(tmp_path / "s"), spool(tmp_path / "s")
    assert [first.take_lock(), first.take_lock(), second.take_lock()] == [True, True, False]
    first.close()
    assert second.take_lock()


def test_bytes_are_those_on_disk(tmp_path: Path) -> None:
    """The quota is about what `du` says."""
    first = spool(tmp_path / "s")
    fill(first, 5)
    first.close()
    second = spool(tmp_path / "s")
    fill(second, 2)
    assert second.bytes == sum(each.stat().st_size for each in (tmp_path / "s").rglob("*.seg"))
    assert not second.is_full_for(MIB)
    assert second.is_full_for(64 * MIB)


def test_room_is_made_from_the_oldest_and_log_ins_stay(tmp_path: Path) -> None:
    """A long outage costs the oldest file accesses, and who logged in last of all."""
    first = spool(tmp_path / "s")
    fill(first, 3, keep=(7,))
    first.close()
    second = spool(tmp_path / "s")
    fill(second, 3)
    removed = []
    while (victim := second.oldest()) is not None:
        removed.append((victim.segment.klass, victim.generation))
        second.empty(second.retire(victim))
    assert removed == [("normal", 1)] * 3 + [("normal", 2)] * 2 + [("keep", 1)]
    assert second.bytes == sum(each.stat().st_size for each in (tmp_path / "s").rglob("*.seg"))


def test_what_everybody_has_is_given_back(tmp_path: Path) -> None:
    """The spool is as small as delivery allows."""
    first = spool(tmp_path / "s")
    fill(first, 4)
    first.close()
    second = spool(tmp_path / "s")
    fill(second, 4)
    second.reclaim(1, 101)
    assert [each.first for each in second.segments(1)] == [101, 151]
    second.reclaim(2, 101)
    assert (second.segments(1), [each.first for each in second.segments(2)]) == ([], [101, 151])
    assert second.generations() == [2]
    assert second.bytes == sum(each.stat().st_size for each in (tmp_path / "s").rglob("*.seg"))


def test_the_quota_is_at_most_a_share_of_the_disk(tmp_path: Path) -> None:
    """A small /var is not filled up by a large quota."""
    assert spool(tmp_path / "s", 1 << 60, 0.5).limit == pytest.approx(
        spool(tmp_path / "s", 1 << 60).limit / 2, rel=0.01
    )


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """Who configured it learns which folder does not work."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file"):
        spool(tmp_path / "file" / "s")


def test_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    """Audit records are nobody else's to read."""
    spool(tmp_path / "s")
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "s").iterdir()} == {0o700}
