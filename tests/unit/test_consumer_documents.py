"""Documents out of their bytes."""

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.consumer.documents import decode, identity, is_loss
from audisp_pyaudit.notices import Notices
from audisp_pyaudit.packing import pack

VECTORS = Path(__file__).parents[1] / "vectors"
DOCUMENT = {"event": {"id": "h:1.000:1", "kind": "event"}, "host": {"id": "h"}, "text": "é"}


@pytest.mark.parametrize("said", ["", "application/json", "Application/JSON; charset=utf-8", "text/x-odd"])
def test_json(said: str) -> None:
    """JSON is read, whatever its producer says of it."""
    assert decode(json.dumps(DOCUMENT).encode(), said) == DOCUMENT


@pytest.mark.parametrize("said", ["", "application/vnd.msgpack", "application/msgpack", "text/x-odd"])
def test_msgpack(said: str) -> None:
    """So is msgpack."""
    assert decode(pack(DOCUMENT), said) == DOCUMENT


@pytest.mark.parametrize(
    ("payload", "said", "expected"),
    [
        (b"", "", "it is empty"),
        (b"hello", "", "no JSON or msgpack"),
        (b'{"a":', "", "no JSON"),
        (b"\xff{}", "application/json", "no JSON (content-type application/json)"),
        (b'{"a":1}', "application/msgpack", "no JSON or msgpack (content-type application/msgpack)"),
        (b"[1]", "application/json", "a document is not a map"),
        (b"\x05", "", "a document is not a map"),
        (b'{"a":' * 200_000, "", "nested too deeply"),
        (b'{"a":"\xff"}', "", "no JSON"),
    ],
)
def test_what_is_no_document(payload: bytes, said: str, expected: str) -> None:
    """A message that is something else is told from a document, and why."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        decode(payload, said)


@given(st.binary(max_size=60), st.sampled_from(["", "application/json", "application/msgpack"]))
def test_any_bytes(payload: bytes, said: str) -> None:
    """No message of a stranger can do more than be none."""
    with contextlib.suppress(ValueError):
        assert isinstance(decode(payload, said), Mapping)


def golden(name: str) -> list[dict[str, dict[str, object]]]:
    """The documents of a vector."""
    text = (VECTORS / f"{name}.json").read_text(encoding="utf-8")
    found: list[dict[str, dict[str, object]]] = json.loads(text)["documents"]
    return found


def test_loss_is_told_from_events(notices: Notices) -> None:
    """Who has to know whether something is missing sees it in the stream, and is not alarmed by anything else."""
    assert is_loss(notices.loss("records-dropped", {"records": 5, "reason": "intake_full"}))
    gaps = [each for each in golden("serial-gap") if is_loss(each)]
    assert [each["event"]["action"] for each in gaps] == ["serial-gap", "serial-gap"]
    unread = [each for each in golden("quirks-lines") if each["event"].get("action") == "unparsed-line"]
    assert unread
    others: list[Mapping[str, Any]] = [*unread, DOCUMENT, {}, {"event": None}, {"event": {}, "auditd": []}]
    assert not any(is_loss(each) for each in others)


def test_identity() -> None:
    """Events are known by their id; a map of somebody else's is let through."""
    assert identity(DOCUMENT) == ("h", "h:1.000:1")
    assert identity({"event": {"id": "x"}, "host": "h"}) == ("", "x")
    assert identity({"event": {"id": 5}}) is None
    assert identity({"event": "x"}) is None
