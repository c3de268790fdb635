"""How long the installed command takes until it reads.

In: a system with the package. Out: milliseconds from starting the process to the moment its standard input is empty.
"""

import array
import fcntl
import os
import subprocess
import termios
import time
from pathlib import Path

_PATIENCE = 30.0


def _waits(fd: int) -> int:
    """Bytes that nobody has read yet."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def first_read_ms(root: Path) -> float:
    """Start the plugin as auditd does, without an environment, and wait until it has read what is there."""
    read, write = os.pipe()
    try:
        os.write(write, b"type=EOE msg=audit(1700000000.001:1): \n")
        begin = time.monotonic()
        # A mount namespace only: this process is neither auditd nor asks the kernel.
        process = subprocess.Popen(
            ["chroot", root, "/usr/sbin/audisp-pyaudit"],  # noqa: S607
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin"},
        )
        while _waits(read):
            assert time.monotonic() - begin < _PATIENCE, "it reads nothing"
            time.sleep(0.0002)
        took = time.monotonic() - begin
    finally:
        os.close(read)
        os.close(write)
    process.kill()
    process.wait()
    return took * 1000
