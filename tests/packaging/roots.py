"""Clean Debian systems to install packages on, in folders; nothing is started in them, and none reaches the machine.

In: Debian's archive, as apt on this machine knows it. Out: a folder with a system, for each test a fresh copy.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge import download
from tests.packaging import emulated

SUITES = ("bookworm", "trixie")
FOLDER = Path(__file__).parents[2] / "build" / "roots"
# Whose packages' scripts want to start something are told that it is not allowed here.
_POLICY = "#!/bin/sh\nexit 101\n"
_QUICK = "force-unsafe-io\n"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
# Processes and mounts of their own, so that whatever is started cannot reach the machine's audit; the network is apt's.
_SHUT_IN = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts")
_ENTER = 'mount -t proc proc "$1/proc" && root=$1 && shift && exec chroot "$root" "$@"'


def why_not() -> str:
    """Why there can be no such system here; empty if there can."""
    if os.getuid() != 0:
        return "only root can make a Debian system in a folder"
    missing = [each for each in ("debootstrap", "unshare", "chroot") if shutil.which(each) is None]
    return f"{', '.join(missing)} is missing (make test-packages installs it)" if missing else ""


def run(root: Path, *command: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in a system; what it says.

    Args:
        root: the system's folder.
        command: a program of the system, and its arguments.
        check: whether it has to succeed.
        environment: what is to stand there besides.
    """
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    whole = {**proxies, **_ENVIRONMENT, **(environment or {})}
    if emulated.is_foreign(root):
        done = emulated.run(_SHUT_IN, _ENTER, [root, *command], whole)
    else:
        done = subprocess.run(
            [*_SHUT_IN, "sh", "-c", _ENTER, "sh", root, *command],
            env=whole,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def _mirror() -> str:
    """The mirror of this machine, which may never have asked for Debian's packages."""
    try:
        return download.mirror()
    except OSError:
        download.apt("update")
        return download.mirror()


def _clean(suite: str, root: Path, arch: str) -> None:
    shutil.rmtree(root, ignore_errors=True)
    foreign = ["--foreign", f"--arch={arch}"] if arch else []
    mirror = _mirror()
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", *foreign, suite, root, mirror],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    if foreign:
        # Devices are there already; as in a container of that name, it is not to try whether it can make any.
        run(root, "/debootstrap/debootstrap", "--second-stage", environment={"container": "lxc"})
        (root / "etc" / "apt" / "sources.list").write_text(f"deb {mirror} {suite} main\n")
    policy = root / "usr" / "sbin" / "policy-rc.d"
    policy.write_text(_POLICY)
    policy.chmod(0o755)
    (root / "etc" / "dpkg" / "dpkg.cfg.d" / "quick").write_text(_QUICK)
    # apt's own user may not be able to enter where this tree is.
    (root / "etc" / "apt" / "apt.conf.d" / "99-as-root").write_text('APT::Sandbox::User "root";\n')
    run(root, "apt-get", "--quiet", "update")


def pack(root: Path, archive: Path) -> None:
    """Keep a system as it is now."""
    part = archive.with_suffix(".part")
    subprocess.run(["tar", "--numeric-owner", "-C", root, "-cf", part, "."], check=True)  # noqa: S607
    part.rename(archive)


def unpack(archive: Path, root: Path) -> Path:
    """Have a system again as it was kept; in a folder that anybody may enter, as `/` is."""
    root.mkdir()
    subprocess.run(["tar", "--numeric-owner", "-C", root, "-xpf", archive], check=True)  # noqa: S607
    root.chmod(0o755)
    return root


def clean(suite: str, arch: str = "") -> Path:
    """An archive with a system of a suite that has nothing but what every Debian has.

    Args:
        suite: which Debian.
        arch: a machine that this one emulates; empty for this one.
    """
    name = f"{suite}-{arch}" if arch else suite
    archive = FOLDER / f"{name}.tar"
    if not archive.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        _clean(suite, FOLDER / name, arch)
        pack(FOLDER / name, archive)
        shutil.rmtree(FOLDER / name)
    return archive
