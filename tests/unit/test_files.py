"""Files that are replaced as a whole, or read only if they can be trusted."""

import time
from pathlib import Path

import pytest

from audisp_pyaudit.files import read_trusted, replace_file, version_of


def test_the_new_one_is_whole_and_nobody_elses(tmp_path: Path) -> None:
    """Whoever reads the file at any moment finds one version of it, which only its owner can read."""
    replace_file(tmp_path / "file", b"one")
    replace_file(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"two"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_others_may_read_what_is_meant_for_them(tmp_path: Path) -> None:
    """A mode that is wider is that of the new file from the first moment."""
    replace_file(tmp_path / "file", b"one", 0o644)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_file_is_told_from_others_in_its_place(tmp_path: Path) -> None:
    """Whoever replaced a file knows whether it is still the one that he made, though inodes are used again."""
    path = tmp_path / "file"
    assert version_of(path) is None
    versions = set()
    for number in range(50):
        mine = replace_file(path, b"%d" % number)
        assert version_of(path) == mine
        versions.add(mine)
        time.sleep(0.011)  # a tick of the clock of files
    assert len(versions) == 50


def test_what_fails_leaves_no_litter(tmp_path: Path) -> None:
    """A full or wrong place does not fill up with beginnings of files."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "folder", b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_what_others_may_have_written_is_not_believed(tmp_path: Path) -> None:
    """The file's mode decides, as whoever reads it says; a byte more than is allowed tells that it is too large."""
    file = tmp_path / "file"
    file.write_bytes(b"abcdef")
    file.chmod(0o640)
    assert read_trusted(str(file), 0o022, "mode {mode}", 10) == b"abcdef"
    assert read_trusted(str(file), 0o022, "mode {mode}", 3) == b"abcd"
    with pytest.raises(ValueError, match=r"^mode 0640$"):
        read_trusted(str(file), 0o040, "mode {mode}", 10)
    with pytest.raises(OSError, match="directory"):
        read_trusted(str(tmp_path), 0, "", 10)
