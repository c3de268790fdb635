"""Users and groups from the system's files."""

from pathlib import Path

import pytest

from audisp_pyaudit.users import User, find_group, find_user


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Files of a system, with lines that are of no use among them."""
    (tmp_path / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\n\n+@nis::::::\nbad:x:one:2::/:/bin/sh\nshort:x:1\n"
        "audisp-pyaudit:x:990:991:Audit, forwarded:/nonexistent:/usr/sbin/nologin\n"
    )
    (tmp_path / "group").write_text(
        "root:x:0:\naudisp-pyaudit:x:991:\nsiem:x:50:lab,audisp-pyaudit\nssl:x:60:not-audisp-pyaudit\nbad:x:six:\n"
    )
    return tmp_path


def test_a_user_and_its_groups(etc: Path) -> None:
    """The plugin keeps the groups that an administrator put its user in, to read a key, say."""
    assert find_user("audisp-pyaudit", etc) == User("audisp-pyaudit", 990, 991, (50,))
    assert find_user("root", etc) == User("root", 0, 0)


def test_who_is_not_there(etc: Path) -> None:
    """Users that are not there, or not readable, are nobody; no server is asked."""
    assert [find_user(name, etc) for name in ("lab", "bad", "short", "", "+@nis")] == [None] * 5
    assert find_user("root", etc / "missing") is None


def test_groups(etc: Path) -> None:
    """Groups by name."""
    assert [find_group(name, etc) for name in ("siem", "root", "bad", "none")] == [50, 0, None, None]
