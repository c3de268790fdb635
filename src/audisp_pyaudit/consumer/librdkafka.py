"""What is used of confluent_kafka's consumer, in every version from 1.7.0 on, and what it is told.

It is loaded only when somebody reads from Kafka. Errors are known by their numbers, which need no import.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol, cast

from audisp_pyaudit.consumer.address import END, KafkaAddress
from audisp_pyaudit.errors import ConsumerError

OFFSET_BEGINNING = -2
# Of whoever reads without a group: librdkafka wants a name; nothing is committed under it.
NO_GROUP = "audisp-pyaudit-reader"

# Offsets are stored by us, when the caller is done with an event. What is fetched ahead is bounded to a quarter of
# librdkafka's own 64 MiB. Nothing is made on the brokers, and nothing is written to standard error behind our back.
DEFAULTS: Mapping[str, object] = {
    "enable.auto.offset.store": False,
    "allow.auto.create.topics": False,
    "queued.max.messages.kbytes": 16_384,
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 5_000,
    "log_level": 0,
}
# Settings that are said elsewhere, or that what is promised depends on.
_ELSEWHERE = {
    "bootstrap.servers": "the brokers stand in the URL",
    "metadata.broker.list": "the brokers stand in the URL",
    "auto.offset.reset": "it is from=beginning or from=end in the URL",
    "enable.auto.commit": "it is auto_commit",
    "enable.auto.offset.store": "offsets are stored when an event is finished with, see auto_commit",
    "error_cb": "it is on_error",
}


class Code(IntEnum):
    """Errors that something is done about, by librdkafka's numbers; those above 0 are the brokers'."""

    NO_LEADER = 5
    UNKNOWN_TOPIC = 3
    TOPIC_REFUSED = 29
    GROUP_REFUSED = 30
    TRANSPORT = -195
    RESOLVE = -193
    PARTITION_EOF = -191
    ALL_BROKERS_DOWN = -187
    NO_OFFSET = -168


class Client(Protocol):
    """confluent_kafka.Consumer."""

    def subscribe(self, topics: list[str], **callbacks: Callable[[Any, Any], None]) -> None: ...  # noqa: D102
    def assign(self, partitions: list[Any]) -> None: ...  # noqa: D102
    def poll(self, timeout: float) -> Any: ...  # noqa: ANN401, D102
    def store_offsets(self, *, offsets: list[Any]) -> None: ...  # noqa: D102
    def commit(self, *, asynchronous: bool) -> Any: ...  # noqa: ANN401, D102
    def committed(self, partitions: list[Any], timeout: float) -> Sequence[Any]: ...  # noqa: D102
    def list_topics(self, topic: str, timeout: float) -> Any: ...  # noqa: ANN401, D102
    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int] | None: ...  # noqa: ANN401, D102
    def close(self) -> None: ...  # noqa: D102


Make = Callable[[Mapping[str, object]], Client]


def make_client(settings: Mapping[str, object]) -> Client:
    """The real one.

    Raises:
        ImportError: it is not installed.
        confluent_kafka.KafkaException: a setting cannot be.
    """
    from confluent_kafka import Consumer  # noqa: PLC0415  # others do without

    return cast("Client", Consumer(dict(settings)))


def partition(topic: str, number: int, offset: int = -1001) -> Any:  # noqa: ANN401  # confluent_kafka.TopicPartition
    """A place in a topic; the offset is librdkafka's word for none if nothing is said."""
    from confluent_kafka import TopicPartition  # noqa: PLC0415  # others do without

    return TopicPartition(topic, number, offset)


def client_settings(address: KafkaAddress, settings: Mapping[str, object], *, auto_commit: bool) -> dict[str, object]:
    """Everything that librdkafka is told; what the user says goes before our defaults.

    Raises:
        ConsumerError: a setting is said elsewhere.
    """
    for name, value in settings.items():
        if name in _ELSEWHERE:
            raise ConsumerError(address.where, f'the setting "{name}" cannot be given: {_ELSEWHERE[name]}')
        if not isinstance(value, str | int | float) and not callable(value):  # bool is an int; callables are oauth_cb
            text = f'the setting "{name}" is a {type(value).__name__}; expected a text, a number, True or False'
            raise ConsumerError(address.where, text)
    if "group.id" in settings and address.group:
        raise ConsumerError(address.where, 'the setting "group.id" cannot be given: the URL names a group')
    return {
        **DEFAULTS,
        "bootstrap.servers": address.bootstrap,
        "group.id": address.group or NO_GROUP,
        "enable.auto.commit": bool(address.group) and auto_commit,
        # Without a group this is for offsets that are not there any more: go on with the oldest there is.
        "auto.offset.reset": "latest" if address.group and address.start == END else "earliest",
        **settings,
    }


def _error(error: object) -> object:
    """The KafkaError, also of a KafkaException."""
    arguments = getattr(error, "args", ())
    return arguments[0] if arguments and not hasattr(error, "code") else error


def code(error: object) -> int | None:
    """The number of a KafkaError, also within a KafkaException."""
    found = getattr(_error(error), "code", None)
    return int(found()) if callable(found) else None


def reason(error: object) -> str:
    """The text of an error."""
    inner = _error(error)
    said = getattr(inner, "str", None)
    return str(said()) if callable(said) else str(inner)


def is_fatal(error: object) -> bool:
    """Whether the consumer is broken for good."""
    said = getattr(_error(error), "fatal", None)
    return bool(said()) if callable(said) else False
