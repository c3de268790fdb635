"""A cell: one auditd with the installed plugin, a feed of events, and what a consumer has in the end.

In: a version of auditd, its settings, the plugin's configuration. Out: what was fed, what arrived, and all ledgers.
`settled` holds what is true of the plugin at the end of every cell, whatever was done to it.
"""

import contextlib
import json
import re
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.auditd.daemon import HERE, KERNEL, Auditd, Stopped, plugin_conf
from tests.auditd.kernel import Kernel
from tests.auditd.namespace import Namespace
from tests.auditd.packages import Unpacked
from tests.auditd.relay import Relay
from tests.auditd.syslog import SystemLog
from tests.drills.drill import HOST_ID
from tests.drills.writer import event
from tests.kafka.broker import Broker

PLUGIN = "audisp-pyaudit"
_CONFIG = "plugin.toml"
_PATIENCE = 60.0
_ERROR = 3  # as syslog(3) has it
# A user for the plugin to become, where a cell has users of its own.
USER_ID = 64123


@dataclass(frozen=True)
class Parts:
    """What every cell needs: the library that brings the kernel's records, and the plugin's command."""

    library: Path
    command: Path


class Feed:
    """Sends events to the kernel's stand-in at a rate, on a thread of its own; `last` is the serial of the last one."""

    def __init__(self, kernel: Kernel, base_ms: int) -> None:
        self._kernel = kernel
        self._base_ms = base_ms
        self.last = 0
        self.records = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, count: int) -> None:
        """So many events, as fast as they are taken."""
        for _ in range(count):
            self._one()

    def _one(self) -> None:
        self.records += self._kernel.send(event(self.last + 1, self._base_ms))
        self.last += 1

    def begin(self, rate: float) -> None:
        """Send events from now on, this many records a second."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(rate,), name="feed", daemon=True)
        self._thread.start()

    def _run(self, rate: float) -> None:
        begin, sent = time.monotonic(), self.records
        while not self._stopped.is_set():
            try:
                self._one()
            except OSError:  # at the end of a test that failed: nobody is there any more
                return
            ahead = begin + (self.records - sent) / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)

    def give_up(self) -> None:
        """Send no more."""
        self._stopped.set()

    def stop(self) -> None:
        """Send no more; returns when the last event is with the kernel."""
        self.give_up()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
            assert not self._thread.is_alive(), "auditd does not take what the kernel has"
            self._thread = None


@dataclass
class Arrived:
    """What a consumer has: our events by serial, auditd's own, and what was said of losses."""

    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    duplicates: int = 0
    records: int = 0
    daemon: list[str] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    unparsed: int = 0

    @property
    def announced(self) -> list[str]:
        """Actions of the events that tell of losses."""
        return [each["event"]["action"] for each in self.notices]

    def missing(self, last: int) -> list[int]:
        """Serials up to the last one that did not arrive."""
        return sorted(set(range(1, last + 1)) - self.events.keys())

    def unannounced(self, last: int) -> list[int]:
        """Those of them that no gap tells of."""
        return [each for each in self.missing(last) if not any(begin <= each <= end for begin, end in self.gaps)]


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
    ) -> None:
        self.folder = folder
        self.broker = broker
        self.topic = topic
        self.base_ms = time.time_ns() // 1_000_000
        self.killed: list[int] = []
        self.stops: list[Stopped] = []
        self.config = config
        self.configure(config)
        with contextlib.ExitStack() as stack:
            self.space = Namespace({HERE: folder, **(_with_user(folder) if users else {})})
            stack.callback(self.space.close)
            (said,) = self.space.ask("log")
            self.log = SystemLog(said)
            stack.callback(self.log.close)
            (listening,) = self.space.ask("listen_unix", path=KERNEL)
            self.kernel = Kernel(listening)
            self.feed = Feed(self.kernel, self.base_ms)
            if broker is not None:
                (listening,) = self.space.ask("listen", port=int(broker.bootstrap.rpartition(":")[2]))
                self.relay = Relay(listening, broker.bootstrap)
                stack.callback(self.relay.close)
            self._stack = stack.pop_all()
        ours = plugin_conf(str(parts.command), f"--config={HERE}/{_CONFIG} --print-ledger")
        self.auditd = Auditd(
            self.space,
            unpacked,
            folder,
            self.log,
            library=None if network else parts.library,
            settings=settings,
            plugins={"audisp-pyaudit.conf": ours} if plugins is None else plugins,
        )

    def configure(self, config: str) -> None:
        """Give the plugin a configuration: sinks and queue, in TOML."""
        head = f'[host]\nname = "lab"\nid = "{HOST_ID}"\nnodes = ["node-1.example"]\n[state]\npath = "{HERE}/engine.state"\n'
        # Only what auditd wrote is to be in the documents.
        Auditd.put(self.folder / _CONFIG, f"{head}[decode]\nnames = false\n{config}")

    # --- the plugin ---------------------------------------------------------------------------------------------------

    def said(self) -> list[str]:
        """What the plugin's processes said, in order."""
        return self.log.of(PLUGIN)

    def wait_for(self, what: str, times: int = 1) -> None:
        """Until the plugin's log says something, so many times."""
        self.auditd.until(lambda: sum(what in line for line in self.said()) >= times, f"{what}, {times} times")

    def kill(self) -> int:
        """End the plugin without a word; its number."""
        pid = self.auditd.plugin
        self.killed.append(pid)
        self.auditd.signal(signal.SIGKILL, pid)
        return pid

    def stop(self) -> Stopped:
        """Stop auditd, and wait for the plugin's end."""
        self.stops.append(self.auditd.stop())
        return self.stops[-1]

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

    def queued(self) -> int:
        """What waits for the sink behind a queue after the last stop."""
        found = [int(each) for line in self.said() for each in re.findall(r"^sink topic: .* queued (\d+)", line)]
        return found[-1]

    # --- what arrives -------------------------------------------------------------------------------------------------

    def wait_until_delivered(self) -> None:
        """Until the topic has the last event that was fed."""
        assert self.broker is not None
        broker = self.broker
        last = f'"sequence":{self.feed.last},'.encode()
        seen = 0

        def there() -> bool:
            nonlocal seen
            size = broker.size(self.topic)
            if size == seen:
                return False
            seen = size
            return any(last in each for each in broker.everything(self.topic)[-200:])

        self.auditd.until(there, "the last event arrives", _PATIENCE)

    def deliver_rest(self) -> None:
        """If something waits in the spool after a stop: start once more until it is delivered."""
        if not self.queued():
            return
        before = list((self.folder / "spool").glob("g*"))
        self.auditd.start()
        self.auditd.until(lambda: not any(each.exists() for each in before), "the spool is delivered", _PATIENCE)
        # What this process itself has to tell; nothing else comes.
        self.auditd.until(self._idle, "nothing waits any more", _PATIENCE)
        self.stop()

    def _idle(self) -> bool:
        assert self.broker is not None
        before = self.broker.size(self.topic)
        time.sleep(1.5)
        return self.broker.size(self.topic) == before

    def arrived(self) -> Arrived:
        """What stands in the topic."""
        assert self.broker is not None
        return self.compare(self.broker.everything(self.topic))

    def compare(self, documents: Iterable[bytes]) -> Arrived:
        """What documents say, compared by id; each is one that was fed, one of auditd's, or one of ours."""
        found = Arrived()
        seen: set[str] = set()
        for line in documents:
            document = json.loads(line)
            identity, serial = document["event"]["id"], document["event"].get("sequence")
            kind = document["auditd"]["message_type"]
            if identity in seen:
                found.duplicates += 1
                continue
            seen.add(identity)
            if "gap" in document["auditd"]:
                found.gaps.append((document["auditd"]["gap"]["first"], document["auditd"]["gap"]["last"]))
                continue
            if "lost" in document["auditd"]:
                found.notices.append(document)
                continue
            found.records += len(document["auditd"]["record_types"])
            if kind.startswith("daemon_"):
                found.daemon.append(kind)
            elif serial is None:
                found.unparsed += 1
            else:
                assert identity.startswith(self.id_of(serial)), identity
                if serial not in found.events:
                    found.order.append(serial)
                found.events.setdefault(serial, []).append(document)
        return found

    def id_of(self, serial: int) -> str:
        """The id of an event that was fed."""
        at = self.base_ms + serial
        return f"{HOST_ID}:{at // 1000}.{at % 1000:03}:{serial}"

    def close(self) -> None:
        """The end of everything that was started; who still waits to be heard by auditd is told that nobody is there."""
        self.feed.give_up()
        self._stack.close()
        self.kernel.close()
        self.feed.stop()


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
