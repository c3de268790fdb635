"""A Unix socket under a name."""

import grp
import os
import socket
from pathlib import Path

import pytest

from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.sinks.listener import Listener


def connects(path: Path) -> bool:
    """Whether somebody listens."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def test_listens_with_the_mode_asked_for(tmp_path: Path) -> None:
    """The folder is made, the socket has its mode and group, and nothing else is left."""
    path = tmp_path / "run" / "events.sock"
    listener = Listener(str(path), 0o660, grp.getgrgid(os.getgid()).gr_name)
    assert connects(path)
    assert path.stat().st_mode & 0o777 == 0o660
    assert path.stat().st_gid == os.getgid()
    assert [each.name for each in path.parent.iterdir()] == ["events.sock"]
    listener.close()
    assert list(path.parent.iterdir()) == []


def test_two_processes_may_overlap(tmp_path: Path) -> None:
    """At a reload the new process takes the name over; the old one, ending later, leaves it alone."""
    path = tmp_path / "events.sock"
    old = Listener(str(path), 0o600, "")
    new = Listener(str(path), 0o600, "")
    assert connects(path)
    old.close()
    assert connects(path)
    new.close()
    assert not path.exists()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """What a killed process left behind is no obstacle."""
    path = tmp_path / "events.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    listener = Listener(str(path), 0o600, "")
    assert connects(path)
    listener.close()


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    """A slip in the path does not cost the user a file."""
    path = tmp_path / "precious"
    path.write_text("x")
    with pytest.raises(SinkError, match="is not a socket"):
        Listener(str(path), 0o600, "")
    assert path.read_text() == "x"


def test_what_cannot_be(tmp_path: Path) -> None:
    """A path or group that cannot be is an error that names it, and leaves nothing behind."""
    with pytest.raises(SinkError, match="no group nosuchgroup"):
        Listener(str(tmp_path / "x"), 0o600, "nosuchgroup")
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="file/x"):
        Listener(str(tmp_path / "file" / "x"), 0o600, "")
    with pytest.raises(SinkError, match="too long"):
        Listener(str(tmp_path / ("x" * 120) / "x"), 0o600, "")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "x" * 120]
