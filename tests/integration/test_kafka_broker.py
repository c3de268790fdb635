"""The whole process with Apache Kafka behind it. Every test asserts that the ledger closes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

import audisp_pyaudit
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


@pytest.fixture
def on_debian(tmp_path: Path) -> tuple[str, ...]:
    """The plugin on the distribution's Python and libraries, as a deb has it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "audisp_pyaudit").symlink_to(Path(audisp_pyaudit.__file__).parent)
    path = f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r}); "
    python = ("/usr/bin/python3", "-I", "-c")
    tried = subprocess.run(
        [*python, "import confluent_kafka as it, msgpack, prometheus_client, structlog; print(it.__file__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode or not tried.stdout.startswith("/usr/lib/python3/"):
        why = (
            f"Debian's own confluent-kafka, msgpack, prometheus-client, structlog are not there: {tried.stderr[-200:]}"
        )
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    return (*python, path + "from audisp_pyaudit.__main__ import main; main()")


def test_the_libraries_of_the_distribution_will_do(
    start: Start, broker: Broker, make_records: Records, tmp_path: Path, on_debian: tuple[str, ...]
) -> None:
    """A deb that depends on Debian 12's confluent-kafka 1.7.0 delivers all the same, also when the broker restarts.

    Its prometheus-client 0.16 makes the same metrics.
    """
    broker.restart_or_skip()
    broker.make_topic("debian")
    told = tmp_path / "a.prom"
    metrics = f'[metrics]\nstatus = ""\ntextfile = "{told}"\n'
    plugin = start(config(tmp_path, broker.bootstrap, "debian") + metrics, command=on_debian)
    plugin.stdin.sendall(make_records(1, 100))
    assert len(broker.messages("debian", 100)) == 100
    broker.stop()
    plugin.stdin.sendall(make_records(101, 200))
    broker.start()
    found = broker.messages("debian", 200)
    plugin.end()
    assert plugin.sink("topic")["delivered"] == plugin.sink("topic")["offered"]
    assert 'audisp_pyaudit_sink_events_total{result="delivered",sink="topic"} 200.0' in told.read_text().splitlines()
    assert distinct(serials(found)) == list(range(1, 201))
    assert dict(found[0].headers())["content-type"] == b"application/json"
