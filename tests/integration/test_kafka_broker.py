"""The whole process with Apache Kafka behind it. Every test asserts that the ledger closes."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.kafka import broker as kafka_broker
from tests.kafka.broker import Broker

VECTORS = Path(__file__).parents[1] / "vectors"

Start = Callable[..., Any]
Records = Callable[..., bytes]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Kafka on loopback; in CI it has to be there."""
    why = kafka_broker.why_not()
    if why:
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    made = Broker(tmp_path_factory.mktemp("kafka"))
    yield made
    made.stop()


def config(folder: Path, bootstrap: str, topic: str) -> str:
    """A configuration with Kafka alone; librdkafka is to notice soon that a broker is back."""
    return (
        f'[queue]\npath = "{folder}/spool"\n[sinks.topic]\ntype = "kafka"\nbootstrap = "{bootstrap}"\n'
        f'topic = "{topic}"\n[sinks.topic.librdkafka]\n"reconnect.backoff.max.ms" = 1000\n"linger.ms" = 5\n'
        '"topic.metadata.propagation.max.ms" = 2000\n'
    )


def serials(messages: list[Any]) -> list[int]:
    """Serials of the events, in order; our own events have none."""
    found = (json.loads(each.value())["event"].get("sequence") for each in messages)
    return [each for each in found if each is not None]


def distinct(numbers: list[int]) -> list[int]:
    """Each number where it came first."""
    return list(dict.fromkeys(numbers))


def test_a_real_log_reaches_the_topic(start: Start, broker: Broker, tmp_path: Path) -> None:
    """What auditd wrote is on the topic: every event, once, in order, and a document as any consumer reads it."""
    broker.make_topic("log")
    plugin = start(config(tmp_path, broker.bootstrap, "log"))
    plugin.stdin.sendall((VECTORS / "demo.log").read_bytes())
    broker.messages("log", 55)
    plugin.end()
    sink = plugin.sink("topic")
    assert sink["offered"] == sink["delivered"] + sink["queued"] == 60
    plugin = start(config(tmp_path, broker.bootstrap, "log"))
    messages = broker.messages("log", 60)
    plugin.end()
    ids = [json.loads(each.value())["event"]["id"] for each in messages]
    assert len(distinct(ids)) == 60
    assert [dict(each.headers())["event-id"].decode() for each in messages] == ids


def test_a_broker_that_goes_and_comes_back(start: Start, broker: Broker, tmp_path: Path, make_records: Records) -> None:
    """An outage in the middle costs nothing, changes no order, and doubles nothing."""
    broker.restart_or_skip()
    broker.make_topic("outage")
    plugin = start(config(tmp_path, broker.bootstrap, "outage"))
    plugin.stdin.sendall(make_records(1, 500))
    broker.messages("outage", 499)
    broker.stop()
    for first in range(501, 1501, 100):
        plugin.stdin.sendall(make_records(first, first + 99))
        time.sleep(0.05)
    broker.start()
    plugin.stdin.sendall(make_records(1501, 2000))
    messages = broker.messages("outage", 2000)
    assert serials(messages)[:2000] == list(range(1, 2001))
    time.sleep(1.5)  # acknowledgements come after the messages
    plugin.end()
    sink = plugin.sink("topic")
    assert (sink["offered"], sink["delivered"], sink["lost"]) == (2000, 2000, 0)


def test_a_topic_that_is_made_later(start: Start, broker: Broker, tmp_path: Path, make_records: Records) -> None:
    """A topic that nobody made yet is waited for, and the log says so."""
    plugin = start(config(tmp_path, broker.bootstrap, "late"))
    plugin.stdin.sendall(make_records(1, 100))
    plugin.wait_for("sink cannot deliver")
    broker.make_topic("late")
    assert serials(broker.messages("late", 100, 90.0)) == list(range(1, 101))
    time.sleep(1.5)  # acknowledgements come after the messages
    plugin.end()
    assert plugin.sink("topic")["delivered"] == 100


def test_killed_again_and_again(start: Start, broker: Broker, tmp_path: Path, make_records: Records) -> None:
    """What was written to the spool survives a SIGKILL: it arrives, in order, and ids tell what came twice."""
    broker.make_topic("killed")
    first = 1
    for _ in range(4):
        plugin = start(config(tmp_path, broker.bootstrap, "killed"))
        for _ in range(5):
            plugin.stdin.sendall(make_records(first, first + 99))
            first += 100
            time.sleep(0.05)
        time.sleep(1.5)  # the commit window, also on a slow machine
        plugin.process.kill()
        plugin.process.wait()
    plugin = start(config(tmp_path, broker.bootstrap, "killed"))
    plugin.stdin.sendall(make_records(first, first + 99))
    last = first + 99
    deadline = time.monotonic() + 60
    found: list[int] = []
    while last not in found and time.monotonic() < deadline:
        found = serials(broker.messages("killed", 10_000, 2.0))
    plugin.end()
    # The engine holds an event for a moment in case more of it comes; that is not in the spool yet.
    missing = sorted(set(range(1, last + 1)) - set(found))
    assert len(missing) <= 4
    assert distinct(found) == sorted(set(found))


def test_an_event_that_is_larger_than_the_topic_allows(
    start: Start, broker: Broker, tmp_path: Path, make_records: Records
) -> None:
    """It arrives, cut and saying so; all others arrive as they are, in order."""
    broker.make_topic("small", config={"max.message.bytes": "4000"})
    plugin = start(config(tmp_path, broker.bootstrap, "small") + '"compression.type" = "none"\n')
    large = make_records(101, 101).replace(b'exe="/usr/sbin/sshd"', b'exe="/' + b"x" * 6000 + b'"')
    plugin.stdin.sendall(make_records(1, 100) + large + make_records(102, 200))
    messages = broker.messages("small", 200)
    assert serials(messages) == list(range(1, 201))
    cut = json.loads(messages[100].value())
    assert "process.executable" in cut["auditd"]["truncated"]
    assert [each for each in messages if "truncated" in json.loads(each.value())["auditd"]] == [messages[100]]
    time.sleep(1.5)  # acknowledgements come after the messages
    plugin.end()
    sink = plugin.sink("topic")
    assert (sink["delivered"], sink["queued"], sink["lost"], sink["cut"]) == (200, 0, 0, 1)
