"""One document out of its bytes, and what it says of itself.

In: the bytes of a message or a frame. Out: a dict. The first byte tells JSON from msgpack: a JSON object begins with
`{`, which in msgpack is a number, and a document is never one.
"""

import json
from collections.abc import Mapping
from typing import Any

from audisp_pyaudit.packing import unpack

Document = Mapping[str, Any]

_JSON, _MSGPACK = "application/json", ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack")


def decode(payload: bytes, content_type: str = "") -> Document:
    """A document.

    Args:
        payload: all its bytes, and no others.
        content_type: the media type, if somebody said it; else the first byte tells.

    Raises:
        ValueError: it is none.
    """
    media = content_type.partition(";")[0].strip().lower()
    if not payload:
        raise ValueError("it is empty; expected a document")
    is_json = media == _JSON or (media not in _MSGPACK and payload.lstrip()[:1] == b"{")
    try:
        document = json.loads(payload.decode()) if is_json else unpack(payload)
    except RecursionError:
        raise ValueError("it is nested too deeply for a document") from None
    except ValueError as error:
        said = f" (content-type {content_type})" if content_type else ""
        raise ValueError(f"it is no {'JSON' if is_json else 'JSON or msgpack'}{said}: {error}") from None
    if not isinstance(document, Mapping):
        raise ValueError("a document is not a map")  # noqa: TRY004  # as the others
    return document


def is_loss(document: Document) -> bool:
    """Whether it says that something is missing: events that were lost, or a gap in the serials.

    `auditd.lost` or `auditd.gap` then says what, how much and why. Other documents of the kind `pipeline_error` are
    lines that could not be read: those are here, in the document itself.
    """
    event, auditd = document.get("event"), document.get("auditd")
    if not isinstance(event, Mapping) or not isinstance(auditd, Mapping):
        return False
    return event.get("kind") == "pipeline_error" and ("lost" in auditd or "gap" in auditd)


def identity(document: Document) -> tuple[str, str] | None:
    """Host and id of an event; None for a map that has no id."""
    event, host = document.get("event"), document.get("host")
    found = event.get("id") if isinstance(event, Mapping) else None
    if not isinstance(found, str):
        return None
    name = host.get("id") if isinstance(host, Mapping) else None
    return (name if isinstance(name, str) else ""), found
