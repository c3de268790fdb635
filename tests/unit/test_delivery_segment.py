"""Segments: batches come back in order, damage costs what is damaged, a full disk leaves nothing half."""

import errno
import os
from pathlib import Path

import pytest

from audisp_pyaudit.delivery.batch import FRAMES, Batch, prefix
from audisp_pyaudit.delivery.segment import Damage, SegmentReader, SegmentWriter


def batch(number: int, body: bytes = b"x" * 50) -> bytes:
    """A batch of one frame."""
    return prefix(FRAMES, number, number + 1, number, 1, {"n": number}, body) + body


def numbers(path: Path, offset: int = 0) -> list[int | str]:
    """What is read: numbers of batches, and what was said of damages."""
    reader = SegmentReader(path, offset)
    found: list[int | str] = []
    while (each := reader.next()) is not None:
        found.append(each.why if isinstance(each, Damage) else each.head.first)
    reader.close()
    return found


def segment(path: Path, count: int) -> list[int]:
    """A segment with so many batches; the offsets at which they end."""
    writer, ends = SegmentWriter(path), []
    for number in range(count):
        writer.append(batch(number))
        ends.append(writer.size)
    writer.close()
    return ends


class FullDisk:
    """Takes so many bytes, then no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, data: memoryview) -> int:
        """Write what there is room for."""
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = os.write(fd, data[: self.room])
        self.room -= done
        return done

    def fsync(self, fd: int) -> None:
        """Nothing to do."""


def test_batches_come_back_in_order(tmp_path: Path) -> None:
    """What was written first is delivered first."""
    segment(tmp_path / "s", 20)
    assert numbers(tmp_path / "s") == list(range(20))


def test_reading_goes_on_where_writing_does(tmp_path: Path) -> None:
    """A sink that has caught up gets what comes next, without opening anything anew."""
    writer = SegmentWriter(tmp_path / "s")
    reader = SegmentReader(tmp_path / "s")
    assert reader.next() is None
    for number in range(3):
        writer.append(batch(number))
        found = reader.next()
        assert not isinstance(found, Damage)
        assert found is not None
        assert found.head.first == number
        assert reader.next() is None


def test_a_torn_end_is_the_end(tmp_path: Path) -> None:
    """A process that was killed while writing costs what it had not finished, nothing before it."""
    ends = segment(tmp_path / "s", 3)
    content = (tmp_path / "s").read_bytes()
    for cut in range(ends[1], ends[2]):
        (tmp_path / "s").write_bytes(content[:cut])
        assert numbers(tmp_path / "s") == [0, 1]


def test_damage_costs_the_batch_it_hits(tmp_path: Path) -> None:
    """One bad sector does not take the day's events with it."""
    ends = segment(tmp_path / "s", 5)
    content = (tmp_path / "s").read_bytes()
    for at in range(ends[0], ends[1]):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        (tmp_path / "s").write_bytes(damaged)
        found = numbers(tmp_path / "s")
        assert [each for each in found if isinstance(each, int)] == [0, 2, 3, 4]
        assert len(found) == 5


def test_damage_at_the_end_is_told(tmp_path: Path) -> None:
    """Nobody thinks a segment ended where it was damaged."""
    ends = segment(tmp_path / "s", 2)
    content = bytearray((tmp_path / "s").read_bytes())
    content[ends[0]] ^= 0xFF
    (tmp_path / "s").write_bytes(content)
    assert numbers(tmp_path / "s") == [0, "no batch begins here"]


def test_zeros_where_data_should_be_are_damage(tmp_path: Path) -> None:
    """What some file systems leave after a power cut is not taken for events."""
    segment(tmp_path / "s", 1)
    with (tmp_path / "s").open("ab") as stream:
        stream.write(bytes(4096) + batch(7))
    assert numbers(tmp_path / "s") == [0, "no batch begins here", 7]


@pytest.mark.parametrize("room", [0, 1, 60, 100])
def test_a_full_disk_leaves_nothing_half(tmp_path: Path, room: int) -> None:
    """When there is room again, writing goes on behind the last whole batch."""
    writer = SegmentWriter(tmp_path / "s")
    writer.append(batch(0))
    disk = FullDisk(room)
    writer._files = disk  # the disk fills up only now
    with pytest.raises(OSError, match="No space left"):
        writer.append(batch(1))
    disk.room = 1_000_000
    writer.append(batch(2))
    assert numbers(tmp_path / "s") == [0, 2]
    assert writer.size == (tmp_path / "s").stat().st_size


def test_heads_can_be_read_without_frames(tmp_path: Path) -> None:
    """What has to be given up is counted without reading gigabytes."""
    ends = segment(tmp_path / "s", 2)
    content = bytearray((tmp_path / "s").read_bytes())
    content[ends[0] - 1] ^= 0xFF  # in the frames of the first
    (tmp_path / "s").write_bytes(content)
    reader = SegmentReader(tmp_path / "s")
    found = [reader.next(with_body=False) for _ in range(3)]
    assert [each and not isinstance(each, Damage) and each.meta["n"] for each in found] == [0, 1, None]


def test_a_batch_that_breaks_off_is_no_batch(tmp_path: Path) -> None:
    """What a kill or a power cut left half written is told apart from what is whole, with and without its frames."""
    ends = segment(tmp_path / "s", 3)
    for end in (ends[1] + 1, ends[1] + 70, ends[2] - 1):
        (tmp_path / "cut").write_bytes((tmp_path / "s").read_bytes()[:end])
        for with_body in (True, False):
            reader = SegmentReader(tmp_path / "cut")
            assert [reader.next(with_body=with_body) is not None for _ in range(3)] == [True, True, False]
            torn = reader.torn()
            assert torn is not None
            assert (torn.offset, torn.size) == (ends[1], end - ends[1])
            reader.close()
    reader = SegmentReader(tmp_path / "s")
    while reader.next() is not None:
        pass
    assert reader.torn() is None


def test_a_bad_sector_costs_its_segment_not_the_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk never gives again is told as damage after some tries; delivery goes on behind it."""
    segment(tmp_path / "s", 3)
    reader = SegmentReader(tmp_path / "s")
    assert isinstance(reader.next(), Batch)
    read = os.pread

    def broken(fd: int, size: int, offset: int) -> bytes:
        if offset >= reader.offset > 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(fd, size, offset)

    monkeypatch.setattr("audisp_pyaudit.delivery.segment.os.pread", broken)
    found: Batch | Damage | None = None
    tries = 0
    while found is None:
        tries += 1
        try:
            found = reader.next()
        except OSError:
            assert tries < 100
    assert isinstance(found, Damage)
    assert (found.why, tries > 5) == ("it cannot be read: Input/output error", True)
    assert found.offset + found.size == (tmp_path / "s").stat().st_size
    monkeypatch.undo()
    assert reader.next() is None


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Audit records are nobody else's to read."""
    segment(tmp_path / "s", 1)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
