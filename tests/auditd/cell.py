"""A cell: one auditd with the installed plugin, a feed of events, and what a consumer has in the end.

In: a version of auditd, its settings, the plugin's configuration. Out: what was fed, what arrived, and all ledgers.
`settled` holds what is true of the plugin at the end of every cell, whatever was done to it.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audisp_pyaudit.status_file import ledger_of, read
from tests.auditd.arrived import Arrived, arrived
from tests.auditd.daemon import HERE, Auditd, Stopped, plugin_conf
from tests.auditd.namespace import NOBODY, Namespace
from tests.auditd.packages import Unpacked
from tests.auditd.relay import Relay
from tests.auditd.surroundings import Surroundings
from tests.drills.drill import HOST_ID
from tests.kafka.broker import Broker
from tests.status import are_of_the_ledger, numbers_in

PLUGIN = "audisp-pyaudit"
_CONFIG = "plugin.toml"
_STATUS, _METRICS = "status/status.json", "status/audisp_pyaudit.prom"
_PATIENCE = 60.0
_ERROR = 3  # as syslog(3) has it
# A port of auditd's, in its own network.
PORT = 6060
# auditd.conf for the network alone.
NETWORK = {
    "local_events": "no",
    "tcp_listen_port": str(PORT),
    "tcp_listen_queue": "5",
    "tcp_max_per_addr": "8",
    "tcp_client_max_idle": "0",
    "transport": "TCP",
    "distribute_network": "yes",
}
# A user for the plugin to become, where a cell has users of its own.
USER_ID = 64123


@dataclass(frozen=True)
class Parts:
    """What every cell needs: the library that brings the kernel's records, and the plugin's command."""

    library: Path
    command: Path


class Cell:
    """A cell; made by `cell`, below."""

    def __init__(  # noqa: PLR0913  # what may differ
        self,
        folder: Path,
        unpacked: Unpacked,
        parts: Parts,
        *,
        config: str,
        settings: Mapping[str, str],
        plugins: Mapping[str, str] | None = None,
        broker: Broker | None = None,
        topic: str = "",
        users: bool = False,
        network: bool = False,
        rootless: bool = False,
    ) -> None:
        self.folder = folder
        self.broker = broker
        self.topic = topic
        self._named = settings.get("name_format", "NONE") != "NONE"
        self.killed: list[int] = []
        self.stops: list[Stopped] = []
        self._users = users
        self.config = config
        self.log_format = settings.get("log_format", "ENRICHED")
        self.configure(config)
        binds = {HERE: folder, **(_with_user(folder) if users else {})}
        self._around = Surroundings(Namespace(binds, rootless=rootless))
        self.space, self.log = self._around.space, self._around.log
        self.kernel, self.feed = self._around.kernel, self._around.feed
        if broker is not None:
            (listening,) = self.space.ask("listen", port=int(broker.bootstrap.rpartition(":")[2]))
            self.relay = Relay(listening, broker.bootstrap)
            self._around.also.callback(self.relay.close)
        ours = plugin_conf(str(parts.command), f"--config={HERE}/{_CONFIG} --print-ledger")
        self.auditd = Auditd(
            self.space,
            unpacked,
            folder,
            self.log,
            library=None if network else parts.library,
            settings={**(NETWORK if network else {}), **settings},
            plugins={"audisp-pyaudit.conf": ours} if plugins is None else plugins,
        )
        if rootless:
            give_away(folder)

    def configure(self, config: str) -> None:
        """Give the plugin a configuration: sinks and queue, in TOML."""
        host = f'[host]\nname = "lab"\nid = "{HOST_ID}"\nnodes = ["node-1.example"]\n'
        # Only what auditd wrote is to be in the documents.
        rest = f'[state]\npath = "{HERE}/state/engine.state"\n[decode]\nnames = false\n'
        status = f'[metrics]\nstatus = "{HERE}/{_STATUS}"\ntextfile = "{HERE}/{_METRICS}"\n'
        Auditd.put(self.folder / _CONFIG, host + rest + status + config)
        if self._users:
            os.chown(self.folder / _CONFIG, 0, USER_ID)

    @property
    def cuts(self) -> bool:
        """Whether the end of every record is missing, by this auditd's doing or ours."""
        plain = self.log_format == "RAW" and not self._named
        return self.feed.cut > 0 or (plain and self.auditd.expects.raw_cut > 0)

    # --- the plugin ---------------------------------------------------------------------------------------------------

    def said(self) -> list[str]:
        """What the plugin's processes said, in order."""
        return self.log.of(PLUGIN)

    def wait_for(self, what: str, times: int = 1) -> None:
        """Until the plugin's log says something, so many times."""
        self.auditd.until(lambda: sum(what in line for line in self.said()) >= times, f"{what}, {times} times")

    def kill(self, frozen: float = 0.0) -> None:
        """End the plugin without a word, after it had no turn for some seconds."""
        pid = self.auditd.plugin
        if frozen:
            self.auditd.signal(signal.SIGSTOP, pid)
            time.sleep(frozen)
        self.killed.append(pid)
        self.auditd.kill_plugin()

    def stop(self, *, wait: bool = True) -> None:
        """Stop auditd, and wait for the plugin's end, too, if told so."""
        self.stops.append(self.auditd.stop(wait=wait))
        if wait:
            self.auditd.until(self._all_have_spoken, "the last words of the plugin")

    def _all_have_spoken(self) -> bool:
        """Whether every plugin that began and was not killed has told its ledger, in lines or in one."""
        began = sum("event=reading " in line for line in self.said())
        told = sum(line.startswith(("ledger ", 'event="end of the input"')) for line in self.said())
        return told >= began - len(self.killed)

    def ledgers(self) -> dict[int, list[str]]:
        """The ledger that each process of the plugin told at its end."""
        found: dict[int, list[str]] = {}
        for line in self.log.lines:
            if line.program == PLUGIN and (line.text.startswith("records read") or line.pid in found):
                found.setdefault(line.pid, []).append(line.text)
        return found

    def records(self, name: str) -> int:
        """Records of a ledger's account (`published`, `held`, `intake_full`, ...), of all processes together."""
        lines = [line for ledger in self.ledgers().values() for line in ledger if line.startswith("records ")]
        return sum(int(each) for line in lines for each in re.findall(rf"\b{name} (\d+)", line))

    def severe(self) -> list[str]:
        """What the plugin said of errors; its last words, the ledger, are said as loud."""
        told = {line for ledger in self.ledgers().values() for line in ledger}
        return [
            each.text
            for each in self.log.lines
            if each.program == PLUGIN and each.severity <= _ERROR and each.text not in told
        ]

    def agrees(self) -> None:
        """After the end, the last status and the metrics say what the ledger of that process says."""
        status = read(str(self.folder / _STATUS))
        assert not status["running"]
        assert list(ledger_of(status).lines()) == self.ledgers()[status["pid"]]
        are_of_the_ledger(numbers_in((self.folder / _METRICS).read_text()), status["ledger"])

    def queued(self) -> int:
        """What waits for the sink behind a queue after the last stop."""
        found = [int(each) for line in self.said() for each in re.findall(r"^sink topic: .* queued (\d+)", line)]
        return found[-1]

    # --- what arrives -------------------------------------------------------------------------------------------------

    def wait_until_delivered(self) -> None:
        """Until the topic has the last event that was fed."""
        last = f'"sequence":{self.feed.last},'.encode()
        seen = -1

        def there() -> bool:
            nonlocal seen
            time.sleep(0.2)
            before, seen = seen, self._broker().size(self.topic)
            # All of it is read, which takes its time, when no more comes.
            return before == seen and any(last in each for each in self._broker().everything(self.topic)[-500:])

        self.auditd.until(there, "the last event arrives", _PATIENCE)

    def deliver_rest(self) -> None:
        """Start once more, without events, until the spool is delivered."""
        before = list((self.folder / "spool").glob("g*"))
        self.auditd.start()
        self.auditd.until(lambda: not any(each.exists() for each in before), "the spool is delivered", _PATIENCE)
        # What this process itself has to tell; nothing else comes.
        self.auditd.until(self._idle, "nothing waits any more", _PATIENCE)
        self.stop()

    def _broker(self) -> Broker:
        assert self.broker is not None
        return self.broker

    def _idle(self) -> bool:
        before = self._broker().size(self.topic)
        time.sleep(1.5)
        return self._broker().size(self.topic) == before

    def arrived(self) -> Arrived:
        """What stands in the topic."""
        return arrived(self._broker().everything(self.topic), self.feed.times)

    def close(self) -> None:
        """The end of everything that was started."""
        self._around.close()


def give_away(folder: Path) -> None:
    """Have a folder and all in it belong to who is root in a namespace that is rootless."""
    if os.getuid() == 0:
        for each in (folder, *folder.rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)


def _with_user(folder: Path) -> dict[str, Path]:
    """Users and groups of the machine, and one more of each: the plugin's."""
    binds = {}
    for name, line in (
        ("passwd", f"{PLUGIN}:x:{USER_ID}:{USER_ID}::/nonexistent:/usr/sbin/nologin\n"),
        ("group", f"{PLUGIN}:x:{USER_ID}:\n"),
    ):
        lines = Path("/etc", name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join([each for each in lines if not each.startswith(f"{PLUGIN}:")] + [line]))
        binds[f"/etc/{name}"] = folder / name
    return binds


@contextlib.contextmanager
def cell(folder: Path, unpacked: Unpacked, parts: Parts, **how: Any) -> Iterator[Cell]:  # noqa: ANN401  # as `Cell` has it
    """A cell that leaves nothing running."""
    made = Cell(folder, unpacked, parts, **how)
    try:
        yield made
    finally:
        made.close()
