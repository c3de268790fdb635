"""Metrics: the numbers are those of the ledger, under names that Prometheus expects."""

import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.latency import BOUNDS_MS
from audisp_pyaudit.metrics import PREFIX, registry_of, rendered
from audisp_pyaudit.status import Status
from tests.status import LEVEL, StandIn, example, parts_of


@pytest.fixture
def status(tmp_path: Path) -> Status:
    """A status with something of everything."""
    topic, events = StandIn(), StandIn("events", "unix")
    topic.delivered, topic.queued, topic.cut, topic.lost = 90, 7, 1, {"spool_full": 2, "refused": 1}
    topic.oldest, topic.trouble = 1_700_000_000_000, "away"
    topic.measured.note([0], 90)
    events.delivered, events.lost = 60, {"no_subscriber": 40}
    return example(tmp_path, parts_of(topic, events, level=LEVEL, records_held=3, intake_full=4, gaps=2, gap_serials=9))


def number(status: Status, name: str, **labels: str) -> float | None:
    """One number."""
    return registry_of(status).get_sample_value(PREFIX + name, labels)


def test_they_are_the_ledger(status: Status) -> None:
    """Whoever adds up what came in and what became of it gets the same from metrics and ledger."""
    ledger = status["ledger"]
    read = number(status, "records_read_total")
    assert read == ledger["engine"]["records_in"] + 4
    fates = [number(status, "records_total", fate=each) or 0 for each in ("published", "end_of_event", "filtered")]
    lost = [number(status, "records_lost_total", reason=each) or 0 for each in ("intake_full", "panic")]
    assert lost == [4, 0]
    assert read == sum(fates) + sum(lost) + (number(status, "records_held") or 0)
    assert number(status, "events_lost_total", sink="topic", reason="spool_full") == 2
    assert number(status, "events_lost_total", sink="events", reason="no_subscriber") == 40
    assert number(status, "sink_lost_events_total", sink="topic") == 3
    assert number(status, "sink_lost_events_total", sink="events") == 0
    assert number(status, "sink_events_total", sink="topic", result="delivered") == 90
    assert number(status, "sink_queued_events", sink="topic") == 7
    assert number(status, "serial_gaps_total") == 2
    assert number(status, "serials_missing_total") == 9
    assert number(status, "ledger_closed") == 1


def test_sinks_that_take_nothing_are_down(status: Status) -> None:
    """A sink is down if it says so, or if something waits for it and nothing went to it for some time."""
    assert number(status, "sink_up", sink="topic", type="kafka") == 0
    assert number(status, "sink_up", sink="events", type="unix") == 1
    state = status["sinks"]["events"]
    state["waiting_since"] = status["written"] - 5
    assert number(status, "sink_up", sink="events", type="unix") == 1
    state["waiting_since"] = status["written"] - 15
    assert number(status, "sink_up", sink="events", type="unix") == 0


def test_lag(status: Status) -> None:
    """Quantiles over hosts can be made of the histogram: buckets add up, in seconds."""
    assert number(status, "delivery_lag_seconds_count", sink="topic") == 90
    assert number(status, "delivery_lag_seconds_bucket", sink="topic", le="+Inf") == 90
    assert number(status, "delivery_lag_seconds_bucket", sink="topic", le="0.001") == 0
    assert number(status, "delivery_lag_seconds_bucket", sink="topic", le=str(BOUNDS_MS[-1] / 1000)) == 0
    assert number(status, "delivery_lag_recent_seconds", sink="topic", quantile="0.5") == BOUNDS_MS[-1] / 1000
    assert number(status, "delivery_lag_recent_seconds", sink="events", quantile="0.5") is None
    assert number(status, "sink_oldest_undelivered_timestamp_seconds", sink="topic") == 1_700_000_000
    assert number(status, "sink_oldest_undelivered_timestamp_seconds", sink="events") is None


def test_what_is_not_there_has_no_number(status: Status) -> None:
    """Without a queue, a spool or an answer of the kernel there is no metric that would say 0."""
    assert number(status, "kernel_lost_total") == 3
    assert number(status, "spool_bytes") == 120_000_000
    status["kernel"] = None
    status["queue"]["spool_bytes"] = None
    assert number(status, "kernel_lost_total") is None
    assert number(status, "spool_bytes") is None
    assert number(status, "spool_up") == 1
    status["queue"]["mode"] = "lossy"
    assert number(status, "spool_up") is None
    status["queue"] = None
    assert number(status, "queue_memory_bytes") is None


def test_states_of_the_process(status: Status, tmp_path: Path) -> None:
    """A wrong configuration and the end of the process can be seen."""
    assert (number(status, "running"), number(status, "config_ok")) == (1, 1)
    ended = example(tmp_path, parts_of(problems=("wrong",)), last=True)
    assert (number(ended, "running"), number(ended, "config_ok")) == (0, 0)
    assert number(status, "build_info", version=status["program"]) == 1


def test_names_are_as_prometheus_has_them(status: Status) -> None:
    """The text is what Prometheus reads; counters end in _total, no name stands twice, everything is explained."""
    families = list(text_string_to_metric_families(rendered(status).decode()))
    assert len({each.name for each in families}) == len(families) > 40
    for each in families:
        assert each.name.startswith(PREFIX)
        assert each.documentation.endswith(".")
        assert each.type in {"counter", "gauge", "histogram"}
        assert each.type != "gauge" or not each.name.endswith("_total")


def test_names_of_sinks_cannot_forge_metrics(status: Status) -> None:
    """Whatever stands in a status, it does not make lines of its own."""
    status["program"] = 'x"} 1\nforged 1\n'
    assert not any(line.startswith("forged") for line in rendered(status).decode().splitlines())
