"""Files that are replaced as a whole."""

from pathlib import Path

import pytest

from audisp_pyaudit.files import replace_file


def test_the_new_one_is_whole_and_nobody_elses(tmp_path: Path) -> None:
    """Whoever reads the file at any moment finds one version of it, which only its owner can read."""
    replace_file(tmp_path / "file", b"one")
    replace_file(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"two"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_fails_leaves_no_litter(tmp_path: Path) -> None:
    """A full or wrong place does not fill up with beginnings of files."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "folder", b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
