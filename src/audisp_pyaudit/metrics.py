"""The status as Prometheus has it. docs/metrics.md says the same in a table, and a test holds the two equal.

In: a status. Out: families of metrics; the numbers are those of the ledger. Counters begin anew with each process.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from audisp_pyaudit.latency import BOUNDS_MS
from audisp_pyaudit.status import STALLED_SECONDS, Status, lost_to_somebody, stalled_seconds

PREFIX = "audisp_pyaudit_"


class _Status(Collector):
    """The metrics of one status."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from _process(self._status)
        yield from _records(self._status)
        yield from _sinks(self._status)
        yield from _queue(self._status)
        yield from _kernel(self._status)


def registry_of(status: Status) -> CollectorRegistry:
    """What the library's functions take."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Status(status))
    return registry


def rendered(status: Status) -> bytes:
    """The metrics in Prometheus' text format."""
    return generate_latest(registry_of(status))


def _counter(name: str, about: str, samples: Mapping[Any, float], *labels: str) -> Metric:
    family = CounterMetricFamily(PREFIX + name, about, labels=labels)
    for values, number in samples.items():
        family.add_metric(values, number)
    return family


def _gauge(name: str, about: str, samples: Mapping[Any, float | None], *labels: str) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, about, labels=labels)
    for values, number in samples.items():
        if number is not None:
            family.add_metric(values, number)
    return family


def _one(number: float) -> dict[tuple[str, ...], float]:
    return {(): number}


def _process(status: Status) -> Iterator[Metric]:
    process, problems = status["process"], status["config"]["problems"]
    yield _gauge("build_info", "The version that runs; always 1.", {(status["program"],): 1}, "version")
    yield _gauge("running", "1 while the plugin reads; 0 in what it said last.", _one(status["running"]))
    yield _gauge("start_time_seconds", "When the process began, Unix time.", _one(status["started"]))
    yield _gauge("status_timestamp_seconds", "When these numbers were taken, Unix time.", _one(status["written"]))
    yield _gauge("config_ok", "0 if the configuration is wrong and another one is in force.", _one(not problems))
    if process["resident_bytes"] is not None:
        yield _gauge("process_resident_memory_bytes", "Memory of the process.", _one(process["resident_bytes"]))
    yield _counter("process_cpu_seconds", "Processor time, user and system.", _one(process["cpu_seconds"]))


def _records(status: Status) -> Iterator[Metric]:
    ledger = status["ledger"]
    engine, dropped = ledger["engine"], ledger["intake_full"]["records"]

    def count(name: str) -> int:
        return int(engine.get(name, 0))

    yield _counter("records_read", "Audit records that auditd gave us.", _one(count("records_in") + dropped))
    yield _counter(
        "records_restored", "Records that the process before held at its end.", _one(count("records_restored"))
    )
    fates = {(name,): count(f"records_{name}") for name in ("published", "end_of_event", "filtered")}
    yield _counter("records", "Records by what became of them, but for those held and lost.", fates, "fate")
    lost = {("intake_full",): dropped, ("panic",): count("records_lost_panic")}
    yield _counter("records_lost", "Records that were lost before they became events.", lost, "reason")
    yield _gauge("records_held", "Records that wait for others of their events.", _one(count("records_held")))
    yield _gauge("events_held", "Events that wait for more of their records.", _one(count("events_held")))
    counters = {
        "events_published": "Events made of records.",
        "events_filtered": "Events that a rule dropped.",
        "events_incomplete": "Events of which records are known to be missing.",
        "lines_unparsed": "Lines that could not be read as records.",
        "lines_truncated": "Lines cut at limits.line_bytes.",
    }
    for name, about in counters.items():
        yield _counter(name, about, _one(count(name)))
    yield _counter("notices", "Events of our own that say that something was lost.", _one(ledger["notices"]))
    yield _counter("serial_gaps", "Holes in the serials of the records.", _one(count("gaps")))
    yield _counter("serials_missing", "Serials that lack in those holes.", _one(count("gap_serials")))
    yield _counter("engine_panics", "Bugs of the engine that were survived.", _one(count("panics")))
    yield _gauge("ledger_closed", "1 if everything that came in is accounted for.", _one(ledger["closed"]))
    intake = status["intake"]
    yield _gauge("intake_waiting_bytes", "Bytes that were read and not decoded yet.", _one(intake["waiting_bytes"]))
    yield _gauge("intake_limit_bytes", "How many there may be.", _one(intake["limit_bytes"]))


def _sinks(status: Status) -> Iterator[Metric]:
    ledgers: Mapping[str, Mapping[str, Any]] = status["ledger"]["sinks"]
    states: Mapping[str, Mapping[str, Any]] = status["sinks"]
    now = status["written"]
    by_result = {(name, what): each[what] for name, each in ledgers.items() for what in ("delivered", "filtered")}
    offered = {(name,): each["offered"] for name, each in ledgers.items()}
    yield _counter("sink_offered_events", "Events that were to go to a sink.", offered, "sink")
    yield _counter("sink_events", "Events that a sink has, or that went elsewhere.", by_result, "sink", "result")
    lost = {(name, why): count for name, each in ledgers.items() for why, count in sorted(each["lost"].items())}
    yield _counter("events_lost", "Events that a sink never gets.", lost, "sink", "reason")
    all_lost = {(name,): sum(lost_to_somebody(each).values()) for name, each in ledgers.items()}
    about = "Events that a sink never gets, for all reasons but that nobody listened to it."
    yield _counter("sink_lost_events", about, all_lost, "sink")
    queued = {(name,): each["queued"] for name, each in ledgers.items()}
    yield _gauge("sink_queued_events", "Events that wait for a sink.", queued, "sink")
    cut = {(name,): each["cut"] for name, each in ledgers.items()}
    yield _counter("sink_cut_events", "Events delivered with less in them, as they were too large.", cut, "sink")
    hung_up = {(name, why): each[why] for name, each in ledgers.items() for why in ("refused", "denied")}
    yield _counter(
        "sink_subscribers_refused", "Subscribers that were hung up on: too many, not allowed.", hung_up, "sink", "why"
    )
    up = {
        (name, each["type"]): not each["trouble"] and stalled_seconds(each, now) < STALLED_SECONDS
        for name, each in states.items()
    }
    yield _gauge("sink_up", "1 if a sink takes what it is given.", up, "sink", "type")
    times = {
        "sink_last_acknowledged_timestamp_seconds": ("last_delivered", "When a sink took something last, Unix time."),
        "sink_oldest_undelivered_timestamp_seconds": (
            "oldest_waiting",
            "Time of the oldest event that waits for a sink.",
        ),
    }
    for name, (key, about) in times.items():
        yield _gauge(name, about, {(sink,): each[key] for sink, each in states.items()}, "sink")
    yield _lag(states)
    quantiles = {
        (sink, part): None if each[key] is None else each[key] / 1000
        for sink, each in states.items()
        for part, key in (("0.5", "p50_ms"), ("0.99", "p99_ms"))
    }
    about = "From the kernel's time of an event to its delivery, over the last minute."
    yield _gauge("delivery_lag_recent_seconds", about, quantiles, "sink", "quantile")


def _lag(states: Mapping[str, Mapping[str, Any]]) -> Metric:
    about = "From the kernel's time of an event to its delivery, estimated from some events of each batch."
    family = HistogramMetricFamily(PREFIX + "delivery_lag_seconds", about, labels=["sink"])
    bounds = [*(str(each / 1000) for each in BOUNDS_MS), "+Inf"]
    for name, each in states.items():
        total, buckets = 0, []
        for bound, count in zip(bounds, each["latency"]["counts"], strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([name], buckets, each["latency"]["sum_ms"] / 1000)
    return family


def _queue(status: Status) -> Iterator[Metric]:
    queue = status["queue"]
    if queue is None:
        return
    yield _gauge("queue_memory_bytes", "Events in memory.", _one(queue["memory_bytes"]))
    yield _gauge("queue_memory_limit_bytes", "How much there may be.", _one(queue["memory_limit_bytes"]))
    if queue["mode"] == "lossless":
        yield _gauge("spool_up", "1 if the disk takes what it should.", _one(not queue["trouble"]))
    if queue["spool_bytes"] is not None:
        yield _gauge("spool_bytes", "Events on disk.", _one(queue["spool_bytes"]))
        yield _gauge("spool_limit_bytes", "How much there may be.", _one(queue["spool_limit_bytes"]))


def _kernel(status: Status) -> Iterator[Metric]:
    kernel = status["kernel"]
    if kernel is None:
        return
    yield _counter("kernel_lost", "Records that the kernel lost since it started.", _one(kernel["lost"]))
    yield _gauge("kernel_backlog", "Records that wait in the kernel for auditd.", _one(kernel["backlog"]))
    yield _gauge("kernel_backlog_limit", "How many may; 0 for any number.", _one(kernel["backlog_limit"]))
    yield _gauge("kernel_enabled", "0 auditing is off, 1 on, 2 on and locked.", _one(kernel["enabled"]))
