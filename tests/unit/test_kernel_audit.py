"""The kernel's counters, from a stand-in for the kernel: no socket to the real one is ever made here."""

import contextlib
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from audisp_pyaudit import kernel_audit as module
from audisp_pyaudit.kernel_audit import KernelAudit, KernelStatus, ask

Eventually = Callable[..., None]

# mask, enabled, failure, pid, rate_limit, backlog_limit, lost, backlog
STATUS = struct.pack("=8I", 1, 1, 2, 812, 100, 8192, 4_294_967_295, 17)
FOUND = KernelStatus(enabled=1, failure=2, pid=812, rate_limit=100, backlog_limit=8192, lost=4_294_967_295, backlog=17)
GENERATIONS = {
    "2.6": STATUS,
    "3.16, with a version": STATUS + struct.pack("=I", 1),
    "4.4, with a time to wait": STATUS + struct.pack("=2I", 0x7F, 15000),
    "6.6, with the time waited": STATUS + struct.pack("=3I", 0x7F, 15000, 3),
    "of a kernel to come": STATUS + bytes(400),
}


def message(kind: int, body: bytes, sequence: int = 7) -> bytes:
    """A netlink message."""
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body


def refusal(number: int, sequence: int = 7) -> bytes:
    """NLMSG_ERROR, which repeats the header of the question."""
    return message(2, struct.pack("=i", -number) + bytes(16), sequence)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end, and the kernel's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        theirs.settimeout(10)
        yield ours, theirs


@pytest.mark.parametrize("body", GENERATIONS.values(), ids=GENERATIONS.keys())
def test_every_generation_of_kernels(pair: tuple[socket.socket, socket.socket], body: bytes) -> None:
    """What an old kernel says is understood, and what a new one says beyond that does no harm."""
    ours, theirs = pair
    theirs.send(message(1000, body))
    assert ask(ours, 7) == FOUND


def test_the_question_changes_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is AUDIT_GET, a header and nothing else: no rule, no setting of the kernel is touched."""
    ours, theirs = pair
    theirs.send(message(1000, STATUS))
    ask(ours, 7)
    assert struct.unpack("=IHHII", theirs.recv(100)) == (16, 1000, 1, 7, 0)


def test_what_is_no_answer_to_us_is_passed_over(pair: tuple[socket.socket, socket.socket]) -> None:
    """Records, answers to other questions and acknowledgements may come first."""
    ours, theirs = pair
    for each in (message(1300, b"x" * 40), message(1000, bytes(40), 6), refusal(0), message(1000, STATUS)):
        theirs.send(each)
    assert ask(ours, 7) == FOUND


@pytest.mark.parametrize("data", [b"", b"x" * 10, message(1000, b""), message(1000, STATUS[:28]), message(2, b"x")])
def test_garbage(pair: tuple[socket.socket, socket.socket], data: bytes) -> None:
    """What is too short is an error that says what was expected."""
    ours, theirs = pair
    theirs.send(data)
    with pytest.raises(ValueError, match=r"expected .*, found \d+"):
        ask(ours, 7)


def test_only_the_kernel_is_believed() -> None:
    """A program that may send to our socket cannot tell us that nothing was lost."""

    class Spoofed:
        def __init__(self) -> None:
            self.came = [(message(1000, bytes(40)), (4711, 0)), (message(1000, STATUS), (0, 0))]

        def settimeout(self, _seconds: float) -> None: ...

        def send(self, _data: bytes) -> None: ...

        def recvfrom(self, _size: int) -> tuple[bytes, tuple[int, int]]:
            return self.came.pop(0)

    assert ask(Spoofed(), 7) == FOUND  # type: ignore[arg-type]  # a stand-in


def test_a_kernel_that_says_nothing(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for for ever, even if other messages keep coming."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    ours, theirs = pair
    with pytest.raises(TimeoutError):
        ask(ours, 7)
    ended = threading.Event()

    def chatter() -> None:
        while not ended.wait(0.01):
            with contextlib.suppress(OSError):
                theirs.send(message(1300, b"x" * 40))

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            ask(ours, 7)
    finally:
        ended.set()
        thread.join()


class Kernel:
    """A kernel that answers each question with the next of some answers; the last one for good."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0

    def connect(self) -> socket.socket:
        """A socket to it."""
        self.asked += 1
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        header = struct.unpack_from("=IHHII", answer)
        theirs.send(struct.pack("=IHHII", *header[:3], self.asked, 0) + answer[16:])
        threading.Thread(target=_hear, args=(theirs,)).start()
        return ours


def _hear(connection: socket.socket) -> None:
    """Take the question, and leave."""
    with connection:
        connection.recv(100)


def test_it_asks_again_and_again(eventually: Eventually) -> None:
    """The newest answer is there; trouble is said in words while it lasts."""
    kernel = Kernel(message(1000, STATUS), refusal(errno.EPERM), message(1000, b"x"), message(1000, STATUS))
    audit = KernelAudit(kernel.connect, every=0.05)
    seen: set[str] = set()

    def all_seen() -> bool:
        seen.add(audit.trouble)
        return kernel.asked > 4 and audit.latest() == FOUND and not audit.trouble

    assert audit.latest() is None
    audit.start()
    audit.go()
    eventually(all_seen)
    assert any("it takes CAP_AUDIT_CONTROL" in each for each in seen)
    assert any("cannot be read: expected at least 32 bytes" in each for each in seen)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EPROTONOSUPPORT, "no audit in it, or a container"),
        (errno.ECONNREFUSED, "no audit in it, or a container"),
        (errno.EMFILE, "does not answer: Too many open files"),
    ],
)
def test_no_socket_at_all(eventually: Eventually, number: int, words: str) -> None:
    """In a container, or with audit not built in, the status says so, and there is no number."""
    audit = KernelAudit(Kernel(OSError(number, os.strerror(number))).connect, every=60)
    audit.start()
    audit.go()
    eventually(lambda: words in audit.trouble)
    assert audit.latest() is None


def test_errands_come_first(eventually: Eventually) -> None:
    """Before the first question the thread is made what it is to be: what fails there is known to who asked for it."""
    kernel = Kernel(message(1000, STATUS))
    audit = KernelAudit(kernel.connect, every=60)
    audit.start()
    names: list[str] = []
    audit.errand(lambda: names.append(threading.current_thread().name), 20)
    assert names == ["kernel audit"]

    def refused() -> None:
        raise PermissionError(errno.EPERM, "no")

    with pytest.raises(PermissionError):
        audit.errand(refused, 20)
    assert kernel.asked == 0
    audit.go()
    eventually(lambda: audit.latest() == FOUND)
    with pytest.raises(TimeoutError):
        audit.errand(lambda: None, 0.01)
