"""The installed plugin on a kernel whose AppArmor enforces the profile that the package brings."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import roots, under_apparmor, vm
from tests.packaging.fixtures import deb
from tests.packaging.package import TOML

__all__ = ["deb"]  # a fixture
pytestmark = pytest.mark.timeout(900)
# One will do: the profile is the same, and so is what the plugin does.
SUITE = "bookworm"


def test_all_that_the_plugin_does_is_allowed(deb: Path, tmp_path: Path) -> None:
    """Under the profile events reach every kind of sink, metrics are told, and nothing that is needed is denied."""
    why = vm.why_not()
    if why:
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    root = roots.unpack(roots.clean(SUITE), tmp_path / "root")
    shutil.copy(deb, root / "tmp" / deb.name)
    file = f"/tmp/{deb.name}"  # noqa: S108  # of that system
    roots.run(root, "apt-get", "--yes", "--quiet", "install", "--no-install-recommends", "apparmor", file)
    with (root / TOML).open("a") as stream:
        stream.write(under_apparmor.SINKS)
    image = vm.kernel(root, tmp_path)
    program = Path(under_apparmor.__file__)
    printed = vm.boot(root, image, program, tmp_path, "apparmor=1 lsm=landlock,apparmor")
    shutil.rmtree(root)
    told = [line for line in printed.splitlines() if line.startswith(under_apparmor.MARK)]
    assert told, printed[-4000:]
    seen = json.loads(told[0].removeprefix(under_apparmor.MARK))
    assert seen["threads"] == ["audisp-pyaudit (enforce)"]
    (reading,) = [line for line in seen["said"] if "event=reading " in line]
    assert "user=audisp-pyaudit" in reading
    assert "apparmor=yes" in reading
    assert (seen["events"], seen["decoded"], seen["metrics"], seen["exit"]) == (under_apparmor.EVENTS, 1, 200, 0)
    # Whoever is under the profile cannot read what it does not name, root or not; nor may the plugin ask the kernel's
    # audit. That is all that was denied, and with the administrator's word nothing is.
    assert seen["closed_file"] == 13
    assert seen["kernel_refused"]
    known = ('"/etc/shadow"', 'capname="audit_control"')
    denied = {next((word for word in known if word in each), each) for each in seen["denied"]}
    assert denied == set(known), seen["denied"]
    assert (seen["exit_later"], seen["denied_later"]) == (0, [])
    ends = [line for line in seen["said"] + seen["said_later"] if 'event="end of the input"' in line]
    assert ["ledger closed" in line for line in ends] == [True, True]
