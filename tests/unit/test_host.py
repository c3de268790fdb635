"""Who this host is."""

import os
import re
import socket
from pathlib import Path

import pytest

from audisp_pyaudit.host import MAX_NODES, host_facts

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /etc, on a host called web-1."""
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1")
    return tmp_path


def test_everything_from_the_system(etc: Path) -> None:
    """Records that auditd marks with any of its own names are known as ours, without asking the network."""
    (etc / "machine-id").write_text(ID + "\n")
    (etc / "audit").mkdir()
    (etc / "audit" / "auditd.conf").write_text("# name = x\nname_format = user\nname = node-7\n")
    (etc / "hosts").write_text("127.0.0.1 localhost\n10.0.0.5 web-1.example.org web-1 # web-9\n10.0.0.6 db-1\n")
    facts = host_facts(etc=etc)
    assert (facts.name, facts.id) == ("web-1", ID)
    assert facts.nodes == ("node-7", "10.0.0.5", "web-1.example.org")


def test_what_only_root_could_read(etc: Path) -> None:
    """At a reload auditd.conf may be closed to us; its name still means us, and a new one does once it can be read."""
    (etc / "audit").mkdir()
    conf = etc / "audit" / "auditd.conf"
    conf.write_text("name = node-7\n")
    first = host_facts(etc=etc)
    conf.unlink()
    second = host_facts(etc=etc, auditd_names=first.auditd_names)
    assert (second.nodes, second) == (("node-7",), first)
    conf.write_text("name = node-8\n")
    assert host_facts(etc=etc, auditd_names=second.auditd_names).nodes == ("node-8",)


def test_configuration_comes_first(etc: Path) -> None:
    """What the configuration says holds, and the system's own name still means us."""
    (etc / "machine-id").write_text(ID)
    facts = host_facts("www", "my-id", ("a", "www"), etc=etc)
    assert (facts.name, facts.id, facts.nodes) == ("www", "my-id", ("a", "web-1"))


def test_nothing_there(etc: Path) -> None:
    """A container without machine-id still has an identity: its name."""
    assert host_facts(etc=etc).id == "web-1"
    (etc / "machine-id").write_text("uninitialized\n")
    assert host_facts(etc=etc).id == "web-1"


def test_no_name_at_all(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents always have a host name."""
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    assert host_facts(etc=etc).name == "localhost"


def test_broken_files_are_bounded(etc: Path) -> None:
    """A hosts file gone wrong cannot fill the memory."""
    (etc / "hosts").write_bytes(b"\xff web-1 " + b" ".join(b"n%d" % number for number in range(9999)))
    assert len(host_facts(etc=etc).nodes) <= MAX_NODES


def test_the_boot_is_known() -> None:
    """After a reboot the kernel's serials start anew; that must not look like lost events."""
    assert re.fullmatch(r"[0-9a-f-]{36}", host_facts().boot_id)
    assert host_facts().architecture == os.uname().machine
