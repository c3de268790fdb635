"""What is said in several places says the same: dependencies, versions, the profile. Needs nothing that is built."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import TREE

CONTROL = TREE / "packaging" / "deb" / "debian" / "control"
RPM = TREE / "packaging" / "rpm"
SPEC = RPM / "audisp-pyaudit.spec"
_REQUIREMENT = re.compile(r"([a-z-]+)>=([\d.]+)\Z")
_DEBIAN = re.compile(r"python3-([a-z-]+) \(>= ([\d.]+)\)\Z")


def project() -> dict[str, str]:
    """What pyproject.toml says: by its name on PyPI, the lowest version of each; and Python's."""
    table = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    found = [_REQUIREMENT.match(each) for each in table["dependencies"]]
    assert all(found), table["dependencies"]
    return {**{each[1]: each[2] for each in found if each}, "python": table["requires-python"].removeprefix(">=")}


def control() -> dict[str, str]:
    """What the deb's control file says, by the same names."""
    (package,) = [each for each in CONTROL.read_text().split("\n\n") if each.startswith("Package: audisp-pyaudit\n")]
    block = re.search(r"^Depends:\n((?: .*\n)+)", package, re.MULTILINE)
    assert block
    entries = [each.strip() for each in block[1].replace("\n", "").split(",")]
    names = {}
    for each in entries:
        if found := _DEBIAN.match(each):
            names[found[1]] = found[2]
        elif each.startswith("python3 (>= "):
            names["python"] = each.removeprefix("python3 (>= ").removesuffix(")")
        else:
            assert not each or each.startswith("${"), f"{each}: of which dependency of ours?"
    return names


# What each kind of package says.
LISTS: dict[str, Callable[[], dict[str, str]]] = {"deb": control}


def bundled() -> dict[str, str]:
    """What the RPM brings itself: by its name on PyPI, the version."""
    return dict(re.findall(r"^([a-z-]+)==(\S+) ", (RPM / "bundled.txt").read_text(), re.MULTILINE))


def provided(kind: str) -> dict[str, str]:
    """What the spec says that the RPM brings, of a kind: `crate`, say."""
    return dict(re.findall(rf"^Provides: +bundled\({kind}\((.*?)\)\) = (\S+)$", SPEC.read_text(), re.MULTILINE))


def linked() -> dict[str, str]:
    """The crates that are linked into the engine, with their versions."""
    which = ["--manifest-path", str(TREE / "src" / "Cargo.toml"), "--package", "pyaudit-engine-py", "--locked"]
    how = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.run(["cargo", "tree", *which, *how], capture_output=True, text=True, check=True).stdout  # noqa: S607
    return dict(re.findall(r"^(?!pyaudit-)(\S+) v(\S+)", tree, re.MULTILINE))


def test_the_rpm_brings_what_is_needed() -> None:
    """What the RPM brings is all that the program asks for, none too old, and the spec names each with its version."""
    wanted = project()
    assert f"\n%{{!?pyver: %global pyver {wanted.pop('python')}}}\n" in SPEC.read_text()
    brought = bundled()
    assert brought.keys() == wanted.keys()
    for name, least in wanted.items():
        assert [int(each) for each in brought[name].split(".")] >= [int(each) for each in least.split(".")], name
    assert provided("python3dist") == brought


def test_the_rpm_names_every_crate() -> None:
    """Whoever looks for a crate with a hole in it finds it in the RPM, by the version that is linked."""
    assert provided("crate") == linked()


@pytest.mark.parametrize("kind", LISTS)
def test_one_list_of_dependencies(kind: str) -> None:
    """Whoever installs a package gets all that the program needs, and nothing that is too old."""
    assert LISTS[kind]() == project()


def test_one_version() -> None:
    """The package's version is the program's."""
    cargo = tomllib.loads((TREE / "src" / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    first = (TREE / "packaging" / "deb" / "debian" / "changelog").read_text().splitlines()[0]
    assert re.match(rf"audisp-pyaudit \({re.escape(cargo)}-\d+\) ", first), first
    spec = SPEC.read_text()
    assert re.search(rf"^Version: +{re.escape(cargo)}$", spec, re.MULTILINE)
    newest = re.search(r"^%changelog\n\* (.*?\d{4}) .* - (.*)-\d+$", spec, re.MULTILINE)
    assert newest
    assert newest[2] == cargo
    # Times in packages are that of the release, the same in all.
    done = subprocess.run([TREE / "tools" / "release-date"], capture_output=True, text=True, check=True)
    released = time.gmtime(int(done.stdout))
    assert newest[1] == time.strftime("%a %b %d %Y", released)


def test_the_apparmor_profile_is_one() -> None:
    """AppArmor's own parser has no fault to find with the profile."""
    parser = shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if parser is None:
        why = "apparmor_parser is missing (Debian's package apparmor)"
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    profile = TREE / "packaging" / "apparmor" / "audisp-pyaudit"
    command = [parser, "--skip-kernel-load", "--skip-cache", str(profile)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Enforced: neither complaining nor letting everything pass.
    flags = re.search(r"flags=\((.*)\)", profile.read_text())
    assert flags
    assert flags[1] == "attach_disconnected"


def test_the_copyright_file_knows_every_crate() -> None:
    """What is linked into the engine is named where Debian looks for licences."""
    text = (TREE / "packaging" / "deb" / "debian" / "copyright").read_text()
    assert linked()
    assert [each for each in sorted(linked()) if not re.search(rf"\b{re.escape(each)}\b", text)] == []
