"""Frames as messages of Kafka: topic, key, value, headers and time.

In: frames. Out: what a producer is given. Nothing is decoded, but what is too large for its topic: that is cut, and
says so.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import NamedTuple, cast

from audisp_pyaudit._engine import SCHEMA, Frame, Frames
from audisp_pyaudit.framing import document_of
from audisp_pyaudit.notices import timestamp_of
from audisp_pyaudit.packing import pack, unpack
from audisp_pyaudit.sink_settings import KafkaSettings
from audisp_pyaudit.sinks.trim import Document, trimmed

Headers = list[tuple[str, bytes]]
# Value, key and headers of a message that has nothing special about it.
Plain = tuple[bytes, bytes | None, Headers]

_CONTENT_TYPES = {"json": b"application/json", "msgpack": b"application/vnd.msgpack"}
# librdkafka's own default of message.max.bytes, and what key and headers and the protocol take of it.
_MAX_BYTES = 1_000_000
_AROUND_BYTES = 2048
# No topic refuses messages this small for their size.
_SMALLEST_BYTES = 4096
# After a broker refused the time of an event, messages bear that of their producing for so long: a host whose clock is
# wrong has every event refused, and each refusal costs a pause.
_OWN_TIME_SECONDS = 60.0
_NOT_IN_TOPICS = re.compile(r"[^A-Za-z0-9._-]")
_MAX_TOPIC = 249


class Message(NamedTuple):
    """What `produce` is given.

    `timestamp`: milliseconds since 1970, 0 for the time of producing. `cut`: it has less than the event.
    """

    topic: str
    value: bytes
    key: bytes | None
    headers: Headers
    timestamp: int
    cut: bool


class Messages:
    """Makes messages.

    Args:
        settings: what the configuration says.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._format = settings.format
        self._topic = settings.topic
        self._is_template = "{" in settings.topic
        self._key: Callable[[Frame], bytes | None] = _KEYS[settings.key]
        self._headers = _cloud_headers if settings.headers == "cloudevents" else _own_headers
        self._event_time = settings.timestamp == "event"
        self._content_type = _CONTENT_TYPES[settings.format]
        self._max_bytes = _max_bytes(dict(settings.librdkafka))
        self._is_plain = settings.headers == "own" and settings.key in {"host", "none"}
        self._is_plain &= not self._is_template and not self._event_time
        self._has_key = settings.key == "host"
        self._learned: dict[str, int] = {}  # by topic
        self._event_time_from = 0.0  # monotonic

    def of(self, frame: Frame) -> Message | None:
        """The message of a frame; None if it cannot be made small enough."""
        topic = self._topic_of(frame) if self._is_template else self._topic
        value = document_of(frame, self._format)
        limit = self._learned.get(topic, self._max_bytes)
        cut = len(value) > limit
        if cut:
            smaller = self._smaller(value, limit)
            if smaller is None:
                return None
            value = smaller
        timestamp = max(0, frame.time_ms) if self._event_time and time.monotonic() >= self._event_time_from else 0
        return Message(topic, value, self._key(frame), self._headers(self._content_type, frame), timestamp, cut)

    def plain(self, frames: Frames, indexes: list[int]) -> Iterable[Plain | None]:
        """What `of` would make of frames, for all at once and so at a third of the cost; None where it has to do it."""
        if not self._is_plain:
            return repeat(None, len(indexes))
        limit = self._learned.get(self._topic, self._max_bytes)
        content_type, has_key = ("content-type", self._content_type), self._has_key
        return [
            (value, host if has_key else None, [content_type, _SCHEMA_HEADER, ("event-id", identity)])
            if value is not None and len(value) <= limit
            else None
            for value, identity, host in frames.parts(indexes, self._format)
        ]

    def too_large(self, message: Message) -> bool:
        """Note that a message was refused for its size; whether a smaller one makes sense."""
        if len(message.value) <= _SMALLEST_BYTES:
            return False
        self._learned[message.topic] = len(message.value) // 2
        return True

    def untimely(self, message: Message) -> bool:
        """Note that a message was refused for its time; whether one with another time makes sense."""
        self._event_time_from = time.monotonic() + _OWN_TIME_SECONDS
        return message.timestamp != 0

    def _smaller(self, value: bytes, limit: int) -> bytes | None:
        if self._format == "json":
            return trimmed(json.loads(value), limit, _as_json)
        return trimmed(cast("Document", unpack(value)), limit, pack)

    def _topic_of(self, frame: Frame) -> str:
        name = self._topic.replace("{category}", frame.category or "other").replace("{host}", frame.host)
        return _NOT_IN_TOPICS.sub("_", name)[:_MAX_TOPIC]


def _max_bytes(librdkafka: dict[str, object]) -> int:
    """What a message may have, as far as is known before it is tried; a setting that is none librdkafka tells of."""
    said = str(librdkafka.get("message.max.bytes", ""))
    return max(_SMALLEST_BYTES, (int(said) if said.isdecimal() else _MAX_BYTES) - _AROUND_BYTES)


def _as_json(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


_KEYS: dict[str, Callable[[Frame], bytes | None]] = {
    "host": lambda frame: frame.host.encode(),
    "session": lambda frame: f"{frame.host}/{frame.session or ''}".encode(),
    "none": lambda _frame: None,
}


def _own_headers(content_type: bytes, frame: Frame) -> Headers:
    return [("content-type", content_type), _SCHEMA_HEADER, ("event-id", frame.id.encode())]


def _cloud_headers(content_type: bytes, frame: Frame) -> Headers:
    """The Kafka protocol binding of CloudEvents 1.0, binary mode."""
    when = timestamp_of(frame.time_ms)
    return [
        ("content-type", content_type),
        ("ce_specversion", b"1.0"),
        ("ce_id", frame.id.encode()),
        ("ce_source", f"/linux/audit/{frame.host}".encode()),
        ("ce_type", f"org.linux-audit.{frame.category or 'event'}".encode()),
        ("ce_dataschema", b"audisp-pyaudit/" + _SCHEMA),
        *([("ce_time", when.encode())] if when else []),
    ]


_SCHEMA = str(SCHEMA).encode()
_SCHEMA_HEADER = ("schema-version", _SCHEMA)
