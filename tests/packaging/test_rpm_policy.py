"""The subpackage with the policy, as a host of EL builds it.

rpm has selinux-policy's macros there, here it has stand-ins that tell their names: what those do is not tested.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import selinux
from tests.packaging.package import TREE
from tests.packaging.rpm import ARCH, OBJECTS, said
from tests.packaging.rpm_fixtures import rpm

__all__ = ["rpm"]  # a fixture
pytestmark = pytest.mark.timeout(900)
_MACROS = """\
%selinux_relabel_pre(s:) echo relabel-pre %{-s*}
%selinux_modules_install(s:) echo install %{-s*} %*
%selinux_modules_uninstall(s:) echo uninstall %{-s*} %*
%selinux_relabel_post(s:) echo relabel-post %{-s*}
%selinux_requires Requires: selinux-policy-base >= 1
"""
_MODULE = "/usr/share/selinux/packages/targeted/audisp_pyaudit.pp.bz2"


@pytest.fixture(scope="module")
def made(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `make rpm` makes on such a host, by architecture."""
    assert rpm  # what is needed to build is there
    if why := selinux.why_not():
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    home = tmp_path_factory.mktemp("home")
    (home / ".rpmmacros").write_text(_MACROS)
    environment = {"VIRTUAL_ENV": sys.prefix, "RPM_OBJECTS": str(OBJECTS), "HOME": str(home)}
    for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")):
        environment[name] = os.environ.get(name, str(Path.home() / folder))
    shutil.rmtree(home / "rpm", ignore_errors=True)
    said(TREE / "packaging" / "rpm" / "build", ARCH, home / "rpm", environment=environment)
    return {each.suffixes[-2][1:]: each for each in (home / "rpm").glob("*.rpm")}


def scripts(rpm: Path) -> dict[str, str]:
    """What is run, by when."""
    told = said("rpm", "-qp", "--scripts", rpm)
    parts = re.split(r"^(\w+) scriptlet \(using /bin/sh\):\n", told, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_module_is_in_it(made: dict[str, Path]) -> None:
    """The subpackage has the compiled module, and the interface for policies of subscribers."""
    files = said("rpm", "-qp", "--list", made["noarch"]).split()
    assert files == ["/usr/share/selinux/devel/include/distributed/audisp_pyaudit.if", _MODULE]
    requires = said("rpm", "-qp", "--requires", made["noarch"])
    assert "selinux-policy-base >= 1" in requires
    # Installed with the package wherever there is that policy.
    assert "if selinux-policy-targeted)" in said("rpm", "-qp", "--requires", made[ARCH])


def test_files_are_relabelled(made: dict[str, Path]) -> None:
    """What was installed before the module gets its labels, and after a removal none is left that means nothing."""
    told = scripts(made["noarch"])
    assert "relabel-pre targeted" in told["preinstall"]
    assert f"install targeted {_MODULE}" in told["postinstall"]
    assert "relabel-post targeted" in told["posttrans"]
    removal = told["postuninstall"]
    assert removal.index("uninstall targeted audisp_pyaudit") < removal.index("restorecon -RF")
    assert "/var/lib/audisp-pyaudit" in removal


def test_who_has_the_subpackage_is_not_told_to_compile_one(made: dict[str, Path], rpm: Path) -> None:
    """The sources are in the package either way, and the advice only where there is no subpackage."""
    advice = "/usr/share/audisp-pyaudit/selinux/install"
    for each, told in ((made[ARCH], False), (rpm, True)):
        assert advice in said("rpm", "-qp", "--list", each).split()
        assert (advice in scripts(each)["postinstall"]) == told
