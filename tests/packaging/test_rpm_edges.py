"""The RPM where something is not as it should be: no user can be made, one was there before, SELinux enforces."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.kernel import build as build_library
from tests.packaging import rpm as rpm_package
from tests.packaging.machine import PLUGIN, Machine, machine
from tests.packaging.rpm_fixtures import rpm

__all__ = ["rpm"]  # a fixture
pytestmark = pytest.mark.timeout(900)
INSTALL = "/usr/share/audisp-pyaudit/selinux/install"


@pytest.fixture(scope="module")
def system(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A system without the package, which lies in its /tmp; and what a stand-in for the kernel is made of."""
    root = rpm_package.system(tmp_path_factory.mktemp("system"))
    shutil.copy(rpm, root / "tmp" / "audisp-pyaudit.rpm")
    yield root, build_library(tmp_path_factory.mktemp("library"))
    shutil.rmtree(root)


@pytest.fixture
def host(system: tuple[Path, Path]) -> Iterator[Machine]:
    """A machine of it; fresh for each test."""
    with machine(*system) as made:
        yield made


def install(host: Machine, *, check: bool = True) -> str:
    """Install the package; what rpm says."""
    return host.run("rpm", "--install", "/tmp/audisp-pyaudit.rpm", check=check)  # noqa: S108  # of that system


def answer(host: Machine, command: str, text: str) -> None:
    """Have a command be another one."""
    found = host.root / "usr" / "sbin" / command
    found.unlink(missing_ok=True)
    found.write_text(f"#!/bin/sh\n{text}\n")
    found.chmod(0o755)


def test_without_its_user_it_is_not_installed(host: Machine) -> None:
    """A plugin that would run as root for want of a user does not come to be."""
    answer(host, "useradd", "echo 'useradd: cannot lock /etc/passwd' >&2; exit 1")
    said = install(host, check=False)
    assert "cannot lock" in said
    assert PLUGIN not in host.run("rpm", "--query", "--all")
    assert not (host.root / "usr/sbin/audisp-pyaudit").exists()


def test_a_user_that_was_there(host: Machine) -> None:
    """Who has a user of that name, but not in its group, is told what it cannot read, and what mends it."""
    host.run("useradd", "--system", "--gid", "nogroup", "--no-create-home", PLUGIN)
    mend = f"usermod -a -G {PLUGIN} {PLUGIN}"
    assert mend in install(host)
    assert mend in host.run("audisp-pyaudit", "check-config", check=False)
    host.run(*mend.split())
    assert "OK" in host.run("audisp-pyaudit", "check-config")


def test_folders_are_closed_if_auditd_comes_later(host: Machine) -> None:
    """The trail's configuration is not for all, whichever package made its folder."""
    shutil.rmtree(host.root / "etc" / "audit")
    install(host)
    for folder in ("etc/audit", "etc/audit/plugins.d"):
        assert (host.root / folder).stat().st_mode & 0o777 == 0o750, folder


def test_every_folder_is_some_packages(host: Machine) -> None:
    """A removal leaves no empty folder of ours, and rpm knows whose the run-time folder is."""
    install(host)
    assert PLUGIN in host.run("rpm", "--query", "--file", "/run/audisp-pyaudit")
    host.run("rpm", "--erase", PLUGIN)
    left = host.run("find", "/run", "/usr", "-name", "*pyaudit*", "-not", "-path", "/usr/share/zoneinfo/*").split()
    assert left == []


def test_selinux_is_told_of(host: Machine) -> None:
    """On a host with SELinux the installation says what else it takes; with the module there it does not."""
    answer(host, "selinuxenabled", "exit 0")
    assert INSTALL in install(host)
    host.run("rpm", "--erase", PLUGIN)
    (host.root / "var/lib/selinux/targeted/active/modules/400/audisp_pyaudit").mkdir(parents=True)
    assert INSTALL not in install(host)


def test_without_what_compiles_it(host: Machine) -> None:
    """Who lacks a tool for the policy module is told which package has it."""
    install(host)
    said = host.run("sh", INSTALL, check=False)
    assert "missing: " in said
    assert "(package " in said
