"""Messages: topic, key, headers and time, as a consumer finds them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Engine, Frame, Frames
from audisp_pyaudit.packing import unpack
from audisp_pyaudit.sink_settings import KafkaSettings
from audisp_pyaudit.sinks.message import Messages
from tests.frames import TIME, frames


def messages(**said: Any) -> Messages:  # noqa: ANN401  # any setting
    """Messages as the configuration says."""
    return Messages(KafkaSettings(bootstrap="b:1", **said))


def event(host: str = "lab", category: str = "", time_ms: int = 5) -> Frame:
    """An event of a host."""
    if not category:
        return Frames.single(identity="id", host=host, time_ms=time_ms, routes=1, json=b"{}")[0]
    options: dict[str, object] = {"host": {"name": host, "id": "1" * 32, "nodes": []}, "encodings": ["json"]}
    engine = Engine({**options, "sinks": ["kafka"]})
    line = b"type=USER_LOGIN msg=audit(1.000:5): pid=1 uid=0 auid=0 ses=1 msg='acct=\"x\" res=success'\n"
    return Frames.joined([engine.feed(line), engine.close()], 0)[0]


@pytest.mark.parametrize(
    ("template", "host", "category", "expected"),
    [
        ("audit", "lab", "", "audit"),
        ("audit.{category}", "lab", "authentication", "audit.authentication"),
        ("audit.{category}", "lab", "", "audit.other"),
        ("audit-{host}", "web-1.example", "", "audit-web-1.example"),
        ("{host}", "a/b ü", "", "a_b__"),
        ("{host}", "h" * 300, "", "h" * 249),
    ],
)
def test_topics_may_be_told_by_the_event(template: str, host: str, category: str, expected: str) -> None:
    """Log-ins can have a topic of their own; whatever a host is called, the name of the topic is one."""
    message = messages(topic=template).of(event(host, category))
    assert message is not None
    assert message.topic == expected


def test_cloud_events_find_what_they_need() -> None:
    """Tools that speak CloudEvents route by the headers, without opening a message."""
    message = messages(headers="cloudevents").of(event(category="authentication", time_ms=1))
    assert message is not None
    found = dict(message.headers)
    assert found["ce_specversion"] == b"1.0"
    assert found["ce_source"] == b"/linux/audit/lab"
    assert found["ce_type"] == b"org.linux-audit.authentication"
    assert found["ce_time"] == b"1970-01-01T00:00:01.000Z"
    assert found["ce_id"].endswith(b":1.000:5")
    assert found["content-type"] == b"application/json"


@pytest.mark.parametrize("time_ms", [2**62, -(2**62), -1])
def test_an_absurd_time_costs_no_event(time_ms: int) -> None:
    """A record may bear any time; its event is sent all the same."""
    for said in ({"headers": "cloudevents"}, {"timestamp": "event"}):
        message = messages(**said).of(event(time_ms=time_ms))
        assert message is not None
        assert message.timestamp >= 0


def test_the_time_of_a_message() -> None:
    """That of sending, unless the events' is asked for."""
    frame = frames([7])[0]
    for said, expected in (("produce", 0), ("event", (TIME + 7) * 1000)):
        message = messages(timestamp=said).of(frame)
        assert message is not None
        assert message.timestamp == expected


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_what_is_too_large_is_cut_before_it_is_sent(form: str) -> None:
    """Nothing is refused that is known to be."""
    made = messages(format=form, librdkafka=(("message.max.bytes", 10_000),))
    frame = frames([7], pad=50_000, encodings=[form])[0]
    message = made.of(frame)
    assert message is not None
    assert (len(message.value) <= 10_000, message.cut) == (True, True)
    if form == "msgpack":
        assert "process.executable" in unpack(message.value)["auditd"]["truncated"]  # type: ignore[index]


def test_a_setting_that_is_no_number_is_left_to_librdkafka() -> None:
    """It says what is wrong with it."""
    assert messages(librdkafka=(("message.max.bytes", "many"),)).of(event()) is not None


def test_a_format_that_was_changed_costs_nothing() -> None:
    """What a spool holds in the other format is sent in the one that is asked for now."""
    as_json, as_msgpack = (frames([7], encodings=[each])[0] for each in ("json", "msgpack"))
    for form, frame, other in (("json", as_msgpack, as_json), ("msgpack", as_json, as_msgpack)):
        message = messages(format=form).of(frame)
        expected = messages(format=form).of(other)
        assert message is not None
        assert expected is not None
        assert _document(message.value, form) == _document(expected.value, form)


def _document(value: bytes, form: str) -> object:
    return json.loads(value) if form == "json" else unpack(value)
