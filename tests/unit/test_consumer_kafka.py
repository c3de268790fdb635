"""Events from a topic: nothing twice, nothing unseen, nothing committed before it is finished with."""

import json
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.consumer import kafka, librdkafka
from audisp_pyaudit.consumer.address import KafkaAddress
from audisp_pyaudit.consumer.base import Consumer, Problem
from audisp_pyaudit.consumer.kafka import KafkaSource
from audisp_pyaudit.errors import ConsumerError

Committed = dict[int, int]


class Message:
    """A message as the library gives it."""

    def __init__(self, number: int, offset: int, value: bytes | None = None, error: KafkaError | None = None) -> None:
        event = {"event": {"id": f"h:{number}-{offset}"}, "host": {"id": "h"}}
        self._place = (number, offset)
        self._value = json.dumps(event).encode() if value is None else value
        self._error = error

    def partition(self) -> int:
        """Its partition."""
        return self._place[0]

    def offset(self) -> int:
        """Its place there."""
        return self._place[1]

    def value(self) -> bytes:
        """What it holds."""
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        """As our own sink writes them."""
        return [("content-type", b"application/json")]

    def error(self) -> KafkaError | None:
        """What it is in the place of."""
        return self._error


def trouble(code: int, text: str, *, fatal: bool = False) -> Message:
    """What comes in the place of a message."""
    return Message(0, 0, b"", KafkaError(code, text, fatal))


class FakeClient:
    """librdkafka's consumer, as a test says."""

    def __init__(self) -> None:
        self.queue: deque[Message | Callable[[], None] | Exception] = deque()
        self.topic_error: KafkaError | None = None
        self.partitions = [0, 1]
        self.away = 0  # so many times no broker answers
        self.assigned: list[list[tuple[int, int]]] = []
        self.stored: list[tuple[int, int]] = []
        self.commits: list[Committed] = []
        self.commit_error: Exception | None = None
        self.was: Committed = {}  # committed before
        self.closed = 0
        self.settings: Mapping[str, object] = {}
        self.callbacks: dict[str, Callable[[Any, Any], None]] = {}

    def make(self, settings: Mapping[str, object]) -> "FakeClient":
        """Itself."""
        self.settings = settings
        return self

    def list_topics(self, topic: str, timeout: float) -> Any:  # noqa: ANN401, ARG002  # as the library has it
        """The topic."""
        if self.away:
            self.away -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, "Failed to get metadata"))
        partitions = dict.fromkeys(self.partitions)
        return SimpleNamespace(topics={topic: SimpleNamespace(error=self.topic_error, partitions=partitions)})

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:  # noqa: ARG002
        """Ten messages in each partition."""
        return 3, 10 + partition.partition

    def subscribe(self, topics: list[str], **callbacks: Callable[[Any, Any], None]) -> None:
        """Take part in the group."""
        assert topics == ["audit"]
        self.callbacks = callbacks
        self.queue.appendleft(lambda: callbacks["on_assign"](self, self.places(self.partitions)))

    def places(self, numbers: Sequence[int]) -> list[TopicPartition]:
        """Partitions."""
        return [TopicPartition("audit", number) for number in numbers]

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Note what is read, and from where."""
        self.assigned.append([(each.partition, each.offset) for each in partitions])

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:  # noqa: ARG002
        """Where the group was."""
        return [TopicPartition("audit", each.partition, self.was.get(each.partition, -1001)) for each in partitions]

    def poll(self, timeout: float) -> Message | None:  # noqa: ARG002  # as the library has it
        """What a test put there."""
        item = self.queue.popleft() if self.queue else None
        if isinstance(item, Exception):
            raise item
        if item is None or isinstance(item, Message):
            return item
        item()
        return None

    def store_offsets(self, *, offsets: list[TopicPartition]) -> None:
        """Note them."""
        self.stored += [(each.partition, each.offset) for each in offsets]

    def commit(self, *, asynchronous: bool) -> None:
        """Note what was stored."""
        assert not asynchronous
        if self.commit_error is not None:
            raise self.commit_error
        self.commits.append(dict(self.stored))

    def close(self) -> None:
        """Count it."""
        self.closed += 1


@pytest.fixture
def client() -> FakeClient:
    """A client for one source."""
    return FakeClient()


def source(client: FakeClient, *, group: str = "", start: str = "", reconnect: bool = False) -> KafkaSource:
    """A source that reads from it."""
    address = KafkaAddress("b:9092", "audit", group, start)
    return KafkaSource(address, {}, reconnect=reconnect, timeout=0.5, make=client.make)


def consumer(client: FakeClient, **more: Any) -> Consumer:  # noqa: ANN401  # as Consumer and source
    """A consumer in a group; tells what it is told in `told`."""
    told: list[ConsumerError] = more.pop("told", [])
    auto_commit = more.pop("auto_commit", True)
    return Consumer(source(client, group="siem", **more), auto_commit=auto_commit, on_error=told.append)


def received(source: KafkaSource) -> list[Any]:
    """All that a source gives now."""
    found = []
    while (each := source.receive(0)) is not None or source._client.queue:  # type: ignore[attr-defined]  # it is the fake
        found.append(each)
    return [each for each in found if each is not None]


def test_offsets_are_stored_when_an_event_is_finished_with(client: FakeClient) -> None:
    """A consumer that is killed gets the event that it worked on again, and none that it had finished with."""
    events = consumer(client)
    client.queue += [Message(0, 5), Message(1, 7), Message(0, 6)]
    events.poll(10)
    assert client.stored == []
    events.poll(10)
    assert client.stored == [(0, 6)]
    events.poll(10)
    assert client.stored == [(0, 6), (1, 8)]
    events.close()
    assert client.stored == [(0, 6), (1, 8)], "the last one was in hand"
    assert client.closed == 1


def test_a_batch_is_committed_as_a_whole(client: FakeClient) -> None:
    """A program that writes a thousand events at a time says when they are written; before that nothing is stored."""
    events = consumer(client, auto_commit=False)
    client.queue += [Message(0, 5), Message(1, 7), Message(0, 6), Message(0, 7)]
    for _ in range(3):
        events.poll(10)
    assert client.stored == []
    events.commit()
    assert client.commits == [{0: 7, 1: 8}]


def test_a_commit_that_fails_is_said(client: FakeClient) -> None:
    """Whoever waits for a commit learns that there was none; nothing new to commit is no failure."""
    events = consumer(client)
    client.commit_error = KafkaException(KafkaError(KafkaError._NO_OFFSET, "Local: No offset stored"))
    events.commit()
    client.commit_error = KafkaException(KafkaError(KafkaError._TRANSPORT, "broker away"))
    with pytest.raises(ConsumerError, match="could not be committed, their events may come again: broker away"):
        events.commit()


def test_without_a_group_nothing_is_committed(client: FakeClient) -> None:
    """Looking at a topic leaves no trace on the brokers."""
    events = Consumer(source(client))
    client.queue += [Message(0, 5), Message(0, 6)]
    events.poll(10)
    events.poll(10)
    events.commit()
    assert (client.stored, client.commits) == ([], [])


@pytest.mark.parametrize(("start", "offsets"), [("", [-2, -2]), ("beginning", [-2, -2]), ("end", [10, 11])])
def test_without_a_group_all_partitions_are_read(client: FakeClient, start: str, offsets: list[int]) -> None:
    """From the first event that is there, or from now on: exactly what comes after the opening."""
    source(client, start=start)
    assert client.assigned == [list(enumerate(offsets))]


def test_partitions_that_the_topic_is_given_later(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic may grow: events in its new partitions are seen, those read already do not come again."""
    monkeypatch.setattr(kafka, "PARTITIONS_SECONDS", -1.0)
    reader = source(client, start="end")
    client.partitions = [0, 1, 2]
    client.queue += [Message(0, 10), Message(0, 11)]
    assert len(received(reader)) == 2
    assert client.assigned == [[(0, 10), (1, 11)], [(0, 10), (1, 11), (2, -2)]]


def test_what_was_removed_before_it_was_read_is_counted(client: FakeClient) -> None:
    """A consumer that was away for longer than the topic keeps events is told how many it missed, and where."""
    client.was = {0: 5}
    told: list[ConsumerError] = []
    events = consumer(client, told=told)
    client.queue += [Message(0, 9), Message(0, 10), Message(1, 4), Message(1, 6)]
    found = [events.poll(10) for _ in range(4)]
    assert [each["event"]["id"] for each in found if each] == ["h:0-9", "h:0-10", "h:1-4", "h:1-6"]
    assert (events.counts.events, events.counts.skipped, events.counts.errors) == (4, 5, 0)
    assert str(told[0]) == (
        "kafka://b:9092/audit, partition 0: offsets 5 to 8 are not there any more: removed before they were read?"
    )


def test_a_partition_that_the_group_gives_to_another(client: FakeClient) -> None:
    """What was not finished is the other's, and is not committed by us behind its back; what comes back is no loss."""
    events = consumer(client, auto_commit=False)
    client.queue += [Message(0, 5), Message(1, 7)]
    events.poll(10)
    events.poll(10)
    client.queue.append(lambda: client.callbacks["on_revoke"](client, client.places([0])))
    client.was = {0: 30}
    client.queue.append(lambda: client.callbacks["on_assign"](client, client.places([0])))
    client.queue.append(Message(0, 30))
    events.poll(10)
    assert events.counts.skipped == 0
    events.commit()
    assert client.commits == [{0: 31, 1: 8}]


def test_a_message_that_is_no_document(client: FakeClient) -> None:
    """One message of a stranger is skipped, told with its place, and not met again after a restart."""
    told: list[ConsumerError] = []
    events = consumer(client, told=told)
    client.queue += [Message(0, 5, b"hello"), Message(0, 6)]
    found = events.poll(10)
    assert found is not None
    assert found["event"]["id"] == "h:0-6"
    assert events.counts.errors == 1
    assert str(told[0]).startswith("kafka://b:9092/audit, partition 0, offset 5: it is no JSON")
    assert client.stored == [(0, 6)]


def test_no_broker_at_the_start(client: FakeClient) -> None:
    """A broker that is away, or a name that is mistyped, is an error in a sentence; nothing is left behind."""
    client.away = 1
    with pytest.raises(ConsumerError, match=r"audit: no broker answers within 0.5 s \(Failed to get metadata\)"):
        source(client)
    assert client.closed == 1


def test_waiting_for_brokers(client: FakeClient) -> None:
    """With reconnect it is said once that no broker is there, and events come when there is one."""
    client.away = 3
    told: list[ConsumerError] = []
    events = consumer(client, reconnect=True, told=told)
    client.queue += [Message(0, 5)]
    # The first polls only make librdkafka tell its troubles.
    client.queue.extendleft([lambda: None] * 3)
    assert events.poll(10) is not None
    assert [str(each) for each in told] == ["kafka://b:9092/audit: no broker answers; waiting (Failed to get metadata)"]
    assert events.counts.troubles == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, 'there is no topic "audit"; expected one that exists'),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed"),
    ],
)
def test_a_topic_that_is_not_there(client: FakeClient, code: int, expected: str) -> None:
    """A mistyped topic is an error at the start, rather than a silence for ever."""
    client.topic_error = KafkaError(code)
    with pytest.raises(ConsumerError, match=expected):
        source(client)
    with pytest.raises(ConsumerError, match=expected):
        source(client, reconnect=True).receive(0)


def test_a_topic_that_is_only_being_made(client: FakeClient) -> None:
    """A topic without a leader yet is waited for, as a broker is."""
    client.topic_error, client.partitions = KafkaError(KafkaError.LEADER_NOT_AVAILABLE), []
    with pytest.raises(ConsumerError, match="only being made"):
        source(client)


def test_troubles_end_nothing(client: FakeClient) -> None:
    """Brokers that go away are said, once, with the reason; events go on when they are back."""
    told: list[ConsumerError] = []
    events = consumer(client, told=told)
    noticed = client.settings["error_cb"]
    assert callable(noticed)
    for _ in range(3):
        client.queue.append(lambda: noticed(KafkaError(KafkaError._TRANSPORT, "Connection refused")))
        client.queue.append(lambda: noticed(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")))
    client.queue += [trouble(KafkaError._PARTITION_EOF, "end"), trouble(KafkaError._MAX_POLL_EXCEEDED, "slow")]
    client.queue.append(Message(0, 5))
    assert events.poll(10) is not None
    assert [each.message for each in told] == ["all brokers are away; waiting (Connection refused)", "slow"]
    assert (events.counts.troubles, events.counts.errors) == (2, 0)


@pytest.mark.parametrize(
    "last",
    [
        trouble(KafkaError.GROUP_AUTHORIZATION_FAILED, "Group authorization failed"),
        trouble(KafkaError._FATAL, "Group authorization failed", fatal=True),
        KafkaException(KafkaError(KafkaError._STATE, "Group authorization failed")),
    ],
)
def test_what_cannot_get_better_is_an_error(client: FakeClient, last: Message | Exception) -> None:
    """A consumer that may not read is told so, rather than waiting for ever."""
    reader = source(client, group="siem")
    client.queue += [last]
    with pytest.raises(ConsumerError, match="Group authorization failed"):
        received(reader)


def test_problems_do_not_overtake_events(client: FakeClient) -> None:
    """What is missing is told before the event behind it."""
    client.was = {0: 5}
    reader = source(client, group="siem")
    client.queue += [Message(0, 5), Message(0, 9)]
    found = received(reader)
    assert [isinstance(each, Problem) for each in found] == [False, True, False]


def test_settings_that_cannot_be() -> None:
    """A wrong setting is an error that names it; a library that is not installed, too."""
    address = KafkaAddress("127.0.0.1:1", "audit", "", "")
    with pytest.raises(ConsumerError, match=r'audit: a setting cannot be: .*"no.such"'):
        KafkaSource(address, {"no.such": 1})

    def missing(_settings: Mapping[str, object]) -> librdkafka.Client:
        raise ImportError("confluent_kafka")

    with pytest.raises(ConsumerError, match="needs the package confluent-kafka"):
        KafkaSource(address, {}, make=missing)
