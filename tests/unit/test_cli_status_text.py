"""A status in words."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.cli.status_text import lines, troubles
from audisp_pyaudit.status import Status
from tests.status import LEVEL, StandIn, example, parts_of


def said(status: Status, condition: str = "running", later: float = 0.0) -> str:
    """All of it."""
    return "\n".join(lines(status, condition, status["written"] + later))


def verdict(status: Status, condition: str = "running", later: float = 0.0) -> str:
    """The first line."""
    return said(status, condition, later).splitlines()[0]


@pytest.fixture
def topic() -> StandIn:
    """A sink that has delivered much."""
    sink = StandIn()
    sink.delivered = 1_234_567
    return sink


def test_all_is_well(topic: StandIn, tmp_path: Path) -> None:
    """Who is woken up for nothing sees so in the first line."""
    found = example(tmp_path, parts_of(topic, level=LEVEL))
    found["started"] = found["written"] - 3 * 86400 - 4 * 3600
    text = said(found)
    assert text.splitlines()[0] == "WELL: running for 3 d 4 h"
    assert "configuration: OK (/etc/a.toml)" in text
    assert "came in: 2,469,134 records" in text
    assert "2,469,134 published in 1,234,567 events, 0 ends of events, none held, none lost" in text
    assert "1,234,567 delivered, nothing lost" in text
    assert "1.0 MB of 8.0 MB in memory, 120 MB of 1.0 GB on disk (12 % full)" in text
    assert "kernel: auditing is on, 3 records lost since it started, 17 of 8,192 wait for auditd" in text
    assert text.splitlines()[-1] == "ledger: closed: everything that came in is accounted for"
    assert troubles(found, "running", found["written"]) == []


def test_delivering(topic: StandIn, tmp_path: Path) -> None:
    """How long events take is said in time; a sink that caught up is not said to be behind."""
    found = example(tmp_path, parts_of(topic))
    found["sinks"]["topic"] |= {"p50_ms": 120.0, "p99_ms": 400.0}
    found["ledger"]["sinks"]["topic"]["queued"] = 1
    took = "within the last minute an event took 120 ms from the kernel to it, 99 % at most 400 ms"
    assert f"sink topic (kafka): delivering; {took}" in said(found)
    assert "1 event waits" in said(found)
    found["ledger"]["sinks"]["topic"]["queued"] = 0
    assert f"sink topic (kafka): delivering, nothing waits; {took}" in said(found)
    found["sinks"]["topic"] |= {"p50_ms": None, "last_delivered": found["written"]}
    assert "sink topic (kafka): has everything; the last came at " in said(found)
    found["sinks"]["topic"] |= {"last_delivered": None}
    assert "sink topic (kafka): nothing was delivered yet" in said(found)
    found["ledger"]["sinks"]["topic"] |= {"offered": 0}
    assert "sink topic (kafka): nothing came yet" in said(found)


def test_cannot_deliver(topic: StandIn, tmp_path: Path) -> None:
    """Since when, why, how much waits since when, and for how long there is room: what one has to know at night."""
    topic.trouble, topic.queued, topic.peers = "connection refused", 1_000, {"broker-1:9092": "DOWN"}
    found = example(tmp_path, parts_of(topic, level=LEVEL))
    at = found["written"]
    found["sinks"]["topic"] |= {"trouble_since": at - 720, "oldest_waiting": at - 900}
    found["queue"]["spool_growth_bytes_per_second"] = 880_000_000 / (3 * 3600)
    text = said(found)
    assert verdict(found).startswith("TROUBLE: sink topic cannot deliver (running for ")
    assert "sink topic (kafka): CANNOT DELIVER for 12 min: connection refused" in text
    assert "1,000 events wait (the oldest of " in text
    assert ", 15 min ago), nothing lost" in text
    assert "broker-1:9092: DOWN" in text
    assert "(12 % full, full in about 3 h at this rate)" in text


def test_stalled(topic: StandIn, tmp_path: Path) -> None:
    """A sink that says nothing and takes nothing is in trouble; so is a subscriber that is not there."""
    topic.queued = 5
    found = example(tmp_path, parts_of(topic, level=LEVEL))
    found["sinks"]["topic"]["waiting_since"] = found["written"] - 9
    assert troubles(found, "running", found["written"]) == []
    found["sinks"]["topic"]["waiting_since"] = found["written"] - 60
    assert "CANNOT DELIVER for 1 min: nothing is taken from us, or acknowledged" in said(found)
    assert troubles(found, "running", found["written"]) == ["sink topic cannot deliver"]
    found["queue"]["delivers"] = False
    assert "WAITS for 1 min: a process before this one still has the spool" in said(found)
    found["queue"]["delivers"] = True
    found["sinks"]["topic"]["type"] = "subscriber"
    found["ledger"]["sinks"]["topic"]["peers"] = {"/run/a.sock": "nobody is connected"}
    assert "CANNOT DELIVER for 1 min: nobody is connected" in said(found)


def test_losses(topic: StandIn, tmp_path: Path) -> None:
    """Each has its number, its reason, its last time and what to do; old ones are told and call nobody."""
    topic.lost = {"spool_full": 1200, "no_subscriber": 7}
    found = example(tmp_path, parts_of(topic, intake_full=3))
    text = said(found)
    assert "TROUBLE: something was lost in the last hour (intake_full, spool_full)" in text
    assert "LOST: 1,200 events for sink topic (spool_full, last at " in text
    assert "): the spool or its disk was full: a larger queue.quota_bytes, or a shorter outage" in text
    assert "LOST: 3 records (intake_full, last at " in text
    assert "1,200 LOST, 7 came while nobody was connected" in text
    assert ", 3 LOST" in text
    assert "LOST: 7" not in text
    assert verdict(found, later=3700).startswith("WELL: ")
    assert "LOST: 1,200 events" in said(found, later=3700)


def test_not_running(topic: StandIn, tmp_path: Path) -> None:
    """Since when it does not run, and how it ended; what was known last is still there."""
    found = example(tmp_path, parts_of(topic))
    assert "gone since" in verdict(found, "gone", 720)
    assert "(12 min ago), killed or crashed. What it said last:" in verdict(found, "gone", 720)
    assert verdict(found, "ended").startswith("NOT RUNNING: its input ended at ")
    assert "1,234,567 delivered" in said(found, "gone", 720)
    assert verdict(found, "silent", 30).startswith("TROUBLE: it has said nothing for 30 s, though its process is there")


CHANGES: list[tuple[dict[str, Any], str]] = [
    (
        {"config": {"problems": ["a.toml:3: wrong"], "meanwhile": "configuration is wrong; going on with another"}},
        "configuration is wrong; going on with another",
    ),
    ({"queue": {"trouble": "/var: full"}}, "the spool does not work"),
    ({"queue": {"spool_bytes": 850_000_000}}, "the spool is 85 % full"),
    ({"ledger": {"closed": False}}, "the ledger does not add up, which is a bug of ours"),
    ({"kernel": {"enabled": 0}}, "auditing is switched off in the kernel"),
    ({"metrics_trouble": "127.0.0.1:1: in use"}, "127.0.0.1:1: in use"),
    ({"kernel_trouble": "it takes CAP_AUDIT_CONTROL"}, "it takes CAP_AUDIT_CONTROL"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_troubles(topic: StandIn, tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """Whatever is wrong is in the first line."""
    found = example(tmp_path, parts_of(topic, level=LEVEL))
    for key, value in change.items():
        found[key] = {**found[key], **value} if isinstance(value, dict) else value
    assert f"TROUBLE: {told}" in verdict(found)


def test_a_bug_of_the_engine(topic: StandIn, tmp_path: Path) -> None:
    """It was survived, and somebody should hear of it."""
    found = example(tmp_path, parts_of(topic, panics=2, gaps=3, records_held=4, records_filtered=0))
    assert "the engine broke on its input" in verdict(found)
    assert "3 gaps in the serials: records that never reached us" in said(found)
    assert "4 held for others of their events" in said(found)


def test_the_queue(topic: StandIn, tmp_path: Path) -> None:
    """Without a spool it says why, or that none is wanted."""
    lossy = dataclasses.replace(LEVEL, mode="lossy", spool_bytes=None, spool_limit_bytes=None)
    assert "nothing on disk (lossy)" in said(example(tmp_path, parts_of(topic, level=lossy)))
    broken = dataclasses.replace(LEVEL, spool_bytes=None, spool_limit_bytes=None, trouble="read-only")
    assert "NO SPOOL: read-only" in said(example(tmp_path, parts_of(topic, level=broken)))
    fails = dataclasses.replace(LEVEL, trouble="read-only")
    assert "DOES NOT WORK: read-only" in said(example(tmp_path, parts_of(topic, level=fails)))
    assert "queue: " not in said(example(tmp_path, parts_of(topic)))
