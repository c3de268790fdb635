"""What is said in several places says the same: dependencies, versions, the profile. Needs nothing that is built."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import TREE

CONTROL = TREE / "packaging" / "deb" / "debian" / "control"
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


# What each kind of package says; the spec of the RPM belongs here, too.
LISTS: dict[str, Callable[[], dict[str, str]]] = {"deb": control}


@pytest.mark.parametrize("kind", LISTS)
def test_one_list_of_dependencies(kind: str) -> None:
    """Whoever installs a package gets all that the program needs, and nothing that is too old."""
    assert LISTS[kind]() == project()


def test_one_version() -> None:
    """The package's version is the program's."""
    cargo = tomllib.loads((TREE / "src" / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    first = (TREE / "packaging" / "deb" / "debian" / "changelog").read_text().splitlines()[0]
    assert re.match(rf"audisp-pyaudit \({re.escape(cargo)}-\d+\) ", first), first


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
    which = ["--manifest-path", str(TREE / "src" / "Cargo.toml"), "--package", "pyaudit-engine-py", "--locked"]
    how = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.run(["cargo", "tree", *which, *how], capture_output=True, text=True, check=True).stdout  # noqa: S607
    linked = {line.split()[0] for line in tree.splitlines() if not line.startswith("pyaudit-")}
    assert linked
    assert [each for each in sorted(linked) if not re.search(rf"\b{re.escape(each)}\b", text)] == []
