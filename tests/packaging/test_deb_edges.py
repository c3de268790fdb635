"""The deb where something is not as it should be: links, users and files that were there, installations that fail."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.kernel import build as build_library
from tests.packaging import roots
from tests.packaging.fixtures import deb
from tests.packaging.machine import PLUGIN, Machine, machine
from tests.packaging.package import PLUGIN_CONF, TOML, field

__all__ = ["deb"]  # a fixture
pytestmark = pytest.mark.timeout(900)
SUITE = "bookworm"
STATE = "var/lib/audisp-pyaudit"
LOG = "var/log/audisp-pyaudit"
FILE = "/tmp/audisp-pyaudit.deb"  # noqa: S108  # of that system
OTHER = "/tmp/other.deb"  # noqa: S108  # as above


@pytest.fixture(scope="module")
def systems(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A system that has all but the package, which lies in its /tmp; and what a stand-in for the kernel is made of."""
    root = roots.unpack(roots.clean(SUITE), tmp_path_factory.mktemp(SUITE) / "root")
    shutil.copy(deb, root / FILE[1:])
    roots.run(root, "apt-get", "--yes", "--quiet", "install", FILE)
    roots.run(root, "apt-get", "purge", "--yes", "--quiet", PLUGIN)
    roots.run(root, "userdel", PLUGIN)
    yield root, build_library(tmp_path_factory.mktemp("library"))
    shutil.rmtree(root)


@pytest.fixture
def host(systems: tuple[Path, Path]) -> Iterator[Machine]:
    """A machine of it; fresh for each test."""
    with machine(*systems) as made:
        yield made


def install(host: Machine, *options: str, check: bool = True) -> str:
    """Install the package; what apt says."""
    return host.run("apt-get", "install", "--yes", "--quiet", *options, FILE, check=check)


def purge(host: Machine) -> str:
    """Purge the package; what apt says."""
    return host.run("apt-get", "purge", "--yes", "--quiet", PLUGIN)


def owner(host: Machine, path: str) -> str:
    """User, group and mode of what is at a path, or behind a link there."""
    return host.run("stat", "-L", "-c", "%U:%G %a", f"/{path}").strip()


def test_state_behind_a_link(host: Machine) -> None:
    """Who keeps the spool on another disk is told what that takes, and what a purge leaves there."""
    disk = host.root / "srv" / "audit"
    disk.mkdir()
    (host.root / STATE).symlink_to("/srv/audit")
    said = install(host)
    assert "chown -R audisp-pyaudit: /srv/audit\n" in said
    assert "/srv/audit/ rw,  /srv/audit/** rwkl," in said
    host.run("chown", "-R", "audisp-pyaudit:", "/srv/audit")
    assert "/srv/audit" not in install(host, "--reinstall")
    (disk / "spool").mkdir()
    said = purge(host)
    assert "left, for /var/lib/audisp-pyaudit was a link to it:  /srv/audit\n" in said
    assert not (host.root / STATE).is_symlink()
    assert (disk / "spool").exists()


def test_a_purge_says_what_it_leaves(host: Machine) -> None:
    """Events that were written to files are the administrator's; nobody finds them by chance years later."""
    install(host)
    (host.root / LOG).mkdir()
    (host.root / LOG / "events.json").write_text("{}\n")
    assert f"left, events in files:  /{LOG}\n" in purge(host)
    assert (host.root / LOG / "events.json").exists()


def test_a_user_that_was_there(host: Machine) -> None:
    """Who has a user of that name, but not in its group, is told what it cannot read, and what mends it."""
    host.run("useradd", "--system", "--gid", "nogroup", "--no-create-home", PLUGIN)
    mend = f"usermod -a -G {PLUGIN} {PLUGIN}"
    assert mend in install(host)
    assert owner(host, TOML) == f"root:{PLUGIN} 640"
    assert mend in host.run("audisp-pyaudit", "check-config", check=False)
    host.run(*mend.split())
    assert "OK" in host.run("audisp-pyaudit", "check-config")
    assert mend not in install(host, "--reinstall")


def test_a_default_configuration_that_is_asked_for_again(host: Machine) -> None:
    """Who deletes the configuration and has dpkg bring it back has one that the plugin can read."""
    install(host)
    (host.root / TOML).unlink()
    host.run("dpkg", "--force-confmiss", "--install", FILE)
    assert owner(host, TOML) == f"root:{PLUGIN} 640"
    # What somebody made another one's stays so.
    host.run("chown", "root:adm", f"/{TOML}")
    install(host, "--reinstall")
    assert owner(host, TOML) == "root:adm 640"


def blocking(host: Machine, folder: Path) -> None:
    """Have a package that has the plugin's program, too, so that dpkg cannot unpack ours."""
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "DEBIAN" / "control").write_text(
        "Package: other\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@invalid>\nDescription: none\n"
    )
    (folder / "usr" / "sbin").mkdir(parents=True)
    (folder / "usr" / "sbin" / PLUGIN).write_text("")
    subprocess.run(["dpkg-deb", "--build", folder, host.root / OTHER[1:]], check=True, capture_output=True)  # noqa: S607
    host.run("dpkg", "--install", OTHER)


def test_an_installation_that_fails_leaves_nothing_active(host: Machine, tmp_path: Path) -> None:
    """No auditd is told to start a program that is not there, and the next try has the description again."""
    install(host)
    conf = host.root / PLUGIN_CONF
    conf.write_text(conf.read_text().replace("active = no", "active = yes"))
    host.run("apt-get", "remove", "--yes", "--quiet", PLUGIN)
    kept = conf.with_name(f"{conf.name}.dpkg-bak")
    assert (kept.exists(), conf.exists()) == (True, False)
    blocking(host, tmp_path / "other")
    assert "trying to overwrite" in host.run("dpkg", "--install", FILE, check=False)
    assert (kept.exists(), conf.exists()) == (True, False)
    host.run("dpkg", "--purge", "other")
    install(host)
    assert "active = yes" in conf.read_text()


def test_somebody_elses_description_stays_where_an_installation_fails(host: Machine, tmp_path: Path) -> None:
    """Who has the plugin by tools/install, and a package that cannot be unpacked, has a plugin that works as before."""
    conf = host.root / PLUGIN_CONF
    conf.write_text("active = yes\n")
    blocking(host, tmp_path / "other")
    assert "trying to overwrite" in host.run("dpkg", "--install", FILE, check=False)
    assert conf.read_text() == "active = yes\n"


def test_a_configuration_of_ones_own_and_no_terminal(host: Machine) -> None:
    """As the deb's README says: with --force-confold it is installed where one was there before, which is kept."""
    (host.root / TOML).parent.mkdir()
    (host.root / TOML).write_text('[host]\nname = "mine"\n')
    refused = install(host, check=False)
    assert "end of file on stdin at conffile prompt" in refused
    host.run("dpkg", "--force-confold", "--configure", "--pending")
    assert (host.root / TOML).read_text() == '[host]\nname = "mine"\n'
    assert field(host.root / FILE[1:], "Version") in host.run("dpkg", "--status", PLUGIN)


def test_folders_are_closed_if_auditd_comes_later(host: Machine) -> None:
    """The trail's configuration is not for all, whichever package made its folder."""
    host.run("apt-get", "purge", "--yes", "--quiet", "auditd")
    shutil.rmtree(host.root / "etc" / "audit", ignore_errors=True)
    install(host, "--no-install-recommends")
    assert owner(host, "etc/audit") == "root:root 750"
    assert owner(host, "etc/audit/plugins.d") == "root:root 750"


def test_programs_of_ones_own_read_events(host: Machine) -> None:
    """As consuming.md says, a program finds the consumer in the package's folder, with the distribution's libraries."""
    install(host)
    line = '{"event": {"id": "a"}}'
    (host.root / "events.json").write_text(f"{line}\n")
    text = "from audisp_pyaudit import consumer; print(list(consumer.open('file:///events.json')))"
    where = {"PYTHONPATH": "/usr/lib/audisp-pyaudit"}
    assert "'id': 'a'" in host.run("python3", "-c", text, environment=where)
    documents = host.run("cat", "/usr/share/doc/audisp-pyaudit/consuming.md")
    assert "PYTHONPATH=/usr/lib/audisp-pyaudit" in documents
