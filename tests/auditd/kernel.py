"""A stand-in for the kernel's end of the audit netlink socket; `kernel.c`, preloaded into auditd, is the other end.

In: records as auditd writes them (`type=NAME msg=audit(...): ...`). Out: the same as the kernel sends them, by number;
type numbers are those of `src/knowledge/data`. Who sends waits while auditd does not read, as a process that makes
audit records does. What auditd asks for is answered by a thread.
"""

import contextlib
import functools
import re
import socket
import struct
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

_SOURCE = Path(__file__).with_suffix(".c")
_TYPES = Path(__file__).parents[2] / "src" / "knowledge" / "data" / "record_types.tsv"
_RECORD = re.compile(rb"(?:node=\S+ )?type=(\S+) msg=(audit\([^\x1d\n]*)")
_UNKNOWN = re.compile(r"UNKNOWN\[(\d+)\]\Z")
_HEAD = struct.Struct("=II")
SIGNAL_INFO = 1010
SET = 1001
# What libaudit has room for.
LONGEST = 8970
_SEND_BYTES = 4 << 20
_WAIT_SECONDS = 0.2


def build(folder: Path) -> Path:
    """Compile the library to preload; for any C library, so without a start file and what compilers add."""
    library = folder / "audit_stand_in.so"
    flags = (
        "-std=gnu11",
        "-shared",
        "-fPIC",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-nostartfiles",
        "-fno-stack-protector",
    )
    done = subprocess.run(["cc", *flags, "-o", library, _SOURCE], capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 0, done.stderr
    return library


@functools.cache
def numbers() -> dict[str, int]:
    """Record types by the name that auditd writes."""
    rows = [line.split("\t") for line in _TYPES.read_text().splitlines() if line and not line.startswith("#")]
    return {name: int(number) for number, name, *_ in rows[1:]}


def number_of(name: str) -> int:
    """The number of a record type; also of those that an old auditd has no name for.

    Raises:
        KeyError: nobody knows it.
    """
    unknown = _UNKNOWN.match(name)
    return int(unknown[1]) if unknown else numbers()[name]


class Kernel:
    """The kernel's end.

    Args:
        listening: where auditd comes for its end.
    """

    def __init__(self, listening: socket.socket) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(PermissionError):  # then fewer records wait in it
            ours.setsockopt(socket.SOL_SOCKET, 32, _SEND_BYTES)  # SO_SNDBUFFORCE, which Python has no name for
        self._socket = ours
        self._theirs = theirs
        self._listening = listening
        # What auditd asked for: types, and what came with them.
        self.requests: list[tuple[int, bytes]] = []
        self._closed = threading.Event()
        listening.settimeout(_WAIT_SECONDS)
        self._threads = [
            threading.Thread(target=each, name="kernel", daemon=True) for each in (self._answer, self._hand_over)
        ]
        for each in self._threads:
            each.start()

    def send(self, lines: Iterable[bytes]) -> int:
        """Send records; how many there were. Waits while auditd has not read those before."""
        count = 0
        for line in lines:
            found = _RECORD.match(line)
            assert found, line[:200]
            self.send_record(number_of(found[1].decode()), found[2])
            count += 1
        return count

    def send_record(self, number: int, text: bytes) -> None:
        """Send one record."""
        assert len(text) <= LONGEST
        self._socket.send(_HEAD.pack(number, 0) + text)

    def _hand_over(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._listening.accept()
                with connection:
                    socket.send_fds(connection, [b"\0"], [self._theirs.fileno()])

    def _answer(self) -> None:
        """Who sends a signal to auditd: process 1, of root."""
        while True:
            try:
                data = self._socket.recv(_HEAD.size + LONGEST)
            except OSError:
                return
            if len(data) < _HEAD.size:
                return
            number, sequence = _HEAD.unpack_from(data)
            self.requests.append((number, data[_HEAD.size :]))
            if number == SIGNAL_INFO:
                with contextlib.suppress(OSError):
                    self._socket.send(_HEAD.pack(number, sequence) + struct.pack("=Ii", 0, 1))

    def close(self) -> None:
        """The end of it; auditd has to be gone by now."""
        with contextlib.suppress(OSError):
            self._theirs.send(b"")  # wakes the thread: it is no request
        self._closed.set()
        for each in self._threads:
            each.join(10)
        self._listening.close()
        self._theirs.close()
        self._socket.close()
