"""`consumer.open`: the way in."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import consumer
from tests.kafka.mock import MockBroker


def events(first: int, last: int) -> list[bytes]:
    """Events as JSON."""
    return [
        json.dumps({"event": {"id": f"h:{each}", "sequence": each}, "host": {"id": "h"}}).encode()
        for each in range(first, last + 1)
    ]


@pytest.fixture(scope="module")
def broker() -> MockBroker:
    """A broker on loopback."""
    return MockBroker()


def put(broker: MockBroker, topic: str, payloads: list[bytes], partition: int = 0) -> None:
    """Messages in a partition."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for payload in payloads:
        producer.produce(topic, payload, partition=partition)
    assert producer.flush(20) == 0


def test_a_topic(broker: MockBroker) -> None:
    """A program reads every event of a topic once, of each partition in order, and knows what it did not get."""
    broker.make_topic("all")
    put(broker, "all", [*events(1, 100), b"hello", *events(91, 150)])
    put(broker, "all", events(1001, 1050), partition=1)
    told: list[consumer.ConsumerError] = []
    with consumer.open(f"kafka://{broker.bootstrap}/all", on_error=told.append) as reader:
        found = [next(reader)["event"]["sequence"] for _ in range(200)]
        assert reader.poll(0.5) is None
    assert [each for each in found if each <= 1000] == list(range(1, 151))
    assert [each for each in found if each > 1000] == list(range(1001, 1051))
    assert reader.counts == consumer.Counts(events=200, duplicates=10, errors=1)
    assert len(told) == 1


def test_a_topic_from_now_on(broker: MockBroker) -> None:
    """With from=end everything is seen that comes after `open` has returned, and nothing else."""
    broker.make_topic("end")
    put(broker, "end", events(1, 5))
    with consumer.open(f"kafka://{broker.bootstrap}/end?from=end") as reader:
        put(broker, "end", events(6, 8))
        found = [document and document["event"]["sequence"] for document in (reader.poll(20) for _ in range(3))]
        assert found == [6, 7, 8]
        assert reader.poll(0.2) is None


def test_a_group(broker: MockBroker) -> None:
    """With a group a new consumer gets everything that is there."""
    broker.make_topic("group")
    put(broker, "group", events(1, 5))
    with consumer.open(f"kafka://{broker.bootstrap}/group?group=siem") as reader:
        found = [document and document["event"]["sequence"] for document in (reader.poll(30) for _ in range(5))]
        reader.commit()
    assert found == [1, 2, 3, 4, 5]


def test_a_file_and_a_socket(tmp_path: Path) -> None:
    """The same program reads from a file or the plugin's socket; only the URL differs."""
    stream = b"".join(each + b"\n" for each in events(1, 3))
    (tmp_path / "events.jsonl").write_bytes(stream)
    for url in (str(tmp_path / "events.jsonl"), f"file://{tmp_path}/events.jsonl"):
        with consumer.open(url) as reader:
            assert [each["event"]["sequence"] for each in reader] == [1, 2, 3]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(2)
        for url in (str(tmp_path / "s"), f"unix://{tmp_path}/s"):
            with consumer.open(url) as reader:
                client, _ = listener.accept()
                with client:
                    client.sendall(stream)
                assert [each["event"]["sequence"] for each in reader] == [1, 2, 3]


def test_what_makes_no_sense(tmp_path: Path) -> None:
    """Every mistake in a call is one type of error."""
    (tmp_path / "e").touch()
    with pytest.raises(consumer.ConsumerError, match="expected a number of ids, 0 or more, found -1"):
        consumer.open(str(tmp_path / "e"), deduplicate=-1)
    with pytest.raises(consumer.ConsumerError, match="settings are librdkafka's"):
        consumer.open(str(tmp_path / "e"), settings={"client.id": "x"})
    with pytest.raises(consumer.ConsumerError, match="expected kafka://"):
        consumer.open("amqp://b/t")
    with pytest.raises(consumer.ConsumerError, match=r"no broker answers within 0\.3 s"):
        consumer.open("kafka://127.0.0.1:1/t", timeout=0.3)


def test_kafka_is_loaded_only_for_kafka(tmp_path: Path) -> None:
    """Who reads a file or a socket need not have librdkafka."""
    (tmp_path / "e").write_bytes(b"".join(each + b"\n" for each in events(1, 1)))
    code = (
        "import sys; sys.modules['confluent_kafka'] = None\n"
        "from audisp_pyaudit import consumer\n"
        f"print(len(list(consumer.open({str(tmp_path / 'e')!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
