"""The installed plugin on a kernel whose SELinux enforces the policy module."""

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import roots, selinux, under_selinux, vm
from tests.packaging import rpm as rpm_package
from tests.packaging.rpm_fixtures import rpm

__all__ = ["rpm"]  # a fixture
pytestmark = pytest.mark.timeout(900)

# The root is in memory, of a file system that no host has as its root.
_IN_MEMORY = "(allow file_type root_t (filesystem (associate)))\n"
INSTALL = "/usr/share/audisp-pyaudit/selinux/install"
_KERNEL = "security=selinux selinux=1 lsm=landlock,selinux enforcing=0 audit=1 printk.devkmsg=on log_buf_len=4M"


def test_all_that_the_plugin_does_is_allowed(rpm: Path, tmp_path: Path) -> None:
    """In its own domain events reach a broker, a file and a subscriber; what takes a boolean is refused without it."""
    if why := vm.why_not() or selinux.why_not():
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    root = rpm_package.system(tmp_path)
    shutil.copy(rpm, root / "tmp" / rpm.name)
    permissive = "".join(f"(typepermissive {each})\n" for each in under_selinux.PERMISSIVE)
    (root / "tmp" / "vm.cil").write_text(permissive + _IN_MEMORY)
    wanted = ("python3-minimal", "selinux-policy-default", "selinux-policy-dev", "make", "policycoreutils")
    roots.run(root, "apt-get", "--yes", "--quiet", "--no-install-recommends", "install", *wanted)
    roots.run(root, "rpm", "--install", f"/tmp/{rpm.name}")  # noqa: S108  # of that system
    roots.run(root, "semodule", "-s", "default", "-n", "-i", "/tmp/vm.cil")  # noqa: S108  # as above
    # As the package's README says.
    assert "loaded" in roots.run(root, INSTALL)
    assert selinux.MODULE in roots.run(root, "semodule", "-l").split()
    image = vm.kernel(root, tmp_path)
    printed = vm.boot(root, image, Path(under_selinux.__file__), tmp_path, _KERNEL)
    shutil.rmtree(root)
    told = [line for line in printed.splitlines() if line.startswith(under_selinux.MARK)]
    assert told, printed[-4000:]
    seen = json.loads(told[0].removeprefix(under_selinux.MARK))
    assert seen["domains"] == [under_selinux.DOMAIN]
    assert (seen["events"], seen["exit"]) == (under_selinux.EVENTS, 0)
    assert seen["denied"] == []
    assert (seen["refused"], seen["kernel_refused"]) == (errno.ECONNREFUSED, True)
    # Under the booleans it listens, and asks the kernel.
    assert (seen["metrics"], seen["denied_later"]) == (200, [])
    starts = [line for line in seen["said"] if "event=reading " in line]
    assert len(starts) == under_selinux.STARTS
    assert all("user=audisp-pyaudit" in line for line in starts)
    ends = [line for line in seen["said"] if 'event="end of the input"' in line]
    assert ["ledger closed" in line for line in ends] == [True] * under_selinux.STARTS
