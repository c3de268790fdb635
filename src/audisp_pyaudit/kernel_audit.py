"""What the kernel's audit says of itself: how many records it lost, and how many wait.

In: nothing but time. Out: the newest answer, or why there is none. The kernel is asked one question only (AUDIT_GET),
which changes nothing; it answers who has CAP_AUDIT_CONTROL in the first user namespace. The thread that asks waits for
nobody but the kernel, and nobody waits for it.
"""

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from audisp_pyaudit.errand import Errand

_NETLINK_AUDIT = 9
_AUDIT_GET = 1000
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ERROR = struct.Struct("=i")
_U32 = struct.Struct("=I")
# What is read of struct audit_status, which grew with time: each field is there if the answer is long enough.
_FIELDS = {
    "enabled": 4,
    "failure": 8,
    "pid": 12,
    "rate_limit": 16,
    "backlog_limit": 20,
    "lost": 24,
    "backlog": 28,
}
_MIN_BYTES = 32
ASK_SECONDS = 10.0
# The kernel answers at once or never.
ANSWER_SECONDS = 1.0
_READ_BYTES = 8192


@dataclass(frozen=True)
class KernelStatus:
    """What the kernel said.

    Args:
        enabled: 0 off, 1 on, 2 on and locked.
        failure: what it does when it loses a record: 0 nothing, 1 say so, 2 panic.
        pid: of auditd; 0 if there is none.
        rate_limit: records a second that it lets pass; 0 for all.
        backlog_limit: records that may wait for auditd; 0 for any number.
        lost: records that it lost since it started (or since the number was reset).
        backlog: records that wait for auditd now.
    """

    enabled: int
    failure: int
    pid: int
    rate_limit: int
    backlog_limit: int
    lost: int
    backlog: int


def audit_socket() -> socket.socket:
    """A socket to the kernel's audit.

    Raises:
        OSError: there is none.
    """
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT)


def ask(connection: socket.socket, sequence: int) -> KernelStatus:
    """Ask the kernel.

    Raises:
        OSError: it refuses, or does not answer.
        ValueError: what came is no answer.
    """
    connection.settimeout(ANSWER_SECONDS)
    connection.send(_HEADER.pack(_HEADER.size, _AUDIT_GET, _NLM_F_REQUEST, sequence, 0))
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        data, sender = connection.recvfrom(_READ_BYTES)
        if isinstance(sender, tuple) and sender[0] != 0:  # not from the kernel
            continue
        found = _answer(data, sequence)
        if found is not None:
            return found
    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _answer(data: bytes, sequence: int) -> KernelStatus | None:
    """The answer in a datagram; None if it is to another question, or about something else."""
    if len(data) < _HEADER.size:
        raise ValueError(f"expected a netlink message, found {len(data)} bytes")
    length, kind, _, answered, _ = _HEADER.unpack_from(data)
    if answered != sequence or kind not in {_AUDIT_GET, _NLMSG_ERROR}:
        return None
    body = data[_HEADER.size : length]
    if kind == _NLMSG_ERROR:
        if len(body) < _ERROR.size:
            raise ValueError(f"expected an error's number, found {len(body)} bytes")
        number = -_ERROR.unpack_from(body)[0]
        if number == 0:  # an acknowledgement
            return None
        raise OSError(number, os.strerror(number))
    if len(body) < _MIN_BYTES:
        raise ValueError(f"expected at least {_MIN_BYTES} bytes of struct audit_status, found {len(body)}")
    return KernelStatus(**{name: _U32.unpack_from(body, at)[0] for name, at in _FIELDS.items()})


class KernelAudit:
    """Asks the kernel now and then, on a thread of its own.

    The thread does errands first, so that it can be made to keep the one capability that it needs, and be shut in
    like all others, while the process gives up what it has.

    Args:
        connect: makes the socket; `audit_socket` if None.
        every: seconds between two questions.
    """

    def __init__(self, connect: Callable[[], socket.socket] | None = None, every: float = ASK_SECONDS) -> None:
        self.trouble = ""
        self._connect = connect
        self._every = every
        self._latest: KernelStatus | None = None
        self._errands: SimpleQueue[Errand | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kernel audit", daemon=True)

    def start(self) -> None:
        """Begin the thread; it asks nothing before `go`."""
        self._thread.start()

    def errand(self, what: Callable[[], None], seconds: float) -> None:
        """Have the thread do something, and wait for that. Between `start` and `go`.

        Raises:
            OSError: as `what` does, or it was not done in time.
        """
        errand = Errand(what)
        self._errands.put(errand)
        if not errand.done(seconds):
            raise TimeoutError(errno.ETIMEDOUT, "the thread that asks the kernel has not had its turn")

    def go(self) -> None:
        """Ask from now on."""
        self._errands.put(None)

    def latest(self) -> KernelStatus | None:
        """The newest answer; None if there is none, for which `trouble` has the reason."""
        return self._latest

    def _run(self) -> None:
        while (errand := self._errands.get()) is not None:
            errand()
        sequence = 0
        while True:
            sequence += 1
            try:
                with (self._connect or audit_socket)() as connection:
                    self._latest = ask(connection, sequence)
                self.trouble = ""
            except OSError as error:
                self._fail(_words(error))
            except Exception as error:  # noqa: BLE001  # no answer, or a bug: it costs a number, nothing else
                self._fail(f"the kernel's answer cannot be read: {error}")
            time.sleep(self._every)

    def _fail(self, why: str) -> None:
        self._latest, self.trouble = None, why


def _words(error: OSError) -> str:
    if error.errno in {errno.EPERM, errno.EACCES}:
        return "the kernel does not tell us (Operation not permitted); it takes CAP_AUDIT_CONTROL"
    if error.errno in {errno.ECONNREFUSED, errno.EPROTONOSUPPORT}:
        return f"the kernel's audit is not to be had here ({error.strerror}): no audit in it, or a container"
    return f"the kernel does not answer: {error.strerror or error}"
