"""The deb for arm64: cross-built, installed with apt and run on a clean Debian of that machine, which an emulator runs.

What is not tested: its auditd, whose netlink the emulator has not; Landlock and seccomp, likewise.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import emulated, foreign, package, roots
from tests.packaging.package import ENGINE, TREE, field

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def deb() -> Path:
    """The package for that machine. In CI all has to be there."""
    if why := roots.why_not() or emulated.why_not():
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    return package.build(TREE / "build" / "deb", emulated.ARCH)


@pytest.fixture(scope="module")
def installed(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean system of that machine on which apt has installed the package."""
    root = roots.unpack(roots.clean("bookworm", emulated.ARCH), tmp_path_factory.mktemp("arm64") / "root")
    shutil.copy(deb, root / "tmp" / deb.name)
    # What is only recommended is left out: auditd, which cannot be run there.
    command = ("apt-get", "--yes", "--quiet", "--no-install-recommends", "install", f"/tmp/{deb.name}")  # noqa: S108
    assert "nothing was started" in roots.run(root, *command)
    return root


def test_it_is_for_that_machine(deb: Path, tmp_path: Path) -> None:
    """The package, its engine and what it depends on are that machine's, under the names that they have there."""
    assert field(deb, "Architecture") == emulated.ARCH
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path], check=True)  # noqa: S607
    engine = tmp_path / ENGINE
    told = subprocess.run(["readelf", "--wide", "--file-header", engine], capture_output=True, text=True, check=True)  # noqa: S607
    assert "AArch64" in told.stdout
    depends = [each.split(" (")[0].strip() for each in field(deb, "Depends").split(",")]
    assert {"libc6", "libgcc-s1"} <= set(depends)
    assert [each for each in depends if "cross" in each or f":{emulated.ARCH}" in each] == []


def test_it_is_the_other_one_but_for_the_engine(deb: Path, tmp_path: Path) -> None:
    """Whoever knows the package for amd64 knows this one: the same files, and but for the engine the same bytes."""
    native = package.build(TREE / "build" / "deb")
    files = []
    for each, folder in ((deb, tmp_path / "there"), (native, tmp_path / "here")):
        subprocess.run(["dpkg-deb", "--extract", each, folder], check=True)  # noqa: S607
        found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        files.append({str(path.relative_to(folder)): path.read_bytes() for path in found})
    there, here = files
    assert there.keys() == here.keys()
    assert [each for each in there if there[each] != here[each]] == [ENGINE]


def test_built_again_elsewhere_it_is_the_same(deb: Path, tmp_path: Path) -> None:
    """Whoever doubts this package can build it, too, and compare it byte by byte."""
    again = package.build(tmp_path / "elsewhere", emulated.ARCH, target=tmp_path / "target")
    assert again.read_bytes() == deb.read_bytes()


def test_lintian(deb: Path) -> None:
    """Debian's own check finds neither errors nor warnings in this one either."""
    (changes,) = deb.parent.glob(f"*_{emulated.ARCH}.changes")
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", str(changes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_runs_there_as_here(installed: Path, tmp_path: Path) -> None:
    """On arm64 the installed command and plugin make of the same records the same documents as on amd64."""
    assert roots.run(installed, "dpkg", "--verify") == ""
    assert "OK" in roots.run(installed, foreign.PLUGIN, "check-config").upper()
    foreign.decodes_alike(installed)
    foreign.runs_alike(installed, tmp_path)


def test_it_goes(installed: Path) -> None:
    """Purged, nothing is left but the user."""
    roots.run(installed, "apt-get", "--yes", "--quiet", "purge", foreign.PLUGIN)
    places = ("/etc", "/usr", "/var/lib", "/var/cache", "/run")
    assert roots.run(installed, "find", *places, "-name", "*pyaudit*", "-not", "-name", "*.deb") == ""
    assert roots.run(installed, "getent", "passwd", foreign.PLUGIN)
