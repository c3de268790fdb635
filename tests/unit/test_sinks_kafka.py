"""The Kafka sink: every event once and in order where the broker allows it, and nothing lost where it does not."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frame, Frames
from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.sink_settings import KafkaSettings
from audisp_pyaudit.sinks import kafka, queued
from audisp_pyaudit.sinks.kafka import KafkaSink, producer_settings
from audisp_pyaudit.sinks.message import Message, Messages
from tests.frames import frames
from tests.kafka.mock import MockBroker

TIMEOUT = 20.0


@pytest.fixture(scope="module")
def broker() -> MockBroker:
    """A broker on loopback."""
    return MockBroker()


@pytest.fixture
def queue() -> Iterator[Queue]:
    """A queue in memory for one sink."""
    made = Queue(QueueSettings(), [Cursor("kafka", 0)])
    yield made
    made.close()


def until(condition: Callable[[], object], what: str) -> None:
    """Until something is true."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def put(queue: Queue, first: int, count: int, pad: int = 1) -> None:
    """Events, committed."""
    queue.append(frames(range(first, first + count), pad=pad))
    queue.commit()


class FakeProducer:
    """Takes messages and reports on them as a test says."""

    def __init__(self, broker: "FakeBroker", settings: Mapping[str, object]) -> None:
        self.broker, self.settings = broker, settings
        self.reports: list[tuple[Callable[[object, object], None], object, tuple[str, bytes, dict[str, Any]]]] = []
        self.broken: Exception | None = None

    def produce(self, topic: str, value: bytes, **more: Any) -> None:  # noqa: ANN401  # as the library has it
        """Take a message, or not."""
        if self.broker.room <= len(self.reports):
            raise BufferError("Local: Queue full")
        outcome = self.broker.judge(json.loads(value)["event"]["sequence"], value, more)
        if isinstance(outcome, Refused) and self.broker.raises:
            raise outcome
        self.reports.append((more["on_delivery"], outcome, (topic, value, more)))

    def poll(self, timeout: float) -> int:
        """Report."""
        reports, self.reports = self.reports, []
        if reports and self.batch_of(reports) > self.broker.batch_bytes:
            reports = [(report, Refused("Broker: Message size too large"), message) for report, _, message in reports]
        refused = next((outcome for _, outcome, _ in reports if isinstance(outcome, Refused)), None)
        for report, outcome, message in reports:
            said = (refused if self.broker.whole_batches else None) or outcome or self.broken
            if said is None:
                self.broker.stored.append(message)
            else:
                self.broken = Exception("Local: Gapless guarantee")
            report(said, None)
        if not reports:
            time.sleep(min(timeout, 0.005))
        return len(reports)

    def batch_of(self, reports: list[tuple[Callable[[object, object], None], object, tuple[str, bytes, Any]]]) -> int:
        """Bytes of a batch of messages; librdkafka makes none larger than it is told, but for one message."""
        sizes = [len(value) for _, _, (_, value, _) in reports]
        return max(*sizes, min(sum(sizes), int(str(self.settings.get("batch.size", 1_000_000)))))

    flush = poll

    def purge(self) -> None:
        """Nothing is held."""


class FakeBroker:
    """What producers are made for."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, bytes, dict[str, Any]]] = []
        self.made: list[FakeProducer] = []
        self.room = 10_000
        self.raises = True  # whether a refusal comes at once
        self.whole_batches = False  # whether all that was sent with a refused message is refused
        self.batch_bytes = 1 << 30  # how large a batch may be
        self.judge: Callable[..., object] = lambda _serial, *_rest: None

    def make(self, settings: Mapping[str, object]) -> FakeProducer:
        """A producer."""
        self.made.append(FakeProducer(self, settings))
        return self.made[-1]

    @property
    def serials(self) -> list[int]:
        """What is stored, in order."""
        return [json.loads(value)["event"]["sequence"] for _, value, _ in self.stored]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    """A broker that does as a test says; nobody waits long."""
    monkeypatch.setattr(queued, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(kafka, "LAST_WORDS_SECONDS", 0.01)
    return FakeBroker()


def run(sink: KafkaSink, queue: Queue, *batches: int, pad: int = 1, enough: Callable[[], object] | None = None) -> None:
    """Put batches of so many events into the queue, and deliver until all is settled, or what a test waits for."""
    sink.start()
    first = 1
    for count in batches:
        put(queue, first, count, pad)
        first += count
    until(enough or (lambda: not queue.counts("kafka").queued), "all is acknowledged or given up, or what was awaited")
    sink.close(time.monotonic())
    sink._thread.join(10)


def test_every_event_is_a_message(broker: MockBroker, queue: Queue) -> None:
    """A consumer of the topic has every event once, in order, with its id and what it is written in."""
    broker.make_topic("every")
    sink = KafkaSink("kafka", KafkaSettings(bootstrap=broker.bootstrap, topic="every"), queue)
    run(sink, queue, 500, 500)
    messages = broker.messages("every", 1000)
    assert [json.loads(each.value())["event"]["sequence"] for each in messages] == list(range(1, 1001))
    assert {each.key() for each in messages} == {b"lab"}
    document = json.loads(messages[0].value())
    assert dict(messages[0].headers()) == {
        "content-type": b"application/json",
        "schema-version": str(document["auditd"]["schema"]).encode(),
        "event-id": document["event"]["id"].encode(),
    }
    stats = sink.stats()
    assert (stats.offered, stats.delivered, stats.closed) == (1000, 1000, True)


def test_a_broker_that_is_away_costs_nothing(queue: Queue) -> None:
    """Events wait; the log can say why; the sink ends at once when it is to."""
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="127.0.0.1:1"), queue)
    sink.start()
    put(queue, 1, 50)
    until(lambda: sink.trouble, "a trouble is told")
    start = time.monotonic()
    sink.close(start)
    assert time.monotonic() - start < 5
    assert queue.counts("kafka").queued == 50


def test_a_failed_message_is_sent_again_in_order(fake: FakeBroker, queue: Queue) -> None:
    """After an error nothing is missing and nothing overtakes; what was stored is not sent twice."""
    tries: list[int] = []

    def judge(serial: int, *_rest: object) -> object:
        if serial == 30 and len(tries) < 3:
            tries.append(serial)
            return Exception("Broker: Not enough in-sync replicas")
        return None

    fake.judge = judge
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, 100)
    assert fake.serials == list(range(1, 101))
    assert sink.rebuilt == len(tries) == 3


class Refused(Exception):  # noqa: N818  # as the library's KafkaError, which cannot be made here
    """What a broker says of a message that it will never take."""

    def __init__(self, why: str, number: int = 10) -> None:
        super().__init__(why)
        self._number = number

    def code(self) -> int:
        """MSG_SIZE_TOO_LARGE, or another."""
        return self._number


@pytest.mark.parametrize("whole_batches", [True, False])
def test_a_message_that_is_refused_for_good_does_not_take_others_with_it(
    fake: FakeBroker, queue: Queue, *, whole_batches: bool
) -> None:
    """One event that is too large is counted as lost; those before and behind it arrive, in order."""
    fake.whole_batches = whole_batches
    fake.judge = lambda serial, *_rest: Refused("Broker: Message size too large") if serial in {30, 31, 90} else None
    fake.raises = False
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, 100)
    assert fake.serials == [each for each in range(1, 101) if each not in {30, 31, 90}]
    assert queue.counts("kafka").lost == {"refused": 3}


def test_a_message_that_is_too_large_for_the_producer_is_given_up(fake: FakeBroker, queue: Queue) -> None:
    """Librdkafka refuses it at once; nothing else waits for it."""
    fake.judge = lambda serial, *_rest: Refused("Broker: Message size too large") if serial == 30 else None
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, 100)
    assert fake.serials == [each for each in range(1, 101) if each != 30]
    assert (queue.counts("kafka").lost, sink.rebuilt) == ({"refused": 1}, 0)


def test_batches_become_as_small_as_a_topic_wants_them(fake: FakeBroker, queue: Queue) -> None:
    """A topic for small batches costs no event, and is not asked again and again for what it never takes."""
    fake.batch_bytes = 100_000
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, *[100] * 10, pad=2000)
    assert fake.serials == list(range(1, 1001))
    assert queue.counts("kafka").lost == {}
    assert sink.rebuilt <= 4  # from a million bytes
    assert int(str(fake.made[-1].settings["batch.size"])) <= 100_000


def test_who_is_sent_before_the_others_again_is_not_blamed(fake: FakeBroker, queue: Queue) -> None:
    """The last message that is sent by itself has company soon: what is refused then need not be it."""
    fake.whole_batches, fake.raises = True, False
    fake.judge = lambda serial, *_rest: Refused("Broker: Message size too large") if serial % 50 == 0 else None
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, *[20] * 50)
    assert fake.serials == [each for each in range(1, 1001) if each % 50]
    assert dict(queue.counts("kafka").lost) == {"refused": 20}


@pytest.mark.parametrize("at_once", [True, False])
def test_an_event_that_is_too_large_is_cut_until_it_fits(fake: FakeBroker, queue: Queue, *, at_once: bool) -> None:
    """A command line of a megabyte arrives in a topic for small messages: shorter, and it says what was cut."""

    def judge(_serial: int, value: bytes, _more: object) -> object:
        return Refused("Broker: Message size too large") if len(value) > 20_000 else None

    fake.judge, fake.raises = judge, at_once
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, 10, pad=50_000)
    assert fake.serials == list(range(1, 11))
    documents = [json.loads(value) for _, value, _ in fake.stored]
    assert all("process.executable" in each["auditd"]["truncated"] for each in documents)
    stats = sink.stats()
    assert (dict(stats.lost), stats.delivered, stats.cut) == ({}, 10, 10)


def test_a_time_that_a_broker_refuses_costs_no_event(fake: FakeBroker, queue: Queue) -> None:
    """A host whose clock is wrong is heard: its events come with the time they were sent, and their own within."""

    def judge(_serial: int, _value: bytes, more: dict[str, Any]) -> object:
        return Refused("Broker: Invalid timestamp", 32) if more["timestamp"] else None

    fake.judge, fake.raises = judge, False
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1", timestamp="event"), queue, fake.make)
    run(sink, queue, 100)
    assert fake.serials == list(range(1, 101))
    assert (queue.counts("kafka").lost, sink.rebuilt < 5) == ({}, True)


@pytest.mark.parametrize("headers", ["own", "cloudevents"])
def test_what_cannot_be_sent_does_not_hold_up_the_rest(
    fake: FakeBroker, queue: Queue, monkeypatch: pytest.MonkeyPatch, headers: str
) -> None:
    """A bug of ours in one event costs that event, is told, and is counted; whichever way messages are made."""
    make = Messages.of

    def broken_slice(_self: Messages, _frames: Frames, _indexes: list[int]) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(Messages, "plain", broken_slice)

    def broken(self: Messages, frame: Frame) -> Message | None:
        if frame.sequence == 5:
            raise KeyError("bug")
        return make(self, frame)

    monkeypatch.setattr(Messages, "of", broken)
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1", headers=headers), queue, fake.make)
    run(sink, queue, 10)
    assert len(fake.serials) == 9
    assert dict(queue.counts("kafka").lost) == {"unsendable": 1}


@pytest.mark.parametrize("key", ["host", "none"])
def test_messages_made_all_at_once_are_those_made_one_by_one(
    fake: FakeBroker, queue: Queue, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer cannot tell which way a message took: value, key, headers and topic are the same."""
    settings = KafkaSettings(bootstrap="b:1", key=key, librdkafka=(("message.max.bytes", 10_000),))
    queue.append(frames([1, 2]))
    queue.append(frames([3], pad=20_000))  # is cut, so it is not made with the others
    queue.append(frames([4]))
    monkeypatch.setattr(queued, "POLL_SECONDS", 0.01)
    run(KafkaSink("kafka", settings, queue, fake.make), queue, 0)
    batch = Frames.joined([frames([1, 2]), frames([3], pad=20_000), frames([4])], 0)
    messages = Messages(settings)
    expected = [messages.of(batch[index]) for index in range(4)]
    found = [(topic, value, more["key"], more["headers"]) for topic, value, more in fake.stored]
    assert found == [(each.topic, each.value, each.key, each.headers) for each in expected if each is not None]
    assert [each is None for each in messages.plain(batch, [0, 1, 2, 3])] == [False, False, True, False]


def test_the_states_of_brokers_are_known(fake: FakeBroker, queue: Queue) -> None:
    """Who is on call sees which broker is away."""
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, 1)
    tell = cast("Callable[[str], None]", fake.made[0].settings["stats_cb"])
    tell('{"brokers":{"a:1/1":{"nodename":"a:1","state":"UP"},"x":{"nodename":"","state":"INIT"}}}')
    assert sink.stats().peers == {"a:1": "UP"}
    tell("not what we know")
    assert sink.stats().peers == {"a:1": "UP"}


def test_a_password_may_stand_in_a_file(fake: FakeBroker, queue: Queue, tmp_path: Path) -> None:
    """A secret is in neither the configuration nor the log; one that others can read is told and not used."""
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o644)
    settings = KafkaSettings(bootstrap="b:1", secrets=(("sasl.password", str(secret)),))
    sink = KafkaSink("kafka", settings, queue, fake.make)
    sink.start()
    put(queue, 1, 1)
    until(lambda: "0644" in sink.trouble, "the mode is told")
    assert not fake.made
    secret.chmod(0o600)
    until(lambda: fake.stored, "it goes on without a restart")
    sink.close(time.monotonic())
    assert fake.made[0].settings["sasl.password"] == "hunter2"
    assert "hunter2" not in repr(settings)


def test_a_full_producer_is_waited_for(fake: FakeBroker, queue: Queue) -> None:
    """Memory is bounded by librdkafka's own small queue; the rest stays in ours."""
    fake.room = 7
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, fake.make)
    run(sink, queue, 100)
    assert fake.serials == list(range(1, 101))
    assert sink.rebuilt == 0


def test_settings_that_cannot_be_are_told_and_tried_again(queue: Queue) -> None:
    """A wrong setting of librdkafka costs no event and no process: it is in the log until somebody mends it."""
    settings = KafkaSettings(bootstrap="b:1", librdkafka=(("no.such.setting", 1),))
    sink = KafkaSink("kafka", settings, queue)
    run(sink, queue, 5, enough=lambda: "no.such.setting" in sink.trouble)
    assert queue.counts("kafka").queued == 5


@pytest.mark.parametrize(("key", "expected"), [("host", b"lab"), ("session", b"lab/1"), ("none", None)])
def test_the_key_keeps_what_it_should_in_order(
    fake: FakeBroker, queue: Queue, key: str, expected: bytes | None
) -> None:
    """What belongs together is in one partition."""
    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1", key=key), queue, fake.make)
    run(sink, queue, 1)
    assert fake.stored[0][2]["key"] == expected


def test_what_the_configuration_says_goes_before_our_defaults() -> None:
    """Whoever knows better can have it."""
    said = (("linger.ms", 5), ("ssl.ca.location", "/x"))
    settings = producer_settings(KafkaSettings(bootstrap="b:1", librdkafka=said))
    assert (settings["linger.ms"], settings["ssl.ca.location"], settings["bootstrap.servers"]) == (5, "/x", "b:1")
    assert settings["enable.gapless.guarantee"] is True


def test_a_trouble_that_comes_with_a_report_is_kept(queue: Queue) -> None:
    """That all brokers went is told once, in whatever moment; who is on call sees it."""

    class Producer:
        def __init__(self, settings: Mapping[str, object]) -> None:
            self.tell = cast("Callable[[object], None]", settings["error_cb"])
            self.reports: list[Callable[[object, object], None]] = []

        def produce(self, _topic: str, _value: bytes, **more: Any) -> None:  # noqa: ANN401  # as the library has it
            self.reports.append(more["on_delivery"])

        def poll(self, _timeout: float) -> int:
            for report in self.reports:
                report(None, None)
            if self.reports:
                self.tell("3/3 brokers are down")
            self.reports = []
            return 0

        flush = poll

        def purge(self) -> None:
            """Nothing is held."""

    sink = KafkaSink("kafka", KafkaSettings(bootstrap="b:1"), queue, cast("kafka.Make", Producer))
    put(queue, 1, 1)
    for _ in range(3):
        sink.step()
    assert (queue.counts("kafka").delivered, sink.trouble) == (1, "3/3 brokers are down")
