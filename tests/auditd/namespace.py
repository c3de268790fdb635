"""A namespace of our own for an auditd: processes, mounts and network that are nobody else's.

`inside.py` is its process 1, and does there what it is asked for. Nothing in it can reach the kernel's audit: that is
for processes of the machine's own pid namespace only.
"""

import contextlib
import functools
import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_INSIDE = Path(__file__).with_name("inside.py")
_REQUEST_BYTES = 1 << 20
_TIMEOUT = 60.0
_ROOT = 0
# Who is not root and owns nothing.
NOBODY = 65534
# The machine's python: what runs in the namespace may be somebody who cannot read our folders.
_PYTHON = "/usr/bin/python3"


def _command(*, rootless: bool) -> list[str]:
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if rootless:
        # Back to who can be root of a user namespace only.
        command = [*_become_nobody(), command[0], "--user", "--map-root-user", *command[1:]]
    return command


def _become_nobody() -> list[str]:
    if os.getuid() != _ROOT:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@functools.cache
def why_not(*, rootless: bool = False) -> str:
    """Why there can be no such namespace here; empty if there can."""
    if not rootless and os.getuid() != _ROOT:
        return "only root may have namespaces of its own here"
    done = subprocess.run([*_command(rootless=rootless), "true"], capture_output=True, text=True, check=False)
    return f"no namespace of our own can be had: {done.stderr.strip()}" if done.returncode else ""


class Namespace:
    """A namespace.

    Args:
        binds: files and folders to be shown elsewhere in it, by that place.
        rootless: whether it is somebody's who is not root.
    """

    def __init__(self, binds: Mapping[str, Path], *, rootless: bool = False) -> None:
        self.rootless = rootless
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_TIMEOUT)
        outer = str(Path("/proc/self/ns/pid").readlink())
        self._process = subprocess.Popen(
            [*_command(rootless=rootless), _PYTHON, "-I", "-c", _INSIDE.read_text(), outer],
            stdin=theirs.fileno(),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        theirs.close()
        self.ask("prepare", binds={place: str(path) for place, path in binds.items()})

    def ask(self, do: str, **what: object) -> Any:  # noqa: ANN401  # as `inside` has it
        """Have something done inside.

        Returns:
            What it says; sockets, where some are handed over.
        """
        self._control.send(json.dumps({"do": do, **what}).encode())
        data, received, _, _ = socket.recv_fds(self._control, _REQUEST_BYTES, 8)
        assert data, "process 1 of the namespace is gone"
        answer = json.loads(data)
        assert "error" not in answer, f"{do}: {answer['error']}"
        return [socket.socket(fileno=each) for each in received] if received else answer["value"]

    @property
    def root(self) -> Path:
        """The root folder of process 1, seen from outside."""
        (first,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return Path(f"/proc/{first}/root")

    def close(self) -> None:
        """The end of it, and of all that runs in it."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
