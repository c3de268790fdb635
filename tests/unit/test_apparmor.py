"""Going over to the AppArmor profile that a package installed."""

import errno
import os
from pathlib import Path

import pytest

from audisp_pyaudit import apparmor

_SHIPPED = Path(__file__).parents[2] / "packaging" / "apparmor" / "audisp-pyaudit"


def test_the_kernel_is_asked_for_the_profile_that_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is told the name under which the package's profile is loaded, in its own words."""
    told = tmp_path / "current"
    told.touch()
    monkeypatch.setattr(apparmor, "_CURRENT", str(told))
    apparmor.change_profile()
    assert told.read_text() == "changeprofile audisp-pyaudit"
    assert f"\nprofile {apparmor.PROFILE} " in _SHIPPED.read_text()


def test_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without AppArmor is no error that a host without it would be told of."""
    monkeypatch.setattr(apparmor, "_CURRENT", str(tmp_path / "missing" / "current"))
    with pytest.raises(FileNotFoundError):
        apparmor.change_profile()


@pytest.mark.parametrize(("number", "kind"), [(errno.EINVAL, FileNotFoundError), (errno.EACCES, PermissionError)])
def test_where_it_is_not_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OSError]
) -> None:
    """A kernel that has AppArmor and runs with SELinux is no error either; a refusal still is one."""
    told = tmp_path / "current"
    told.touch()

    def refuse(_fd: int, _data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(apparmor, "_CURRENT", str(told))
    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(kind):
        apparmor.change_profile()
