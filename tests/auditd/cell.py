"""A cell: one auditd with the installed plugin, a feed of events, and what a consumer has in the end.

In: a version of auditd, its settings, the plugin's configuration. Out: what was fed, what arrived, and all ledgers.
`settled` holds what is true of the plugin at the end of every cell, whatever was done to it.
"""

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.auditd.daemon import HERE, KERNEL, Auditd, Stopped, plugin_conf
from tests.auditd.kernel import Kernel, number_of
from tests.auditd.namespace import NOBODY, Namespace
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
_PROCTITLE = b"type=PROCTITLE msg=audit(%s): proctitle=746F756368002D64002F7372762F64617461"
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


class Feed:
    """Sends events to the kernel's stand-in, at a rate on a thread of its own, each with the time of its sending.

    `last` is the serial of the last one, `times` are those of all, in ms since 1970.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.last = 0
        self.records = 0
        self.times: dict[int, int] = {}
        self.long_texts: dict[int, str] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, count: int) -> None:
        """So many events, as fast as they are taken."""
        for _ in range(count):
            self._one()

    def send_long(self, size: int) -> None:
        """A record of one event, of so many bytes; nearly all of them are its text, which is kept in `long_texts`."""
        serial, now = self.last + 1, time.time_ns() // 1_000_000
        head = f"audit({identity(now, serial)}): pid=1 uid=0 auid=1000 ses=1 msg='op=long cmd=\""
        end = "\" res=success'"
        self.long_texts[serial] = "S" * (size - len(head) - len(end))
        self._kernel.send_record(number_of("USER_CMD"), f"{head}{self.long_texts[serial]}{end}".encode())
        self.times[serial] = now
        self.last = serial

    def _one(self) -> None:
        serial, now = self.last + 1, time.time_ns() // 1_000_000
        self.times[serial] = now
        records = event(serial, now - serial)
        if len(records) > 1:  # as every kernel has it since 3.14
            records.insert(-1, _PROCTITLE % identity(now, serial).encode())
        self.records += self._kernel.send(records)
        self.last = serial

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


def identity(at: int, serial: int) -> str:
    """How records name an event: its time, in ms since 1970, and its serial."""
    return f"{at // 1000}.{at % 1000:03}:{serial}"


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

    def missing(self, times: Mapping[int, int]) -> list[int]:
        """Serials of what was fed and did not arrive."""
        return sorted(times.keys() - self.events.keys())

    def unannounced(self, times: Mapping[int, int], slack_ms: int) -> list[int]:
        """Those of them that neither a gap nor the time of an unclean stop, begun so much earlier, tells of."""
        spans = [
            tuple(datetime.fromisoformat(each["auditd"]["lost"][end]).timestamp() * 1000 for end in ("start", "end"))
            for each in self.notices
            if each["event"]["action"] == "unclean-stop"
        ]
        return [
            serial
            for serial in self.missing(times)
            if not any(begin <= serial <= end for begin, end in self.gaps)
            and not any(begin - slack_ms <= times[serial] <= end for begin, end in spans)
        ]


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
        self.config = config
        self.log_format = settings.get("log_format", "ENRICHED")
        self.configure(config)
        with contextlib.ExitStack() as stack:
            self.space = Namespace({HERE: folder, **(_with_user(folder) if users else {})}, rootless=rootless)
            stack.callback(self.space.close)
            (said,) = self.space.ask("log")
            self.log = SystemLog(said)
            stack.callback(self.log.close)
            (listening,) = self.space.ask("listen_unix", path=KERNEL)
            self.kernel = Kernel(listening)
            self.feed = Feed(self.kernel)
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
            settings={**(NETWORK if network else {}), **settings},
            plugins={"audisp-pyaudit.conf": ours} if plugins is None else plugins,
        )
        if rootless:
            give_away(folder)

    def configure(self, config: str) -> None:
        """Give the plugin a configuration: sinks and queue, in TOML."""
        head = f'[host]\nname = "lab"\nid = "{HOST_ID}"\nnodes = ["node-1.example"]\n[state]\npath = "{HERE}/engine.state"\n'
        # Only what auditd wrote is to be in the documents.
        Auditd.put(self.folder / _CONFIG, f"{head}[decode]\nnames = false\n{config}")

    @property
    def cuts(self) -> bool:
        """Whether this auditd cuts the end off every record."""
        plain = self.log_format == "RAW" and not self._named
        return plain and self.auditd.expects.raw_cut > 0

    @property
    def slack_ms(self) -> int:
        """How much older than what was kept something lost at a kill may be.

        Events without their end wait for it, and others overtake them: for `grace_ms`, and a turn of the pipeline.
        """
        return 200 if self.cuts else 0

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
        last = f'"sequence":{self.feed.last},'.encode()
        seen = 0

        def there() -> bool:
            nonlocal seen
            time.sleep(0.1)
            size = self._broker().size(self.topic)
            if size == seen:
                return False
            seen = size
            return any(last in each for each in self._broker().everything(self.topic)[-200:])

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
        return self.compare(self._broker().everything(self.topic))

    def compare(self, documents: Iterable[bytes]) -> Arrived:
        """What documents say, compared by id; each is one that was fed, one of auditd's, or one of ours."""
        found = Arrived()
        seen: set[str] = set()
        for line in documents:
            document = json.loads(line)
            name, serial = document["event"]["id"], document["event"].get("sequence")
            kind = document["auditd"]["message_type"]
            if name in seen:
                found.duplicates += 1
                continue
            seen.add(name)
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
                assert kind == "unparsed-line", line
                found.unparsed += 1
                found.records += 1
            else:
                assert name.startswith(f"{HOST_ID}:{identity(self.feed.times[serial], serial)}"), name
                if serial not in found.events:
                    found.order.append(serial)
                found.events.setdefault(serial, []).append(document)
        return found

    def close(self) -> None:
        """The end of everything that was started; who still waits to be heard by auditd is told that nobody is there."""
        self.feed.give_up()
        self._stack.close()
        self.kernel.close()
        self.feed.stop()


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
