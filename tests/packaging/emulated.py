"""Programs of another kind of machine in a Debian of that machine: qemu runs them, and only there.

In: a system in a folder, and a command of it. Out: what it says. Since Linux 6.7 a user namespace has a `binfmt_misc`
of its own, so nothing is registered with the machine, and what such a system does is done by root of that namespace.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ARCH = "arm64"
EMULATOR = "qemu-aarch64-static"
# What Debian's package of the emulator would have the kernel registered.
_FORMAT = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
# e_machine of AArch64, at its place in an ELF file.
_MACHINE, _AARCH64 = slice(18, 20), b"\xb7\x00"
# Who is told to go on has all users and groups of the machine, so that files have the owners that they are to have.
_ALL = "0 0 4294967295\n"
_WAIT = 'echo && read -r _ && exec "$@" </dev/null'
_REGISTER = (
    f"mount -t binfmt_misc binfmt /proc/sys/fs/binfmt_misc && cat {_FORMAT} >/proc/sys/fs/binfmt_misc/register && "
)


def is_foreign(root: Path) -> bool:
    """Whether a system is one of such a machine."""
    with (root / "usr" / "bin" / "dpkg").open("rb") as program:
        return program.read(_MACHINE.stop)[_MACHINE] == _AARCH64 and os.uname().machine != "aarch64"


def run(
    shut_in: Sequence[str], enter: str, arguments: Sequence[str | Path], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command in namespaces in which programs of that machine can be started.

    Args:
        shut_in: what makes the other namespaces.
        enter: what a shell does in there.
        arguments: the shell's.
        environment: all of it.
    """
    inner = [*shut_in, "sh", "-c", _REGISTER + enter, "sh", *arguments]
    command = ["unshare", "--user", "sh", "-c", _WAIT, "sh", *inner]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if said == "\n":
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{process.pid}/{name}").write_text(_ALL)
            said, _ = process.communicate("\n")
    return subprocess.CompletedProcess(command, process.returncode, said)


@functools.cache
def why_not() -> str:
    """Why no such program can be run here; empty if it can."""
    if os.uname().machine != "x86_64":
        return f"{ARCH} is emulated on amd64 only"
    if shutil.which(EMULATOR) is None or not _FORMAT.exists():
        return f"{EMULATOR} is missing (make test-packages installs it)"
    environment = {"PATH": os.defpath}
    done = run(["unshare", "--mount", "--pid", "--fork"], "true", [], environment)
    return f"the kernel has no binfmt_misc for a namespace (Linux 6.7 has): {done.stdout}" if done.returncode else ""
