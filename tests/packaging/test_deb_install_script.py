"""`tools/install` on a clean system: what is there goes on working until the new one does, and packages are left alone.

Python's venv and pip are stand-ins here, which put a command into a folder or fail; the wheel is tried elsewhere.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.kernel import build as build_library
from tests.packaging import roots
from tests.packaging.fixtures import deb
from tests.packaging.machine import PLUGIN, Machine, machine
from tests.packaging.package import PLUGIN_CONF, TOML, TREE

__all__ = ["deb"]  # a fixture
pytestmark = pytest.mark.timeout(900)
SUITE = "bookworm"
HOME = "opt/audisp-pyaudit"
COMMAND = "usr/sbin/audisp-pyaudit"
NEEDS = ("tools/install", "plugin", "man", "docs", "packaging/selinux")
# `python -m venv FOLDER` makes a pip whose wheels are commands that tell their name; two cannot be installed, or run.
PYTHON = """\
#!/bin/sh
mkdir -p $3/bin
cat > $3/bin/pip << 'END'
#!/bin/sh
for wheel; do :; done
case $wheel in *refused*) echo "no such wheel" >&2; exit 1 ;; *dead*) told="exit 1" ;; *) told="echo $wheel" ;; esac
printf '#!/bin/sh\\n%s\\n' "$told" > ${0%/*}/audisp-pyaudit
chmod 0755 ${0%/*}/audisp-pyaudit
END
chmod 0755 $3/bin/pip
"""


@pytest.fixture(scope="module")
def systems(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A system with what the script is part of; and what a stand-in for the kernel is made of."""
    root = roots.unpack(roots.clean(SUITE), tmp_path_factory.mktemp(SUITE) / "root")
    shutil.copy(deb, root / "audisp-pyaudit.deb")
    # What it depends on stays; a machine has no network.
    roots.run(root, "apt-get", "--yes", "--quiet", "install", "/audisp-pyaudit.deb")
    roots.run(root, "apt-get", "purge", "--yes", "--quiet", PLUGIN)
    roots.run(root, "userdel", PLUGIN)
    for name in NEEDS:
        (root / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (TREE / name).is_dir() else shutil.copy)(TREE / name, root / "tree" / name)
    (root / "python").write_text(PYTHON)
    (root / "python").chmod(0o755)
    yield root, build_library(tmp_path_factory.mktemp("library"))
    shutil.rmtree(root)


@pytest.fixture
def host(systems: tuple[Path, Path]) -> Iterator[Machine]:
    """A machine of it; fresh for each test."""
    with machine(*systems) as made:
        yield made


def install(host: Machine, argument: str, *, check: bool = True) -> str:
    """Run the script; what it says."""
    return host.run("bash", "/tree/tools/install", argument, check=check, environment={"PYTHON": "/python"})


def says(host: Machine) -> str:
    """What the installed command says."""
    return host.run("sh", "-c", "audisp-pyaudit").strip()


def test_installed_and_upgraded(host: Machine) -> None:
    """The command is the new one from one moment to the next; what runs keeps its own, and no older one stays."""
    install(host, "one.whl")
    assert says(host) == "one.whl"
    assert host.run("stat", "-c", "%U:%G %a", f"/{TOML}", f"/{PLUGIN_CONF}").split("\n")[:2] == [
        f"root:{PLUGIN} 640",
        "root:root 640",
    ]
    (host.root / TOML).write_text("# mine\n")
    for name in ("two.whl", "three.whl"):
        before = (host.root / COMMAND).readlink()
        install(host, name)
        assert says(host) == name
        folders = {str((host.root / COMMAND).readlink().parents[1]), str(before.parents[1])}
        assert {f"/{HOME}/{each.name}" for each in (host.root / HOME).iterdir()} == folders
    assert (host.root / TOML).read_text() == "# mine\n"
    install(host, "--remove")
    assert not (host.root / HOME).exists()
    assert not (host.root / COMMAND).is_symlink()


@pytest.mark.parametrize("wheel", ["refused.whl", "dead.whl"])
def test_an_upgrade_that_fails_changes_nothing(host: Machine, wheel: str) -> None:
    """No network, no room, a wheel for another machine: the plugin that is there is there afterwards."""
    install(host, "one.whl")
    before = (host.root / COMMAND).readlink()
    install(host, wheel, check=False)
    assert (host.root / COMMAND).readlink() == before
    assert says(host) == "one.whl"
    assert [f"/{HOME}/{each.name}" for each in (host.root / HOME).iterdir()] == [str(before.parents[1])]


def test_one_of_before(host: Machine) -> None:
    """What an earlier version of the script installed is replaced, and stays for who runs from it."""
    old = host.root / HOME / "bin" / "audisp-pyaudit"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho old\n")
    (host.root / COMMAND).symlink_to(f"/{HOME}/bin/audisp-pyaudit")
    install(host, "one.whl")
    assert says(host) == "one.whl"
    assert old.exists()
    install(host, "two.whl")
    assert not old.exists()


def test_a_package_is_left_alone(host: Machine) -> None:
    """Who has the package by apt cannot damage it with the script, whichever way."""
    host.run("apt-get", "--yes", "--quiet", "install", "/audisp-pyaudit.deb")
    for argument in ("one.whl", "--remove"):
        assert "belongs to the package audisp-pyaudit" in install(host, argument, check=False)
        assert host.run("dpkg", "--verify", PLUGIN) == ""
    assert not (host.root / HOME).exists()
