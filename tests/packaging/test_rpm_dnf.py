"""The line of the README that installs the RPM, with a dnf whose repository has what EL's have, by name.

As in test_rpm_life.py the system is a Debian, and Debian's dnf is dnf 4, as that of EL 8 and 9 is. The packages in the
repository are empty ones: what dnf would fetch is tried, not what it would get.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import roots
from tests.packaging import rpm as rpm_package
from tests.packaging.machine import PLUGIN
from tests.packaging.package import TREE
from tests.packaging.rpm_fixtures import rpm

__all__ = ["rpm"]  # a fixture
pytestmark = pytest.mark.timeout(900)

# In the repository, and of no use to the package.
_OTHERS = ("librdkafka", "python3-msgpack")
_REPOSITORY = "[here]\nname=here\nbaseurl=file:///repository\ngpgcheck=0\n"
# Who answers the question whether to go on.
_YES = "[main]\nassumeyes=True\n"


@pytest.fixture(scope="module")
def root(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system whose rpm knows nothing, with dnf and its repository, and the package where `make rpm` has put it."""
    folder = tmp_path_factory.mktemp("dnf")
    root = rpm_package.dnf_system(folder)
    shutil.copytree(rpm_package.repository(root, folder, _OTHERS), root / "repository")
    roots.run(root, "createrepo_c", "--quiet", "/repository")
    (root / "etc" / "yum.repos.d").mkdir(exist_ok=True)
    (root / "etc" / "yum.repos.d" / "here.repo").write_text(_REPOSITORY)
    (root / "etc" / "dnf" / "dnf.conf").write_text(_YES)
    (root / "work" / "build" / "rpm").mkdir(parents=True)
    shutil.copy(rpm, root / "work" / "build" / "rpm")
    return root


def test_the_line_of_the_readme(root: Path) -> None:
    """`dnf install` of the file brings what it needs of the distribution, and nothing else; `dnf remove` removes it."""
    (line,) = re.findall(r"^\$ sudo (dnf install \./.*)$", (TREE / "README.md").read_text(), re.MULTILINE)
    assert "nothing was started" in roots.run(root, "sh", "-c", f"cd /work && {line}")
    installed = roots.run(root, "rpm", "--query", "--all", "--queryformat", "%{NAME}\n").split()
    # auditd, which is only recommended, comes along.
    assert set(installed) == {"audit", "bash", "glibc", "python3.11", "shadow-utils", PLUGIN}
    assert roots.run(root, "rpm", "--verify", PLUGIN) == ""
    assert roots.run(root, PLUGIN, "--version").startswith(PLUGIN)
    roots.run(root, "dnf", "remove", PLUGIN)
    assert not (root / "usr/sbin/audisp-pyaudit").exists()
