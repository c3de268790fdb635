"""Process 1 of a namespace in which an auditd runs: starts it, and does what has to be done from inside.

In: requests as JSON from the socket on standard input, one a datagram. Out: an answer to each, in order, with
descriptors where sockets are handed over. It ends when the other end is closed, and with it all that runs here.

    unshare --mount --net --pid --fork --mount-proc python3 -I inside.py OUTER_PID_NAMESPACE < SOCKET

It starts nothing where it could touch the machine's audit: a process in a pid namespace of its own may not, whatever
it tries. So this refuses to run in any other.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BIND, _MOVE, _RECURSIVE, _PRIVATE = 4096, 8192, 16384, 1 << 18
_DEVICES = ("null", "zero", "full", "random", "urandom")
_REQUEST_BYTES = 1 << 16
_SIOCSIFFLAGS = 0x8914


def why_not(outer: str, pid_namespace: str, pid: int) -> str:
    """Why nothing is started here; empty if all is well.

    Args:
        outer: the pid namespace that we came from, as /proc/self/ns/pid says it.
        pid_namespace: the one that we are in.
        pid: our number in it.
    """
    if not outer or pid_namespace == outer or pid != 1:
        return "not in a pid namespace of our own: an auditd here could take over the machine's audit"
    return ""


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [each.encode() for each in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: mount {target}")


def _own_folders(binds: dict[str, str]) -> None:
    """/run, /dev and what programs remember become our own, empty; `binds` are files and folders to show elsewhere."""
    _mount("none", "/", "none", _PRIVATE | _RECURSIVE)
    _mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    for name in ("/run/audit", "/run/dev"):
        Path(name).mkdir()
    _mount("tmpfs", "/run/dev", "tmpfs", 0, "mode=755")
    for name in _DEVICES:
        Path("/run/dev", name).touch()
        _mount(f"/dev/{name}", f"/run/dev/{name}", "none", _BIND)
    _mount("/run/dev", "/dev", "none", _MOVE)
    _mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=755")
    for target, source in binds.items():
        if target.startswith("/run/") and Path(source).is_dir():
            Path(target).mkdir(parents=True)
        _mount(source, target, "none", _BIND)


def _network() -> None:
    """The loopback goes up; as many datagrams wait in a socket as on a machine with systemd."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", 1 | 64))  # up and running
    try:
        Path("/proc/sys/net/unix/max_dgram_qlen").write_text("512")
    except OSError:
        return


def _links(folder: Path) -> Iterator[tuple[str, str]]:
    """Where the links of a folder lead; some go while one looks."""
    for each in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield each.name, str(each.readlink())


class Inside:
    """Answers requests. Each public method is one: keyword arguments in, a value and descriptors out."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._ended: dict[int, tuple[int, float]] = {}
        wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = wake
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until the other end is closed."""
        while True:
            control: list[Any] = [self._control, self._wake]
            ready = select.select(control, [], [])[0]
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._control in ready:
                data = self._control.recv(_REQUEST_BYTES)
                if not data:
                    return
                request = json.loads(data)
                descriptors: list[int] = []
                answer: dict[str, Any] = {}
                try:
                    do = getattr(self, request.pop("do"))
                    answer["value"] = do(hand_over=descriptors, **request)
                except Exception as error:  # noqa: BLE001  # told to the test, which fails
                    answer["error"] = repr(error)
                socket.send_fds(self._control, [json.dumps(answer).encode()], descriptors)
                for fd in descriptors:
                    os.close(fd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._ended[pid] = (os.waitstatus_to_exitcode(status), time.monotonic())

    def prepare(self, binds: dict[str, str], **_: object) -> None:
        """Folders and network of our own."""
        _own_folders(binds)
        _network()

    def enter(self, root: str, **_: object) -> None:
        """From now on this is a machine of its own, whose system is in a folder, which is not written to.

        /run, /dev and /proc are ours, and what is changed is gone with us.
        """
        _mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755")
        for name in ("upper", "work", "root"):
            Path("/mnt", name).mkdir()
        _mount("overlay", "/mnt/root", "overlay", 0, f"lowerdir={root},upperdir=/mnt/upper,workdir=/mnt/work")
        _mount("proc", "/mnt/root/proc", "proc", 0)
        for name in ("/dev", "/run"):
            _mount(name, f"/mnt/root{name}", "none", _BIND | _RECURSIVE)
        os.chroot("/mnt/root")
        os.chdir("/")

    def start(self, argv: list[str], output: str, environment: dict[str, str], **_: object) -> int:
        """Start a command; what it says goes to the end of a file.

        Returns:
            Its number.
        """
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        streams = [(os.POSIX_SPAWN_DUP2, each, fd) for fd, each in enumerate((null, said, said))]
        pid = os.posix_spawn(argv[0], argv, environment, file_actions=streams)
        os.close(null)
        os.close(said)
        return pid

    def signal(self, pid: int, number: int, **_: object) -> None:
        """Send a signal."""
        os.kill(pid, number)

    def ended(self, **_: object) -> dict[int, tuple[int, float]]:
        """Processes of ours that ended: exit code, negative for a signal, and when by the monotonic clock."""
        self._reap()
        return self._ended

    def processes(self, **_: object) -> dict[str, dict[str, Any]]:
        """What runs here: parent, command line, working directory, descriptors and some lines of its status."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                lines = (folder / "status").read_text().splitlines()
                status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
                found[folder.name] = {
                    "parent": int(status["PPid"]),
                    "state": status["State"],
                    "argv": (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1],
                    "environment": (folder / "environ").read_bytes().decode(errors="replace"),
                    "directory": str((folder / "cwd").readlink()),
                    "descriptors": dict(_links(folder / "fd")),
                    "signals": {name: int(status[name], 16) for name in ("SigBlk", "SigIgn", "SigCgt")},
                    "uid": status["Uid"].split()[1],
                }
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def gone(self, pid: int, **_: object) -> bool:
        """Whether a process has ended, and all that it had is closed."""
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        return state in "ZX"

    def read(self, path: str, **_: object) -> str:
        """The text of a file; empty if there is none."""
        try:
            return Path(path).read_text()
        except FileNotFoundError:
            return ""

    def listen(self, port: int, hand_over: list[int], **_: object) -> None:
        """A socket that listens on our loopback."""
        made = socket.create_server(("127.0.0.1", port), backlog=16)
        hand_over.append(made.detach())

    def connect(self, port: int, hand_over: list[int], **_: object) -> None:
        """A connection to somebody on our loopback."""
        hand_over.append(socket.create_connection(("127.0.0.1", port), timeout=10).detach())

    def listen_unix(self, path: str, hand_over: list[int], **_: object) -> None:
        """A Unix socket that listens."""
        made = socket.socket(socket.AF_UNIX)
        made.bind(path)
        made.listen()
        hand_over.append(made.detach())

    def is_socket(self, path: str, **_: object) -> bool:
        """Whether there is a socket of that name."""
        return Path(path).is_socket()

    def connect_unix(self, path: str, hand_over: list[int], **_: object) -> None:
        """A connection to a Unix socket of ours."""
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        hand_over.append(made.detach())

    def log(self, hand_over: list[int], **_: object) -> None:
        """The socket that is /dev/log here."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind("/dev/log")
        Path("/dev/log").chmod(0o666)  # everybody's
        hand_over.append(made.detach())


def main() -> None:
    """Serve, if this is a place where that does no harm."""
    os.chdir("/")
    os.umask(0o22)
    outer = sys.argv[1] if len(sys.argv) > 1 else ""
    why = why_not(outer, str(Path("/proc/self/ns/pid").readlink()), os.getpid())
    if why:
        raise SystemExit(why)
    Inside(socket.socket(fileno=0)).serve()


if __name__ == "__main__":
    main()
