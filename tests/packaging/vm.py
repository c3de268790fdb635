"""A Debian system in a virtual machine, with that Debian's own kernel: for what the kernel of this machine has not.

In: a system in a folder, and a program to run in it as root. Out: what it printed. The system is the initial file
system, so there is no disk; nothing is left of it. Emulated: that takes no rights, but time.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.packaging import roots

_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs security /sys/kernel/security
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
systemd-tmpfiles --create audisp-pyaudit.conf
python3 -I -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 65))'
python3 -I /program 2>&1
echo o > /proc/sysrq-trigger
sleep 60
"""
_MEMORY_MB = 2048
_SECONDS = 300.0


def why_not() -> str:
    """Why there can be no virtual machine here; empty if there can."""
    if os.uname().machine != "x86_64":
        return "the virtual machine is one of amd64"
    missing = [each for each in ("qemu-system-x86_64", "cpio") if shutil.which(each) is None]
    return f"{', '.join(missing)} is missing (make test-packages installs it)" if missing else ""


def kernel(root: Path, folder: Path) -> Path:
    """The kernel of a Debian: fetched by its own apt, and taken out of the package."""
    asked = "apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \\(linux-image-\\S*\\).*/\\1/p' | head -n 1"
    roots.run(root, "sh", "-c", f"cd /tmp && apt-get --quiet download $({asked})")
    (deb,) = (root / "tmp").glob("linux-image-*.deb")
    subprocess.run(["dpkg-deb", "--extract", deb, folder / "kernel"], check=True)  # noqa: S607
    deb.unlink()
    (image,) = (folder / "kernel" / "boot").glob("vmlinuz-*")
    return image


def boot(root: Path, image: Path, program: Path, folder: Path, arguments: str) -> str:
    """Boot a system, run a program of Python's in it, and switch off; what was printed.

    Args:
        root: the system; two files are added to it.
        image: the kernel.
        program: the program.
        folder: for the initial file system.
        arguments: for the kernel.
    """
    (root / "vm-init").write_text(_INIT)
    (root / "vm-init").chmod(0o755)
    shutil.copy(program, root / "program")
    initial = folder / "root.cpio"
    without = ("var/lib/apt", "var/cache", "usr/share/doc", "usr/share/locale", "usr/share/man", "dev")
    skip = " -o ".join(f"-path './{each}/*'" for each in without)
    pack = f"find . \\( {skip} \\) -prune -o -print0 | cpio --null --quiet -o -H newc"
    with initial.open("wb") as stream:
        subprocess.run(["sh", "-c", pack], cwd=root, stdout=stream, check=True)  # noqa: S607
    machine = ["-accel", "tcg,thread=multi", "-smp", "2", "-m", str(_MEMORY_MB), "-nic", "none", "-nographic"]
    booted = ["-no-reboot", "-kernel", str(image), "-initrd", str(initial)]
    words = f"console=ttyS0 rdinit=/vm-init quiet panic=1 {arguments}"
    done = subprocess.run(
        ["qemu-system-x86_64", *machine, *booted, "-append", words],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_SECONDS,
        check=False,
    )
    initial.unlink()
    return done.stdout.decode(errors="replace")
