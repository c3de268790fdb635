"""Damaged segments that are set aside."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.aside import Aside
from audisp_pyaudit.delivery.ring import Commit
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from tests.frames import frames


def segment(folder: Path, number: int, size: int = 100) -> Path:
    """A segment of a generation."""
    path = folder / f"g{number:010d}" / "normal-1-0.seg"
    path.parent.mkdir()
    path.write_bytes(b"x" * size)
    return path


def test_it_stays_when_the_spool_gives_it_back(tmp_path: Path) -> None:
    """Whoever wants to know what happened to the disk, or to read the rest by hand, still has the bytes."""
    aside, damaged = Aside(tmp_path / "damaged", 1000), segment(tmp_path, 3)
    assert aside.bytes == 0
    kept = aside.keep(damaged)
    assert kept is not None
    assert kept.name == "g0000000003-normal-1-0.seg"
    assert aside.keep(damaged) is None
    assert aside.bytes == 0  # it is the spool's, too
    damaged.unlink()
    assert kept.read_bytes() == b"x" * 100
    assert aside.bytes == 100


def test_it_is_bounded(tmp_path: Path) -> None:
    """A disk that dies slowly does not fill itself with its own remains; the newest is always kept."""
    aside = Aside(tmp_path / "damaged", 250)
    for number in range(1, 6):
        aside.keep(segment(tmp_path, number))
    assert [path.name[:11] for path in sorted(aside.folder.iterdir())] == ["g0000000004", "g0000000005"]
    aside.keep(segment(tmp_path, 6, size=5000))
    assert [path.name[:11] for path in aside.folder.iterdir()] == ["g0000000006"]


def test_making_room_does_not_empty_it(tmp_path: Path) -> None:
    """What was set aside stays also where the spool has to be made smaller."""
    first = Spool(SpoolSettings(tmp_path / "spool", 1 << 30), {"sinks": ["kafka"]})
    first.store(Commit(1, 11, Frames.joined([frames(range(1, 11))], 1)), {})
    first.close()
    spool = Spool(SpoolSettings(tmp_path / "spool", 1 << 30), {})
    victim = spool.oldest()
    assert victim is not None
    content = victim.segment.path.read_bytes()
    kept = spool.aside.keep(victim.segment.path)
    spool.empty(spool.retire(victim))
    assert kept is not None
    assert kept.read_bytes() == content
    assert [(each.name, each.stat().st_size) for each in victim.segment.path.parent.glob("*.gone")] == [
        (victim.segment.path.with_suffix(".gone").name, 0)
    ]
    assert spool.bytes == len(content)  # the spool's own share is given back, that of the folder counts
    spool.close()
