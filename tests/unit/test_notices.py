"""Events of our own, about loss."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema

from audisp_pyaudit.notices import NoticeFrame, Notices, encode
from audisp_pyaudit.packing import unpack


def test_a_notice_looks_like_every_event(notices: Notices) -> None:
    """A consumer finds time, identity and host where it finds them in every document."""
    time = datetime(2026, 11, 21, 1, 2, 3, 4000, tzinfo=UTC)
    document = notices.loss("subscriber-lagged", {"reason": "slow", "frames": 3, "first": "", "sink": None}, time)
    assert document == {
        "@timestamp": "2026-11-21T01:02:03.004Z",
        "ecs": {"version": "8.17.0"},
        "event": {
            "id": "6f1c:p1000-s1",
            "module": "auditd",
            "kind": "pipeline_error",
            "action": "subscriber-lagged",
            "outcome": "unknown",
        },
        "host": {"name": "web-1", "id": "6f1c", "hostname": "web-1", "os": {"type": "linux"}},
        "service": {"type": "auditd"},
        "auditd": {
            "schema": 1,
            "message_type": "subscriber-lagged",
            "record_types": [],
            "lost": {"reason": "slow", "frames": 3},
        },
    }


def test_ids_are_never_shared(notices: Notices) -> None:
    """Two notices are two events to a consumer that removes duplicates."""
    ids = {NoticeFrame(notices.loss("x", {})).id for _ in range(100)}
    assert len(ids) == 100


def test_all_encodings_say_the_same(notices: Notices) -> None:
    """JSON and msgpack readers learn the same of a loss."""
    document = notices.loss("x", {"reason": "é"})
    assert json.loads(encode(document, "json-lines")) == document
    assert unpack(encode(document, "msgpack")) == document
    assert unpack(encode(document, "msgpack-prefixed")[4:]) == document
    frame = NoticeFrame(document)
    assert json.loads(frame.json) == unpack(frame.msgpack) == document
    assert frame.routes == 2**64 - 1


def test_a_notice_meets_the_schema(notices: Notices) -> None:
    """A consumer that checks documents against our schema does not refuse the one that tells of a loss."""
    schema = json.loads((Path(__file__).parents[2] / "docs" / "event.schema.json").read_text(encoding="utf-8"))
    lost = {"reason": "intake_full", "records": 3, "bytes": 120, "first": "1.000:1", "last": "1.000:3"}
    slow = {"sink": "events", "frames": 2, "bytes": 80}
    for document in (notices.loss("records-dropped", lost), notices.loss("subscriber-lagged", slow)):
        jsonschema.Draft202012Validator(schema).validate(document)
