"""The SELinux policy: our module compiled, and Debian's whole reference policy with it.

In: packaging/selinux, and Debian's packages selinux-policy-dev (installed) and selinux-policy-default (only fetched).
Out: a policy as the kernel would load it.
"""

import bz2
import shutil
import subprocess
from pathlib import Path

from tests.packaging.package import TREE

MODULE = "audisp_pyaudit"
DEVEL = Path("/usr/share/selinux/devel/Makefile")
# What the kernels of Debian 12 take.
_VERSION = "33"


def why_not() -> str:
    """Why no policy can be compiled here; empty if it can."""
    tools = ("checkmodule", "semodule_package", "semodule_link", "semodule_expand", "sesearch")
    missing = [each for each in tools if shutil.which(each, path="/usr/bin:/usr/sbin:/bin:/sbin") is None]
    missing += [] if DEVEL.exists() else [str(DEVEL)]
    return f"{', '.join(missing)} is missing (make test-packages installs it)" if missing else ""


def said(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run([*command], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def compiled(folder: Path) -> Path:
    """Our module, as `semodule -i` takes it."""
    work = folder / "module"
    shutil.copytree(TREE / "packaging" / "selinux", work)
    told = said("make", "-f", DEVEL, f"{MODULE}.pp", cwd=work)
    assert "warning" not in told.lower(), told
    return work / f"{MODULE}.pp"


def whole(module: Path, folder: Path) -> Path:
    """Debian's policy with ours in it; what contradicts a rule of the whole (neverallow, say) does not come to be."""
    said("apt-get", "--quiet", "download", "selinux-policy-default", cwd=folder)
    (deb,) = folder.glob("selinux-policy-default*.deb")
    said("dpkg-deb", "--extract", deb, folder / "policy")
    modules = folder / "modules"
    modules.mkdir()
    for packed in (folder / "policy" / "usr/share/selinux/default").glob("*.pp.bz2"):
        (modules / packed.stem).write_bytes(bz2.decompress(packed.read_bytes()))
    base = modules / "base.pp"
    others = sorted(each for each in modules.glob("*.pp") if each != base)
    said("semodule_link", "-o", folder / "linked.pp", base, *others, module)
    said("semodule_expand", "-c", _VERSION, folder / "linked.pp", folder / "policy.bin")
    return folder / "policy.bin"
