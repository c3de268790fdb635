"""What the configuration may say of each type of sink, and the sink there is where it says nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from audisp_pyaudit.address import address
from audisp_pyaudit.settings import choice, flag, mode, path, required, setting, shown, socket_path, text, texts, whole

MIB = 1024 * 1024
# Kafka's own rule for names of topics.
# What nobody can change without losing what the queue promises.
_GUARANTEES = {
    "acks": ("all", "-1"),
    "request.required.acks": ("all", "-1"),
    "enable.idempotence": ("true",),
    "enable.gapless.guarantee": ("true",),
}
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
# What every peer can route by: words with dots between.
_TAG = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
_TAG_LETTERS = 128


def servers(value: object) -> str:
    """Brokers to ask first: `host:port`, several with commas."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f'expected "host:port" of one or more brokers with commas, found {shown(value)}')
    return value


def topic(value: object) -> str:
    """The name of a topic; {category} and {host} in it stand for those of each event."""
    name = re.sub(r"\{(category|host)\}", "x", value) if isinstance(value, str) else ""
    if not _TOPIC.match(name) or name in {".", ".."}:
        wanted = "1 to 249 letters, digits, dots, - and _, and {category} or {host}"
        raise ValueError(f"expected {wanted}, found {shown(value)}")
    return str(value)


def tag(value: object) -> str:
    """A tag of the forward protocol."""
    if not isinstance(value, str) or len(value) > _TAG_LETTERS or not _TAG.match(value):
        raise ValueError(
            f"expected words of letters, digits, - and _ with dots between, at most {_TAG_LETTERS} in all, "
            f"found {shown(value)}"
        )
    return value


def librdkafka(value: object) -> tuple[tuple[str, object], ...]:
    """Settings of librdkafka by its own names; it checks them itself."""
    if not isinstance(value, Mapping):
        raise ValueError("expected a table of librdkafka's settings")  # noqa: TRY004  # as every check
    for name, each in value.items():
        if name in {"bootstrap.servers", "metadata.broker.list"}:
            raise ValueError(f'"{name}" is `bootstrap` of the sink')
        if not isinstance(each, str | int | float):
            raise ValueError(f'"{name}": expected a text, a number, true or false')  # noqa: TRY004
        if name in _GUARANTEES and str(each).lower() not in _GUARANTEES[name]:
            wanted = " or ".join(f'"{word}"' for word in _GUARANTEES[name])
            raise ValueError(f'"{name}": delivery depends on it; expected {wanted}, or nothing')
    return tuple(value.items())


def secrets(value: object) -> tuple[tuple[str, str], ...]:
    """Settings of librdkafka whose values stand in files, by absolute path."""
    if not isinstance(value, Mapping):
        raise ValueError("expected a table of settings and paths of files")  # noqa: TRY004  # as above
    for name, each in value.items():
        try:
            path(each)
        except ValueError:  # what was found may be the secret itself
            raise ValueError(f'"{name}": expected the absolute path of a file') from None
    return tuple((name, str(each)) for name, each in value.items())


@dataclass(frozen=True, kw_only=True)
class _Documents:
    """What every sink has."""

    format: str = setting("json", choice("json", "msgpack"))


@dataclass(frozen=True, kw_only=True)
class UnixSettings(_Documents):
    """A Unix stream socket that we listen on, for many subscribers."""

    path: str = required(socket_path)
    type: str = setting("unix", choice("unix"))
    mode: int = setting(0o600, mode)
    group: str = setting("", text)
    allow: tuple[str, ...] = setting((), texts)
    subscribers: int = setting(32, whole(1, 1000))
    buffer_bytes: int = setting(4 * MIB, whole(65536, 1024 * MIB, "bytes"))


@dataclass(frozen=True, kw_only=True)
class FileSettings(_Documents):
    """A file that frames are appended to."""

    path: str = required(path)
    type: str = setting("file", choice("file"))
    mode: int = setting(0o600, mode)


@dataclass(frozen=True, kw_only=True)
class StdoutSettings(_Documents):
    """Standard output, for people and tests."""

    type: str = setting("stdout", choice("stdout"))


@dataclass(frozen=True, kw_only=True)
class QueuedSettings:
    """What every sink has that takes from the queue."""

    # Whether what it does not have yet is kept for it as long as there is room; else it loses what is further behind.
    required: bool = setting(default=True, check=flag)
    max_lag_bytes: int = setting(64 * MIB, whole(MIB, 1024 * 1024 * MIB, "bytes"))


@dataclass(frozen=True, kw_only=True)
class SubscriberSettings(QueuedSettings, _Documents):
    """A Unix socket for one reader that acknowledges what it has."""

    path: str = required(socket_path)
    type: str = setting("subscriber", choice("subscriber"))
    mode: int = setting(0o600, mode)
    group: str = setting("", text)
    allow: tuple[str, ...] = setting((), texts)
    # Frames that may be under way to it; it gets no more before it acknowledges some.
    window: int = setting(10_000, whole(1, 1_000_000))


@dataclass(frozen=True, kw_only=True)
class KafkaSettings(QueuedSettings, _Documents):
    """A topic of Kafka. What is not delivered waits in the queue."""

    bootstrap: str = required(servers)
    type: str = setting("kafka", choice("kafka"))
    topic: str = setting("audit", topic)
    # What keeps messages in order among each other: those of one key.
    key: str = setting("host", choice("host", "session", "none"))
    headers: str = setting("own", choice("own", "cloudevents"))
    # The time of a message itself. By that of the event, an event older than the topic's retention is deleted at once,
    # and a broker refuses what is too far from its own clock.
    timestamp: str = setting("produce", choice("produce", "event"))
    librdkafka: tuple[tuple[str, object], ...] = setting((), librdkafka)
    secrets: tuple[tuple[str, str], ...] = setting((), secrets)


@dataclass(frozen=True, kw_only=True)
class ForwardSettings(QueuedSettings):
    """A peer that speaks the Fluent forward protocol. What is not delivered waits in the queue."""

    address: str = required(address)
    type: str = setting("forward", choice("forward"))
    tag: str = setting("audit", tag)
    acknowledge: bool = setting(default=True, check=flag)
    acknowledge_seconds: int = setting(30, whole(1, 3600, "seconds"))
    # Fluent Bit's forward input takes messages of at most 6,144,000 bytes unless told otherwise.
    event_bytes: int = setting(5 * MIB, whole(65536, 256 * MIB, "bytes"))

    @property
    def format(self) -> str:
        """What the protocol is made of; nobody can choose."""
        return "msgpack"


@dataclass(frozen=True, kw_only=True)
class HoldSettings(QueuedSettings, _Documents):
    """A place in the queue for sinks that are not known yet. Nobody can configure it."""

    type: str = setting("hold", choice("hold"))


SinkSettings = (
    UnixSettings | FileSettings | StdoutSettings | SubscriberSettings | KafkaSettings | ForwardSettings | HoldSettings
)
SINK_TYPES: dict[str, type[SinkSettings]] = {
    "unix": UnixSettings,
    "file": FileSettings,
    "stdout": StdoutSettings,
    "subscriber": SubscriberSettings,
    "kafka": KafkaSettings,
    "forward": ForwardSettings,
}
DEFAULT_SINKS: Mapping[str, SinkSettings] = {"events": UnixSettings(path="/run/audisp-pyaudit/events.sock")}
