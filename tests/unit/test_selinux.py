"""What is said of SELinux before auditd starts the plugin."""

import os
from pathlib import Path

import pytest

from audisp_pyaudit import selinux
from audisp_pyaudit.selinux import missing

OURS = b"system_u:object_r:audisp_pyaudit_exec_t:s0\0"


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """What a kernel that enforces offers."""
    (tmp_path / "enforce").write_text("1")
    (tmp_path / "context").write_text("")
    return tmp_path


def labelled(monkeypatch: pytest.MonkeyPatch, label: bytes) -> None:
    """Files have this label."""
    monkeypatch.setattr(os, "getxattr", lambda _path, _name: label)


@pytest.mark.parametrize("label", [b"system_u:object_r:bin_t:s0\0", b"system_u:object_r:bin_t", b"nonsense"])
def test_auditds_own_domain(label: bytes, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who installed no policy module, or has not labelled the program, hears what will not work, and what to do."""
    labelled(monkeypatch, label)
    said = missing(kernel)
    assert label.decode().strip("\0") in said
    assert selinux.INSTALL in said


def test_a_domain_of_its_own(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the module all is well; the kernel was asked for the label as it stands."""
    labelled(monkeypatch, OURS)
    assert missing(kernel) == ""
    assert (kernel / "context").read_bytes() == OURS


def test_a_label_that_the_policy_does_not_know(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that was removed, with its labels left on files, is a missing one."""
    labelled(monkeypatch, OURS)
    (kernel / "context").unlink()
    (kernel / "context").symlink_to("/dev/full")  # refuses every word
    assert "does not know" in missing(kernel)


def test_not_for_us_to_ask(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel cannot be asked, the label is believed."""
    labelled(monkeypatch, OURS)
    (kernel / "context").unlink()
    assert missing(kernel) == ""


@pytest.mark.parametrize("enforce", ["0", ""])
def test_nothing_is_enforced(enforce: str, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts without SELinux, or with one that only warns, hear nothing of it."""
    labelled(monkeypatch, b"system_u:object_r:bin_t:s0\0")
    (kernel / "enforce").write_text(enforce)
    assert missing(kernel) == ""
    assert missing(kernel / "none") == ""


def test_no_label(kernel: Path, tmp_path: Path) -> None:
    """A program that is not there has none."""
    assert missing(kernel, str(tmp_path / "none")) == ""
