"""The deb on clean Debian systems: installed with apt, run by the auditd of that Debian, upgraded, downgraded, removed.

Takes some minutes and root: `make test-packages` sets PACKAGES for it, `make test` leaves it out. Nothing is started
outside of namespaces of its own, whose auditd has a stand-in for the kernel. What is not tested: an AppArmor that
enforces (few kernels of build machines have it), and a boot by systemd.
"""

import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.arrived import arrived
from tests.drills.drill import HOST_ID
from tests.packaging import life, package, roots
from tests.packaging.fixtures import deb
from tests.packaging.life import STATE, SUBSCRIBER, host, library
from tests.packaging.machine import PLUGIN, Machine
from tests.packaging.package import PLUGIN_CONF, TOML

__all__ = ["deb", "host", "library"]  # fixtures
pytestmark = pytest.mark.timeout(900)

PYTHON = "/usr/bin/python3"
OUT = "/var/log/audisp-pyaudit/events.json"
FILE = f'[sinks.archive]\ntype = "file"\npath = "{OUT}"\n'
# Events that an upgrade and a way back take their time for, at least.
ENOUGH = 300


@pytest.fixture(scope="session")
def newer(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that comes after it."""
    return package.next_one(deb, tmp_path_factory.mktemp("newer"))


@pytest.fixture(scope="module", params=roots.SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """A Debian."""
    return str(request.param)


@pytest.fixture(scope="module")
def installed(suite: str, deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A clean system on which the package was installed with apt, and what apt said."""
    folder = tmp_path_factory.mktemp(suite)
    root = roots.unpack(roots.clean(suite), folder / "root")
    shutil.copy(deb, root / "tmp" / deb.name)
    said = roots.run(root, "apt-get", "--yes", "--quiet", "install", f"/tmp/{deb.name}")  # noqa: S108  # of that system
    (root / "etc" / "machine-id").write_text(f"{HOST_ID}\n")
    yield root, said
    shutil.rmtree(root)


def owner(root: Path, path: str) -> tuple[str, str, int]:
    """User, group and mode of a file of a system."""
    names = {}
    for name in ("passwd", "group"):
        rows = [line.split(":") for line in (root / "etc" / name).read_text().splitlines()]
        names[name] = {int(row[2]): row[0] for row in rows}
    found = (root / path).lstat()
    return names["passwd"][found.st_uid], names["group"][found.st_gid], stat.S_IMODE(found.st_mode)


def test_apt_installs_it(installed: tuple[Path, str]) -> None:
    """One command brings the plugin, its libraries and auditd; nothing is started, and it says what is left to do."""
    root, said = installed
    assert "nothing was started" in said
    assert (root / "usr/sbin/auditd").exists()
    assert roots.run(root, "dpkg", "--verify") == ""
    assert owner(root, TOML) == ("root", PLUGIN, 0o640)
    assert owner(root, PLUGIN_CONF) == ("root", "root", 0o640)
    assert owner(root, STATE) == (PLUGIN, PLUGIN, 0o700)
    assert "\nactive = no\n" in (root / PLUGIN_CONF).read_text()
    user = roots.run(root, "getent", "passwd", PLUGIN).strip().split(":")
    assert user[5:] == ["/nonexistent", "/usr/sbin/nologin"]
    assert roots.run(root, "passwd", "--status", PLUGIN).split()[1] == "L"
    # Compiled for this Python, so that nobody compiles it at each start.
    code = root / "usr/lib/audisp-pyaudit"
    assert len(list(code.rglob("*.pyc"))) == len(list(code.rglob("*.py")))


def test_its_commands(installed: tuple[Path, str]) -> None:
    """The command line works as it is installed: version, checking, what the shell completes, both manual pages."""
    root, _ = installed
    assert roots.run(root, "audisp-pyaudit", "--version").strip() == f"audisp-pyaudit, version {package.version(root)}"
    assert "OK" in roots.run(root, "audisp-pyaudit", "check-config").upper()
    script = "/usr/share/bash-completion/completions/audisp-pyaudit"
    ask = f"source {script}; COMP_WORDS=(audisp-pyaudit de); COMP_CWORD=1; _audisp_pyaudit_completion audisp-pyaudit; "
    assert roots.run(root, "bash", "-c", ask + 'echo "${COMPREPLY[@]}"').strip() == "decode"
    for page in ("man8/audisp-pyaudit.8", "man5/audisp-pyaudit.toml.5"):
        # Not in a minimal Debian: its dpkg leaves manual pages out, unless told otherwise.
        assert f"/usr/share/man/{page}.gz" in roots.run(root, "dpkg", "--listfiles", "audisp-pyaudit")


def test_as_it_is_shipped(host: Machine) -> None:
    """`active = yes` and a sink are all it takes: auditd's records become events, by a process without root."""
    life.has_a_name(host)
    host.set_up(FILE)
    host.start()
    life.is_no_root(host, PYTHON)
    host.feed.send(500)
    host.until(lambda: len(host.documents(OUT)) >= 500, "events arrive")
    assert host.run("audisp-pyaudit", "status")
    host.stop()
    host.closed()
    # That auditd.conf, which only root may read, names this host was known: events have our id, and no node.
    life.everything(arrived(host.documents(OUT), host.feed.times), host)
    assert owner(host.root, OUT[1:]) == (PLUGIN, PLUGIN, 0o600)
    # Besides what the administrator has changed all is as it was installed.
    changed = host.run("dpkg", "--verify", "audisp-pyaudit", check=False).splitlines()
    assert [line.split()[1:] for line in changed] == [["c", f"/{TOML}"], ["c", f"/{PLUGIN_CONF}"]]


def test_to_kafka(host: Machine) -> None:
    """The distribution's own librdkafka delivers."""
    life.through_kafka(host, PYTHON)


def install(host: Machine, deb: Path, *options: str) -> str:
    """Install a package's file, which may be an older one; what apt says."""
    shutil.copy(deb, host.root / "tmp" / deb.name)
    file = f"/tmp/{deb.name}"  # noqa: S108  # of that system
    return host.run("apt-get", "install", "--yes", "--quiet", "--allow-downgrades", *options, file)


def test_upgrade_under_load(host: Machine, newer: Path, deb: Path) -> None:
    """An upgrade restarts nothing, nor does going back; the configuration stays, what waits is delivered."""
    host.set_up(SUBSCRIBER)
    changed = {name: (host.root / name).read_text() for name in (PLUGIN_CONF, TOML)}
    host.start()
    for each in (newer, deb):
        host.feed.begin(1000)
        auditd, plugins = host.pid, host.plugins().keys()
        assert "service auditd restart" in install(host, each, "--option=Dpkg::Options::=--force-confold")
        assert package.field(each, "Version") == host.run("dpkg-query", "--show", "--showformat=${Version}", PLUGIN)
        # What was started before runs on.
        assert (host.pid, host.plugins().keys()) == (auditd, plugins)
        assert {name: (host.root / name).read_text() for name in changed} == changed
        assert owner(host.root, TOML) == ("root", PLUGIN, 0o640)
        # What auditd itself does not hand on at its stop is another matter, of the drills.
        host.feed.stop()
        host.until(lambda: host.waiting("siem") >= host.feed.last, "nobody reads: all waits in the spool")
        host.stop()
        host.start()
        assert len(host.plugins()) == 1
    found = life.comes_out(host)
    assert found.duplicates == 0
    assert len(found.events) > ENOUGH


@pytest.mark.parametrize(("answer", "left", "plugins"), [("old", "dist", 1), ("new", "old", 0)])
def test_what_dpkg_leaves_beside_the_description_is_none(
    host: Machine, newer: Path, answer: str, left: str, plugins: int
) -> None:
    """Whatever is answered when dpkg asks whose configuration to keep, auditd starts the plugin by that one only."""
    host.set_up(FILE)
    install(host, newer, f"--option=Dpkg::Options::=--force-conf{answer}")
    folder = (host.root / PLUGIN_CONF).parent
    ours = {each.name: "\nactive = yes\n" in each.read_text() for each in folder.glob("audisp-pyaudit*")}
    assert ours == {"audisp-pyaudit.conf": answer == "old", f"audisp-pyaudit.conf.dpkg-{left}": answer == "new"}
    if plugins:
        host.start()
    else:
        host.start_auditd()
        host.until(lambda: any("Init complete" in each for each in host.log.of("auditd")), "auditd is up")
    assert len(host.plugins()) == plugins
    host.stop()
    host.closed()


def test_removed_installed_again_and_purged(host: Machine, deb: Path) -> None:
    """A removal leaves configuration and events, and an auditd that finds no fault; a purge leaves the user only."""
    life.runs_on_when_removed(host, "apt-get", "remove", "--yes", "--quiet", PLUGIN)
    assert not (host.root / "usr/lib/audisp-pyaudit").exists()
    assert (host.root / TOML).exists()
    life.auditd_does_without(host)
    # Installed again: as it was before, and what waited is delivered.
    install(host, deb)
    assert "\nactive = yes\n" in (host.root / PLUGIN_CONF).read_text()
    host.start()
    life.comes_out(host)
    host.run("apt-get", "purge", "--yes", "--quiet", PLUGIN)
    places = ("/etc", "/usr", "/var/lib", "/var/cache", "/run")
    left = host.run("find", *places, "-name", "*pyaudit*", "-not", "-name", "*.deb").split()
    assert left == []
    assert host.run("getent", "passwd", PLUGIN)


def test_what_it_costs(host: Machine, figures: list[str], suite: str) -> None:
    """Whoever installs it knows what it takes: disk, the time until it reads, and memory."""
    size = int(host.run("dpkg-query", "--show", "--showformat=${Installed-Size}", PLUGIN)) / 1024
    figures.append(life.cost(host, f"deb on {suite}", size))
