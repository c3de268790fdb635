"""Generations: commits come back whole and in order, whatever segments they lie in."""

import errno
import os
import sys
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.generation import CLASSES, GenerationReader, GenerationWriter, segments_of
from audisp_pyaudit.delivery.held import frames_after, routes_after
from tests.frames import frames, serials

ABOUT = {"sinks": ["kafka"]}


def written(
    folder: Path, sizes: list[int], keep: set[int], segment_bytes: int, *, end: bool = True
) -> GenerationWriter:
    """Commits of so many events each; serials and sequences are the same, from 1 on."""
    folder.mkdir(exist_ok=True)
    writer, first = GenerationWriter(folder, ABOUT, segment_bytes), 1
    for size in sizes:
        numbers = range(first, first + size)
        writer.append(Frames.joined([frames(numbers, keep=keep)], first), first, first + size, {})
        first += size
    if end:
        writer.end({})
    writer.close()
    return writer


def read(folder: Path, sequence: int = 0) -> tuple[list[int], int]:
    """Serials in the order of reading, and how many frames were missing."""
    reader, found, missing = GenerationReader(folder, sequence), [], 0
    while (each := reader.next()) is not None:
        missing += each.missing.frames
        if each.frames is not None:
            found += serials(each.frames)
    missing += reader.rest().frames
    reader.close()
    return found, missing


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    keep=st.sets(st.integers(1, 40)),
    segment_bytes=st.sampled_from([1, 3000, 10**6]),
)
def test_events_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], keep: set[int], segment_bytes: int
) -> None:
    """The order of the host is the order of the consumer, also where log-ins lie in files of their own."""
    folder = tmp_path_factory.mktemp("g")
    written(folder, sizes, keep, segment_bytes)
    total = sum(sizes)
    assert read(folder) == (list(range(1, total + 1)), 0)
    begin = 1
    for size in sizes:  # from the beginning of every commit
        assert read(folder, begin) == (list(range(begin, total + 1)), 0)
        assert frames_after(folder, begin) == total + 1 - begin
        begin += size


def test_reading_keeps_behind_what_is_whole(tmp_path: Path) -> None:
    """A sink never gets one half of a commit, whose other half is still to be written."""
    writer = written(tmp_path / "g", [3, 3], {2, 5}, 10**6, end=False)
    reader = GenerationReader(tmp_path / "g")
    assert reader.next(limit=0) is None
    first = reader.next(limit=4)
    assert first is not None
    assert (first.first, first.last, first.about) == (1, 4, ABOUT)
    assert reader.next(limit=4) is None
    assert reader.next(limit=writer.committed) is not None


def test_missing_frames_are_counted(tmp_path: Path) -> None:
    """A damaged disk says how many events it cost, wherever the damage is."""
    folder = tmp_path / "g"
    written(folder, [2, 3, 4], {3}, 10**6)
    path = segments_of(folder, "normal")[0].path
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        found, missing = read(folder)
        in_end = len(found) == 9  # the mark of a good end was hit, or the segment's own head
        assert in_end or len(found) + missing == 9, at
        assert 3 in found
        assert found == sorted(found)


def test_a_removed_segment_is_no_damage(tmp_path: Path) -> None:
    """What was given up to make room is counted once, by whoever gave it up."""
    folder = tmp_path / "g"
    written(folder, [2, 2, 2, 2], set(), 1)
    segments_of(folder, "normal")[0].path.unlink()
    assert read(folder) == ([3, 4, 5, 6, 7, 8], 0)
    path = segments_of(folder, "normal")[1].path
    path.rename(path.with_suffix(".gone")).write_bytes(b"")
    assert read(folder) == ([3, 4, 7, 8], 0)
    assert [frames_after(folder, each) for each in (0, 3, 5, 7, 9)] == [4, 4, 2, 2, 0]


def test_what_a_segment_holds_is_known_by_sink(tmp_path: Path) -> None:
    """A loss is told to the sink that it concerns, with its times."""
    rules = [{"name": "r", "match": {"record_type": ["user_login"]}, "route": ["other"]}]
    both = frames([1, 2, 3], keep=[2], sinks=["kafka", "other"], rules=rules)
    writer = GenerationWriter(tmp_path, {"sinks": ["kafka", "other"]}, 10**6)
    writer.append(Frames.joined([both], 1), 1, 4, {})
    writer.close()
    found = {
        (klass, sink): [(each.routed, each.others) for each in routes_after(segments_of(tmp_path, klass)[0], 0, sink)]
        for klass in CLASSES
        for sink in ("kafka", "other", "unknown")
    }
    assert found["normal", "kafka"] == [(2, 0)] == found["normal", "other"]
    assert (found["keep", "kafka"], found["keep", "other"]) == ([(0, 1)], [(1, 0)])
    assert found["normal", "unknown"] == [(0, 2)]
    segment = segments_of(tmp_path, "normal")[0]
    assert [each.span for each in routes_after(segment, 0, "kafka")] == [(1795224001000, 1795224003000)]
    assert list(routes_after(segment, 4, "kafka")) == []


class FailsAt:
    """The n-th write fails."""

    def __init__(self, fails: int) -> None:
        self.writes, self.fails = 0, fails

    def write(self, fd: int, data: memoryview) -> int:
        """Write, unless it is the turn to fail."""
        self.writes += 1
        if self.writes == self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Nothing to do."""


@pytest.mark.parametrize("fails", range(1, 7))
def test_a_commit_that_failed_half_way_is_there_once(tmp_path: Path, fails: int) -> None:
    """After a disk's error, nothing is there twice and nothing is missing."""
    writer = GenerationWriter(tmp_path, ABOUT, 10**6, FailsAt(fails))
    for first in (1, 4):
        batch = Frames.joined([frames(range(first, first + 3), keep=[first + 1])], first)
        for _ in range(3):
            try:
                writer.append(batch, first, first + 3, {})
                break
            except OSError:
                continue
    writer.end({})
    writer.close()
    assert read(tmp_path) == ([1, 2, 3, 4, 5, 6], 0)


def test_what_the_engine_cannot_read_is_told(tmp_path: Path) -> None:
    """A batch whose checksum is right and whose content is not: a bug, and the segment is kept for whoever looks."""
    (tmp_path / "g").mkdir()
    writer = GenerationWriter(tmp_path / "g", ABOUT, 1 << 20)
    batch = Frames.joined([frames(range(1, 5))], 1)
    writer.append(cast("Frames", _Odd(batch)), 1, 5, {})
    writer.close()
    reader = GenerationReader(tmp_path / "g")
    found = reader.next()
    reader.close()
    assert found is not None
    assert (found.frames, found.missing.frames) == (None, 4)
    (damage,) = found.missing.damages
    assert (damage.path.name[:6], damage.why[:3]) == ("normal", "LZ4")


class _Odd:
    """Frames that are packed as no engine packs them."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def packed(self, klass: str) -> tuple[bytes, int, dict[int, int], tuple[int, int] | None]:
        """What is wrong."""
        packed, *rest = self._frames.packed(klass)
        return (packed and b"\x08\0\0\0\xff", *rest)  # type: ignore[return-value]  # mypy forgets what `rest` is
