"""The RPM for aarch64: cross-built, installed by rpm and run on a system of that machine, which an emulator runs.

As in test_rpm_life.py the system is a Debian. What is not tested: its auditd, whose netlink the emulator has not;
Landlock and seccomp, likewise.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import emulated, foreign, roots
from tests.packaging import rpm as rpm_package

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for that machine. In CI all has to be there."""
    if why := rpm_package.why_not() or roots.why_not() or emulated.why_not():
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    return rpm_package.build(tmp_path_factory.mktemp("rpm") / "built", foreign.MACHINE)


@pytest.fixture(scope="module")
def installed(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system of that machine on which its rpm has installed the package, without being told to overlook anything."""
    root = rpm_package.system(tmp_path_factory.mktemp("system"), emulated.ARCH)
    shutil.copy(rpm, root / "tmp" / rpm.name)
    assert "nothing was started" in roots.run(root, "rpm", "--install", f"/tmp/{rpm.name}")  # noqa: S108  # of that system
    return root


def test_it_is_for_that_machine(rpm: Path) -> None:
    """Every Linux on that machine from glibc 2.28 on can satisfy it, and every library in it is that machine's."""
    assert rpm_package.said("rpm", "-qp", "--queryformat", "%{ARCH}", rpm) == foreign.MACHINE
    requires = rpm_package.said("rpm", "-qp", "--requires", rpm)
    versions = [tuple(map(int, each.split("."))) for each in re.findall(r"\(GLIBC_([\d.]+)\)", requires)]
    assert versions
    assert max(versions) <= (2, 28)
    kinds = {row[1] for row in rpm_package.tags(rpm, "FILENAMES", "FILECLASS") if ".so" in Path(row[0]).name}
    assert kinds
    assert [each for each in kinds if "aarch64" not in each] == []


def test_it_runs_there_as_here(installed: Path, tmp_path: Path) -> None:
    """On aarch64 the installed command and plugin make of the same records the same documents as on x86_64."""
    assert roots.run(installed, "rpm", "--verify", foreign.PLUGIN) == ""
    assert "OK" in roots.run(installed, foreign.PLUGIN, "check-config").upper()
    foreign.decodes_alike(installed)
    foreign.runs_alike(installed, tmp_path)


def test_it_goes(installed: Path) -> None:
    """Removed, none of its code is left."""
    roots.run(installed, "rpm", "--erase", foreign.PLUGIN)
    left = roots.run(installed, "find", "/etc", "/usr", "-name", "*pyaudit*").split()
    # The configuration was not changed.
    assert left == []
