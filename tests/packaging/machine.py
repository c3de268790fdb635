"""A Debian system whose auditd runs: in namespaces of its own, with a stand-in for the kernel's audit.

In: a system with the package installed. Out: what auditd and the plugin say and do, as an administrator sees it.
"""

import contextlib
import json
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.auditd.daemon import KERNEL
from tests.auditd.namespace import Namespace
from tests.auditd.surroundings import Surroundings
from tests.packaging.package import PLUGIN_CONF, TOML
from tests.packaging.roots import PATH

PLUGIN = "audisp-pyaudit"
_PATIENCE = 30.0
_STAND_IN = "/stand-in.so"
_OUTPUT = "/output"
_ENVIRONMENT = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
_ERROR = 3  # as syslog(3) has it


class Machine:
    """A system that was booted, as far as auditd is concerned; made by `machine`, below.

    Args:
        root: the folder with its system, which stays as it is.
        library: what brings auditd the stand-in's records.
    """

    def __init__(self, root: Path, library: Path) -> None:
        self.pid = 0
        self._around = Surroundings(Namespace({}), root=str(root))
        self.space, self.log = self._around.space, self._around.log
        self.feed = self._around.feed
        # Its files, for us outside.
        self.root = self.space.root
        shutil.copy(library, self.root / _STAND_IN[1:])
        # As systemd does at every boot: /run is empty. Where the package is yet to be installed there is nothing to do.
        self.run("systemd-tmpfiles", "--create", "audisp-pyaudit.conf", check=False)

    def run(self, *command: str, check: bool = True, environment: dict[str, str] | None = None) -> str:
        """Run a command, as root has it in a shell; what it says."""
        program = next(
            f"{each}/{command[0]}" for each in PATH.split(":") if (self.root / each[1:] / command[0]).exists()
        )
        output = self.root / _OUTPUT[1:]
        output.unlink(missing_ok=True)
        argv = [program, *command[1:]]
        pid = self.space.ask("start", argv=argv, output=_OUTPUT, environment={**_ENVIRONMENT, **(environment or {})})
        self.until(lambda: str(pid) in self.space.ask("ended"), f"{command} ends")
        code, _ = self.space.ask("ended")[str(pid)]
        said = output.read_text(errors="replace")
        assert not check or code == 0, f"{command}: {code}\n{said}"
        return said

    def set_up(self, sinks: str) -> None:
        """What an administrator does after the installation: say where events go, and `active = yes`."""
        conf = self.root / PLUGIN_CONF
        text = conf.read_text()
        assert "\nactive = no\n" in text
        conf.write_text(text.replace("\nactive = no\n", "\nactive = yes\n"))
        with (self.root / TOML).open("a") as file:
            file.write(sinks)
        self.run("audisp-pyaudit", "check-config")

    def start(self) -> None:
        """Start auditd as its service does, with what Debian ships; wait until the plugin reads."""
        before = sum("event=reading " in each for each in self.said())
        self.start_auditd()
        self.until(lambda: sum("event=reading " in each for each in self.said()) > before, "the plugin reads")

    def start_auditd(self) -> None:
        """Start auditd, whatever its plugins do."""
        self.space.ask(
            "start",
            argv=["/sbin/auditd", "-s", "nochange"],
            output=_OUTPUT,
            environment={"LD_PRELOAD": _STAND_IN, "AUDIT_STAND_IN": KERNEL},
        )
        before = self.pid
        self.until(lambda: self._pid() not in (0, before), "auditd runs")
        self.pid = self._pid()

    def _pid(self) -> int:
        found = [self.space.ask("read", path=path).strip() for path in ("/run/auditd.pid", "/run/audit/auditd.pid")]
        return int("".join(found) or 0)

    def stop(self) -> None:
        """Stop auditd, and wait until the plugin is gone, too."""
        plugins = self.plugins()
        self.space.ask("signal", pid=self.pid, number=signal.SIGTERM)
        self.until(lambda: str(self.pid) in self.space.ask("ended"), "auditd ends")
        self.until(lambda: all(self.space.ask("gone", pid=int(each)) for each in plugins), "the plugin ends")

    def plugins(self) -> dict[str, dict[str, Any]]:
        """What auditd runs: by number, what is known of it."""
        found = self.space.ask("processes")
        auditd = found.get(str(self.pid), {"argv": []})
        return {
            pid: each for pid, each in found.items() if each["parent"] == self.pid and each["argv"] != auditd["argv"]
        }

    def said(self) -> list[str]:
        """What the plugin's processes said, in order."""
        return self.log.of(PLUGIN)

    def closed(self) -> None:
        """The ledger of every process of the plugin is closed, and none has said anything bad."""
        started = sum("event=reading " in each for each in self.said())
        ended = [each for each in self.said() if each.startswith('event="end of the input"')]
        assert len(ended) == started, self.log.text()
        assert all("ledger closed" in each for each in ended), self.log.text()
        bad = [each.text for each in self.log.lines if each.program == PLUGIN and each.severity <= _ERROR]
        assert not bad, self.log.text()

    def waiting(self, sink: str) -> int:
        """Events that wait for a sink, as the plugin's status has it."""
        found = self.space.ask("read", path="/run/audisp-pyaudit/status.json")
        return int(json.loads(found)["ledger"]["sinks"][sink]["queued"])

    def documents(self, path: str) -> list[bytes]:
        """What a file sink has written."""
        return (self.root / path[1:]).read_bytes().splitlines()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Until something is true."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}\n{self.log.text()}"
            time.sleep(0.01)

    def subscribe(self, path: str) -> "Reader":
        """Connect to a socket of the plugin's, as soon as it is there: records are read before sinks are begun."""
        self.until(lambda: self.space.ask("is_socket", path=path), f"{path} is there")
        (connected,) = self.space.ask("connect_unix", path=path)
        return Reader(connected)

    def close(self) -> None:
        """The end of everything that was started."""
        self._around.close()


class Reader:
    """A subscriber that acknowledges what it has."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.settimeout(_PATIENCE)
        self.lines: list[bytes] = []
        self._rest = b""

    def read_to(self, serial: int) -> None:
        """Until the event with this serial is there; all that came is acknowledged."""
        while not any(json.loads(each)["event"].get("sequence") == serial for each in self.lines[-500:]):
            data = self._socket.recv(1 << 20)
            assert data, "the plugin hung up"
            *whole, self._rest = (self._rest + data).split(b"\n")
            self.lines += whole
            self._socket.sendall(f"{len(self.lines)}\n".encode())

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextlib.contextmanager
def machine(root: Path, library: Path) -> Iterator[Machine]:
    """A machine that leaves nothing running."""
    made = Machine(root, library)
    try:
        yield made
    finally:
        made.close()
