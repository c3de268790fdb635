"""The state file."""

from pathlib import Path

import pytest

from audisp_pyaudit.state import load_state, save_state


def test_there_and_back(tmp_path: Path) -> None:
    """What the engine remembered is there after a restart, for its owner only."""
    path = tmp_path / "deep" / "engine.state"
    save_state(str(path), b"one")
    save_state(str(path), b"two")
    assert load_state(str(path)) == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["engine.state"]


def test_none_yet(tmp_path: Path) -> None:
    """A first start is no error."""
    assert load_state(str(tmp_path / "none")) is None


def test_unreadable(tmp_path: Path) -> None:
    """What is there and cannot be read is told apart from what is not there."""
    with pytest.raises(IsADirectoryError):
        load_state(str(tmp_path))


def test_a_failed_save_leaves_the_old_one(tmp_path: Path) -> None:
    """A state that cannot be replaced leaves no litter."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        save_state(str(tmp_path / "folder"), b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        save_state(str(tmp_path / "file" / "state"), b"x")
