"""What a plugin of a test said of itself, and whether that is what its ledger says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from audisp_pyaudit.cli.status_text import lines
from audisp_pyaudit.delivery.level import Level
from audisp_pyaudit.intake import Dropped
from audisp_pyaudit.kernel_audit import KernelStatus
from audisp_pyaudit.latency import Latency
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.metrics import PREFIX
from audisp_pyaudit.sinks.base import SinkStats
from audisp_pyaudit.status import About, Parts, Reporter
from audisp_pyaudit.status_file import condition, ledger_of, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from audisp_pyaudit.framing import Frames
    from audisp_pyaudit.status import Status
    from tests.plugin import Plugin


Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def status_of(plugin: Plugin) -> Status:
    """The status that a plugin wrote last; while it starts, its first one."""
    while plugin.process.poll() is None and not plugin.status_file.exists():
        time.sleep(0.01)
    return read(str(plugin.status_file))


def printed_ledger(plugin: Plugin) -> list[str]:
    """The lines of the ledger that a plugin printed at its end."""
    told = plugin.log.read_text()
    return told[told.rindex("records read ") :].splitlines()


def agrees_with_ledger(plugin: Plugin) -> None:
    """After the end of a plugin, its last status says the same numbers as the ledger it printed, and can be shown.

    Where another plugin was started in its folder before it ended, the file is that one's.
    """
    status = status_of(plugin)
    if status["pid"] != plugin.process.pid:
        assert status["started"] > plugin.started
        return
    assert not status["running"]
    assert list(ledger_of(status).lines()) == printed_ledger(plugin)
    for name, sink in status["sinks"].items():
        assert sum(sink["latency"]["counts"]) == status["ledger"]["sinks"][name]["delivered"], name
    at = status["written"]
    assert condition(status, at) == "ended"
    assert next(iter(lines(status, "ended", at))).startswith("NOT RUNNING: its input ended")


def numbers_in(text: str) -> Numbers:
    """All samples of a text of metrics."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def number(found: Numbers, name: str, **labels: str) -> float:
    """One of them."""
    return found[name, frozenset(labels.items())]


def are_of_the_ledger(found: Numbers, ledger: dict[str, Any]) -> None:
    """Every number of a ledger is the one in the metrics."""
    engine, dropped = ledger["engine"], ledger["intake_full"]["records"]
    assert number(found, "records_read_total") == engine["records_in"] + dropped
    assert number(found, "records_lost_total", reason="intake_full") == dropped
    for fate in ("published", "end_of_event", "filtered"):
        assert number(found, "records_total", fate=fate) == engine[f"records_{fate}"]
    assert number(found, "records_held") == engine["records_held"]
    assert number(found, "events_published_total") == engine["events_published"]
    assert number(found, "notices_total") == ledger["notices"]
    assert number(found, "ledger_closed") == ledger["closed"] == 1
    for name, sink in ledger["sinks"].items():
        assert number(found, "sink_offered_events_total", sink=name) == sink["offered"]
        assert number(found, "sink_events_total", sink=name, result="delivered") == sink["delivered"]
        assert number(found, "sink_events_total", sink=name, result="filtered") == sink["filtered"]
        assert number(found, "sink_queued_events", sink=name) == sink["queued"]
        assert number(found, "delivery_lag_seconds_count", sink=name) == sink["delivered"]
        for reason, count in sink["lost"].items():
            assert number(found, "events_lost_total", sink=name, reason=reason) == count


class StandIn:
    """A sink that says what it is told to say. Its ledger always closes."""

    def __init__(self, name: str = "topic", type: str = "kafka") -> None:  # noqa: A002  # as a sink has it
        self.name = name
        self.type = type
        self.trouble = ""
        self.measured = Latency()
        self.oldest: int | None = None
        self.delivered = self.queued = self.cut = 0
        self.lost: dict[str, int] = {}
        self.peers: dict[str, str] = {}

    def start(self) -> None:
        """Nothing to do."""

    def deliver(self, frames: Frames) -> None:
        """Nothing to do."""

    def close(self, deadline: float) -> None:
        """Nothing to do."""

    def stats(self) -> SinkStats:
        """What it was told."""
        offered = self.delivered + self.queued + sum(self.lost.values())
        stats = SinkStats(frames=offered, offered=offered, delivered=self.delivered, queued=self.queued, cut=self.cut)
        stats.latency = self.measured.copy()
        stats.lost.update(self.lost)
        stats.peers.update(self.peers)
        return stats

    def oldest_ms(self) -> int | None:
        """What it was told."""
        return self.oldest


class StandInLog:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401  # as a log has it
        """Keep."""
        self.lines.append(f"{event} {fields}")

    warning = error = info


def parts_of(*sinks: StandIn, level: Level | None = None, problems: tuple[str, ...] = (), **more: int) -> Parts:
    """What the pipeline would say of some sinks; `more` are counters of the engine."""
    frames = sinks[0].stats().frames if sinks else 0
    engine = {"records_in": 2 * frames, "records_published": 2 * frames, "events_published": frames, **more}
    engine["records_in"] += more.get("records_held", 0) + more.get("records_lost_panic", 0)
    dropped = Dropped(engine.pop("intake_full", 0))
    stats = {each.name: each.stats() for each in sinks}
    for each in stats.values():
        each.frames = frames
    return Parts(
        Ledger(engine, dropped, frames, 0, stats), sinks, level, 10, 1000, problems, "wrong" if problems else ""
    )


LEVEL = Level("lossless", 1_000_000, 8_000_000, 120_000_000, 1_000_000_000, "", delivers=True)
KERNEL = KernelStatus(enabled=1, failure=1, pid=700, rate_limit=0, backlog_limit=8192, lost=3, backlog=17)


class StandInKernel:
    """A kernel that answers."""

    trouble = ""

    def latest(self) -> KernelStatus:
        """The answer."""
        return KERNEL


def example(folder: Path, parts: Parts, changes: Mapping[str, object] | None = None, *, last: bool = False) -> Status:
    """A status as the plugin writes it, with some of it changed."""
    path = folder / "example.json"
    path.unlink(missing_ok=True)
    reporter = Reporter(str(path), About("web-1", "/etc/a.toml"), StandInLog(), kernel=StandInKernel())  # type: ignore[arg-type]
    reporter.report(parts, last=last)
    return {**json.loads(path.read_bytes()), **(changes or {})}
