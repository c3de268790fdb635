"""A plugin that runs as auditd runs it: a Unix socket for standard input, an empty environment, odd signals."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TIMEOUT = 30


def _like_auditd(*, restarted: bool) -> None:
    """The signals a plugin starts with: all ignored, or, when started again, some of them blocked."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_IGN)
    if restarted:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGCONT})


class Plugin:
    """A running plugin."""

    def __init__(self, folder: Path, config: str, *, restarted: bool = False) -> None:
        self.config = folder / "plugin.toml"
        self.config.write_text(config)
        self.stdin, theirs = socket.socketpair()
        self.stdin.settimeout(TIMEOUT)
        self.log = folder / f"plugin-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "audisp_pyaudit", "--config", str(self.config), "--print-ledger"],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict[str, str](),
                cwd="/",
                preexec_fn=lambda: _like_auditd(restarted=restarted),  # noqa: PLW1509  # signals have to be set there
            )
        theirs.close()

    def wait_for(self, what: str) -> None:
        """Until the log says something."""
        self.until(lambda: what in self.log.read_text(), what)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Until something is true."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"never: {what}\n{self.log.read_text()}"
            time.sleep(0.01)

    def end(self) -> dict[str, int]:
        """Close the input; the plugin ends well, says nothing on standard output, and its ledger closes.

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


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Plugin]]:
    """Starts plugins, and makes sure that they end."""
    plugins = []

    def start(config: str, *, restarted: bool = False) -> Plugin:
        text = f'[host]\nname = "web-1"\nid = "{"0" * 32}"\n[state]\npath = "{tmp_path}/engine.state"\n{config}'
        plugins.append(Plugin(tmp_path, text, restarted=restarted))
        return plugins[-1]

    yield start
    for plugin in plugins:
        plugin.kill()


@pytest.fixture
def subscribe() -> Iterator[Callable[[Path], socket.socket]]:
    """Connects to a sink's socket once it is there."""
    clients = []

    def connect(path: Path) -> socket.socket:
        deadline = time.monotonic() + TIMEOUT
        while True:
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(str(path))
            except OSError:
                client.close()
                assert time.monotonic() < deadline, f"nobody listens on {path}"
                time.sleep(0.01)
            else:
                break
        client.settimeout(TIMEOUT)
        clients.append(client)
        time.sleep(0.3)  # accepted by the sink's thread
        return client

    yield connect
    for client in clients:
        client.close()


def records(first: int, last: int) -> bytes:
    """Events of one record each, with these serials."""
    return "".join(
        f"type=USER_LOGIN msg=audit(1700000000.{serial % 1000:03}:{serial}): pid=5 uid=0 auid=1000 ses=1 "
        'msg=\'op=login acct="lab" exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success\'\n'
        for serial in range(first, last + 1)
    ).encode()


@pytest.fixture
def make_records() -> Callable[..., bytes]:
    """Makes records."""
    return records
