"""The state file."""

from pathlib import Path

import pytest

from audisp_pyaudit.state import StateLock, load_state, save_state


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


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """Two plugins never share a state; when one ends, the other may have it."""
    path = str(tmp_path / "deep" / "engine.state")
    first, second = StateLock(path), StateLock(path)
    assert first.take()
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    assert not first.take()
    second.release()
    assert (tmp_path / "deep" / "engine.state.lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_that_cannot_be_made_keeps_nobody_out(tmp_path: Path) -> None:
    """On a read-only file system what is remembered can still be read."""
    (tmp_path / "file").write_bytes(b"")
    lock = StateLock(str(tmp_path / "file" / "engine.state"))
    assert lock.take()
    lock.release()
