"""The RPM on a system whose rpm knows what is there: installed, run by an auditd, upgraded, removed.

Takes some minutes and root: `make test-packages` sets PACKAGES for it, `make test` leaves it out. The system is a
Debian, since no repository of EL can be counted on here: its auditd, its Python 3.11, its rpm. What its rpm has to
be told of the system is one package that stands for the rest, so that a requirement nobody meets is found. What is not
tested: dnf, systemd's own sysusers.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.drills.drill import HOST_ID
from tests.packaging import life, roots
from tests.packaging import rpm as rpm_package
from tests.packaging.life import SUBSCRIBER, host, library
from tests.packaging.machine import PLUGIN, Machine
from tests.packaging.package import CHANGED, ENGINE, PLUGIN_CONF, TOML
from tests.packaging.rpm_fixtures import rpm

__all__ = ["host", "library", "rpm"]  # fixtures
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="session")
def newer(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that comes after it."""
    return rpm_package.next_one(rpm, tmp_path_factory.mktemp("newer"))


@pytest.fixture(scope="module")
def installed(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A system on which the package was installed from outside, with `rpm --root`, and what rpm said."""
    root = rpm_package.system(tmp_path_factory.mktemp("system"))
    shutil.copy(rpm, root / "tmp" / rpm.name)
    said = rpm_package.said("rpm", "--root", root, "--install", rpm)
    (root / "etc" / "machine-id").write_text(f"{HOST_ID}\n")
    yield root, said
    shutil.rmtree(root)


def install(host: Machine, file: Path, *options: str) -> str:
    """What an administrator types for another version; what rpm says."""
    shutil.copy(file, host.root / "tmp" / file.name)
    return host.run("rpm", "--upgrade", *options, f"/tmp/{file.name}")  # noqa: S108  # of that system


def test_rpm_installs_it(installed: tuple[Path, str]) -> None:
    """All it requires is met; user and folders are there, nothing is started, and it says what is left to do."""
    root, said = installed
    assert "nothing was started" in said
    assert "\nactive = no\n" in (root / PLUGIN_CONF).read_text()
    # Modes, owners, contents and links of all files, as rpm's own database has them.
    assert roots.run(root, "rpm", "--verify", PLUGIN) == ""
    user = roots.run(root, "getent", "passwd", PLUGIN).strip().split(":")
    assert user[5:] == ["/nonexistent", "/sbin/nologin"]
    version = roots.run(root, "rpm", "--query", "--queryformat", "%{VERSION}", PLUGIN)
    assert roots.run(root, "audisp-pyaudit", "--version").strip() == f"audisp-pyaudit, version {version}"
    assert "OK" in roots.run(root, "audisp-pyaudit", "check-config").upper()
    # Neither the installation nor a run has left anything in /usr that rpm does not know.
    unknown = roots.run(root, "find", "/usr/lib/audisp-pyaudit", "-type", "f").split()
    listed = roots.run(root, "rpm", "--query", "--list", PLUGIN).split()
    assert set(unknown) <= set(listed)


def test_as_it_is_shipped(host: Machine) -> None:
    """`active = yes` and a sink are all it takes: auditd's records reach a broker, by the librdkafka in the package."""
    life.has_a_name(host)
    life.through_kafka(host, "/usr/bin/python3.11")
    # Besides what the administrator has changed all is as it was installed.
    changed = host.run("rpm", "--verify", PLUGIN, check=False).splitlines()
    assert sorted(line.split()[1:] for line in changed) == [["c", f"/{TOML}"], ["c", f"/{PLUGIN_CONF}"]]


def test_upgrade_and_back(host: Machine, newer: Path, rpm: Path) -> None:
    """An upgrade restarts nothing, nor does going back; the configuration stays, what waits is delivered."""
    host.set_up(SUBSCRIBER)
    changed = {name: (host.root / name).read_text() for name in (PLUGIN_CONF, TOML)}
    host.start()
    for file, options in ((newer, ()), (rpm, ("--oldpackage",))):
        host.feed.send(100)
        auditd, plugins = host.pid, host.plugins().keys()
        assert "service auditd restart" in install(host, file, *options)
        assert (CHANGED in (host.root / ENGINE).read_bytes()) == (file == newer)
        # What was started before runs on.
        assert (host.pid, host.plugins().keys()) == (auditd, plugins)
        assert {name: (host.root / name).read_text() for name in changed} == changed
        host.feed.send(100)
        host.until(lambda: host.waiting("siem") >= len(host.feed.times), "all is in the spool")
        host.stop()
        host.start()
        # auditd reads no name with two dots, so one plugin runs.
        assert sorted(each.name for each in (host.root / PLUGIN_CONF).parent.glob("audisp-pyaudit*")) == [
            "audisp-pyaudit.conf",
            "audisp-pyaudit.conf.rpmnew",
        ]
        assert len(host.plugins()) == 1
    life.comes_out(host)


def test_removed(host: Machine) -> None:
    """A removal leaves events and changed configuration, an auditd that finds no fault, and no code."""
    said = life.runs_on_when_removed(host, "rpm", "--erase", PLUGIN)
    assert "service auditd restart" in said
    left = host.run("find", "/etc", "/usr", "-name", "*pyaudit*").split()
    assert sorted(left) == ["/etc/audisp-pyaudit", f"/{TOML}.rpmsave", f"/{PLUGIN_CONF}.rpmsave"]
    life.auditd_does_without(host)


def test_what_it_costs(host: Machine, figures: list[str]) -> None:
    """Whoever installs it knows what it takes: disk, the time until it reads, and memory."""
    size = int(host.run("rpm", "--query", "--queryformat", "%{SIZE}", PLUGIN)) / (1 << 20)
    figures.append(life.cost(host, "rpm", size))
