"""A plugin that runs as auditd runs it: a Unix socket for standard input, an empty environment, odd signals."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.status import agrees_with_ledger

TIMEOUT = 30
OURS = (sys.executable, "-I", "-m", "audisp_pyaudit")


def _like_auditd(*, restarted: bool) -> None:
    """The signals a plugin starts with: all ignored, or, when started again, some of them blocked."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_IGN)
    if restarted:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGCONT})


class Plugin:
    """A running plugin. `stdin` is our end of its standard input; it may be handed to somebody else, who writes.

    Args:
        folder: where its configuration, its log and its status are put.
        config: the configuration's text. Where it has no [metrics], a status of its own is written.
        restarted: whether it starts with signals blocked.
        before: a command that starts it, if it is not to be started at once.
        environment: its environment, which auditd leaves empty.
        command: what it is, if it is not this environment's.
    """

    def __init__(  # noqa: PLR0913  # what a test may want to differ
        self,
        folder: Path,
        config: str,
        *,
        restarted: bool = False,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = OURS,
    ) -> None:
        self.config = folder / "plugin.toml"
        self.status_file = folder / "status" / "status.json"
        self.configure(config)
        self.stdin, theirs = socket.socketpair()
        self.stdin.settimeout(TIMEOUT)
        self.log = folder / f"plugin-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*before, *command, "--config", str(self.config), "--print-ledger"],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(environment or {}),
                cwd="/",
                preexec_fn=lambda: _like_auditd(restarted=restarted),  # noqa: PLW1509  # signals have to be set there
            )
        theirs.close()
        self.started = time.time()

    def configure(self, config: str) -> None:
        """Write the configuration. Where it has no [metrics], a status is written where the test looks for it."""
        if "[metrics]" not in config:
            config += f'\n[metrics]\nstatus = "{self.status_file}"\n'
        self.config.write_text(config)

    def wait_for(self, what: str, seconds: float = TIMEOUT) -> None:
        """Until the log says something."""
        self.until(lambda: what in self.log.read_text(), what, seconds)

    def until(self, condition: Callable[[], object], what: str, seconds: float = TIMEOUT) -> None:
        """Until something is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"never: {what}\n{self.log.read_text()}"
            time.sleep(0.01)

    def end(self) -> dict[str, int]:
        """Close the input; the plugin ends well, says nothing on standard output, and its ledger closes.

        Its last status says the same as the ledger.

        Returns:
            The numbers of the ledger: `published`, `offered`, `lost`, ... (of the last sink, where sinks have them).
        """
        self.stdin.close()
        out = self.process.stdout
        assert out is not None
        assert out.read() == b""
        assert self.process.wait(TIMEOUT) == 0, self.log.read_text()
        told = self.log.read_text()
        assert told.splitlines()[-1] == "ledger closed", told
        if str(self.status_file) in self.config.read_text() and "configuration is wrong; running" not in told:
            agrees_with_ledger(self)
        return {
            name: int(number) for name, number in re.findall(r"([a-z_]+) (\d+)", told[told.index("records read") :])
        }

    def sink(self, name: str) -> dict[str, int]:
        """The ledger of one sink, after the end."""
        line = next(line for line in self.log.read_text().splitlines() if line.startswith(f"sink {name}: "))
        return {word: int(number) for word, number in re.findall(r"([A-Za-z_]+) (\d+)", line)}

    def kill(self) -> None:
        """If it still runs, end it."""
        self.stdin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
