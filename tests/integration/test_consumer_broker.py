"""Consumers of Apache Kafka that are killed."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import consumer
from tests.frames import frames
from tests.kafka import broker as kafka_broker
from tests.kafka.broker import Broker

# The shortest session that brokers allow: so long a partition of a member that was killed belongs to nobody.
SETTINGS = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
PROGRAM = """\
import sys
import time
from audisp_pyaudit import consumer
with consumer.open(sys.argv[1], settings={settings}, auto_commit=sys.argv[2] == "auto") as events:
    for number, document in enumerate(events, 1):
        print(document["event"]["sequence"], flush=True)
        if sys.argv[2] == "explicit" and number % 10 == 0:
            events.commit()
""".replace("{settings}", repr({**SETTINGS, "auto.commit.interval.ms": 200}))


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


def publish(broker: Broker, topic: str, *parts: range) -> None:
    """Events as the sink publishes them; a sink that had to begin anew sends some of them again."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "log_level": 0})
    for part in parts:
        batch = frames(part)
        for index in range(len(batch)):
            producer.produce(topic, batch[index].json, key=b"lab")
    assert producer.flush(20) == 0


def killed_after(count: int, url: str, mode: str) -> list[int]:
    """What a consumer shows that is killed after so many events, wherever it is then."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, url, mode], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
    return [int(line) for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("mode", ["auto", "explicit"])
def test_a_consumer_that_is_killed_misses_nothing(broker: Broker, mode: str) -> None:
    """Killed between events again and again, a group has had every event, in order, and drops what came twice."""
    topic = f"killed-{mode}"
    broker.make_topic(topic)
    publish(broker, topic, range(1, 201), range(151, 401))  # 50 of them twice
    url = f"kafka://{broker.bootstrap}/{topic}?group=siem-{mode}"
    shown: list[list[int]] = [killed_after(count, url, mode) for count in (35, 120)]
    publish(broker, topic, range(401, 501))
    with consumer.open(url, settings=SETTINGS) as events:
        last: list[int] = []
        while not last or last[-1] < 500:
            document = events.poll(60)
            assert document is not None, f"missing behind {last[-1:]}"
            last.append(document["event"]["sequence"])
        assert events.poll(0.5) is None
        assert events.counts.skipped == events.counts.errors == 0
    shown.append(last)
    assert sorted({each for run in shown for each in run}) == list(range(1, 501)), "nothing is missing"
    for run in shown:
        assert run == sorted(set(run)), "each once, in order, within a process"
    assert all(after[0] <= before[-1] + 1 for before, after in itertools.pairwise(shown))
    if mode == "explicit":
        assert last[0] > 1, "it goes on where it was committed"
    publish(broker, topic, range(501, 503))
    with consumer.open(url, settings=SETTINGS) as events:
        assert next(events)["event"]["sequence"] == 501, "what is finished is committed at the end"


def test_duplicates_are_dropped_within_the_process(broker: Broker) -> None:
    """What a sink sent again after an outage is handed out once, and the count says how many were dropped."""
    broker.make_topic("twice")
    publish(broker, "twice", range(1, 201), range(151, 401))
    with consumer.open(f"kafka://{broker.bootstrap}/twice") as events:
        assert [next(events)["event"]["sequence"] for _ in range(400)] == list(range(1, 401))
        assert events.counts == consumer.Counts(events=400, duplicates=50)


def test_what_the_topic_did_not_keep_is_counted(broker: Broker) -> None:
    """A group that was away for longer than the topic keeps events learns how many it missed."""
    from confluent_kafka import TopicPartition  # noqa: PLC0415  # as below
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # delete_records came after 1.7.0

    broker.make_topic("short")
    publish(broker, "short", range(1, 101))
    url = f"kafka://{broker.bootstrap}/short?group=short"
    with consumer.open(url, settings=SETTINGS) as events:
        for _ in range(10):
            next(events)
        events.commit()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition("short", 0, 60)]).values():
        future.result(20)
    told: list[str] = []
    with consumer.open(url, settings=SETTINGS, on_error=lambda error: told.append(str(error))) as events:
        assert next(events)["event"]["sequence"] == 61
        assert events.counts.skipped == 50
    assert "offsets 10 to 59 are not there any more" in told[-1]


def test_a_topic_that_nobody_made(broker: Broker) -> None:
    """A mistyped topic is an error, and is not made on the brokers."""
    for _ in range(2):
        with pytest.raises(consumer.ConsumerError, match='there is no topic "mistyped"'):
            consumer.open(f"kafka://{broker.bootstrap}/mistyped")


def test_brokers_that_go_and_come_back(broker: Broker) -> None:
    """An outage ends nothing: it is told, and the events behind it come."""
    broker.restart_or_skip()
    broker.make_topic("outage")
    publish(broker, "outage", range(1, 11))
    told: list[str] = []
    url = f"kafka://{broker.bootstrap}/outage"
    with consumer.open(url, on_error=lambda error: told.append(str(error))) as events:
        assert [next(events)["event"]["sequence"] for _ in range(10)] == list(range(1, 11))
        broker.stop()
        deadline = time.monotonic() + 30
        while not told:
            assert time.monotonic() < deadline, "an outage is told"
            assert events.poll(0.2) is None
        broker.start()
        publish(broker, "outage", range(11, 21))
        found = [events.poll(60) for _ in range(10)]
    assert [document and document["event"]["sequence"] for document in found] == list(range(11, 21))
    assert "all brokers are away" in told[0]
