"""What the process does with signals: nothing that stops it from reading.

auditd starts plugins with every signal ignored, or, when it starts one again, with TERM, HUP and others blocked. At a
stop systemd sends TERM to auditd and to us at once, and the last records come after it. So TERM is noted and reading
goes on until the end of the input, which always comes.
"""

import os
import signal

TYPE_CHECKING = False  # that of `typing`, which takes its time to load
if TYPE_CHECKING:
    from types import FrameType

# Nobody of auditd's sends these to plugins; their default would end us.
_IGNORED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGTTOU)
_NOTED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class WakeUp:
    """A pipe that ends a `poll`: the numbers of arriving signals, or 0 from `ring`.

    `fd` is the end to poll.
    """

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def install(self) -> None:
        """Unblock every signal and have the noted ones written into the pipe. Main thread only."""
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in _NOTED:
            signal.signal(number, _noted)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())

    def ring(self) -> None:
        """End the `poll` from another thread."""
        try:  # noqa: SIM105  # contextlib takes its time to load
            os.write(self._write_fd, b"\0")
        except BlockingIOError:  # full of wake-ups already
            pass

    def drain(self) -> list[int]:
        """Empty the pipe: signal numbers in order of arrival, 0 for each `ring`."""
        try:
            return list(os.read(self.fd, 4096))
        except (BlockingIOError, InterruptedError):
            return []

    def close(self) -> None:
        """Give both ends back; for tests, the process keeps them until it ends."""
        os.close(self.fd)
        os.close(self._write_fd)


def _noted(_number: int, _frame: "FrameType | None") -> None:
    """Python writes the number into the wake-up pipe; that is all we want."""
