"""Damaged segments that are set aside."""

from pathlib import Path

from audisp_pyaudit.delivery.aside import Aside


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
