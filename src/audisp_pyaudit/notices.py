"""Events of our own that the engine does not make: that something was lost between auditd and a consumer.

In: what was lost, and why. Out: documents in the layout of every other event, with ids of their own. Loss is in the
stream where it happened, so that nobody has to compare counters to learn of it.
"""

import contextlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audisp_pyaudit._engine import ECS_VERSION, SCHEMA
from audisp_pyaudit.framing import frame
from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.packing import pack

_ALL_ROUTES = 2**64 - 1


class Notices:
    """Makes notices with ids that no other document has.

    Args:
        host: whom the notices speak of.
        process_start_ms: Unix time in milliseconds, which keeps the ids of two runs apart.
    """

    def __init__(self, host: HostFacts, process_start_ms: int) -> None:
        self.describe(host)
        self._start = process_start_ms
        self._numbers = itertools.count(1)  # next() on it is atomic

    def describe(self, host: HostFacts) -> None:
        """Speak of this host from now on."""
        self._host = host
        described = {"name": host.name, "id": host.id, "hostname": host.name, "architecture": host.architecture}
        self._described = {**{key: value for key, value in described.items() if value}, "os": {"type": "linux"}}

    def loss(self, action: str, lost: Mapping[str, object], time: datetime | None = None) -> dict[str, object]:
        """A document that says what was lost.

        Args:
            action: `event.action`, such as `subscriber-lagged`.
            lost: `auditd.lost`: counts and where the loss lies; what is empty is left out.
            time: when it was noticed; now, if None.
        """
        return {
            "@timestamp": timestamp(time or datetime.now(UTC)),
            "ecs": {"version": ECS_VERSION},
            "event": {
                # The engine numbers its own events; `s` keeps these apart from them.
                "id": f"{self._host.id}:p{self._start}-s{next(self._numbers)}",
                "module": "auditd",
                "kind": "pipeline_error",
                "action": action,
                "outcome": "unknown",
            },
            "host": self._described,
            "service": {"type": "auditd"},
            "auditd": {
                "schema": SCHEMA,
                "message_type": action,
                "record_types": [],
                "lost": {key: value for key, value in lost.items() if value not in ("", None)},
            },
        }


def timestamp(when: datetime) -> str:
    """A time in UTC as documents have it."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_of(milliseconds: int | None) -> str | None:
    """The same of milliseconds since 1970; None if that is no time that can be written, as a record may bear any."""
    if milliseconds is None:
        return None
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return timestamp(datetime.fromtimestamp(milliseconds / 1000, UTC))
    return None


def encode(document: Mapping[str, object], framing: str) -> bytes:
    """One document as a frame."""
    if framing.startswith("json"):
        return frame(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), framing)
    return frame(pack(document), framing)


@dataclass(frozen=True)
class NoticeFrame:
    """The header of a notice: it goes to every sink, as all loss does."""

    document: Mapping[str, Any]
    routes: int = _ALL_ROUTES

    @property
    def id(self) -> str:
        """The notice's id."""
        return str(self.document["event"]["id"])

    @property
    def host(self) -> str:
        """Whom it speaks of."""
        return str(self.document["host"]["name"])

    @property
    def time_ms(self) -> int:
        """When it was noticed, in milliseconds since 1970."""
        return round(datetime.fromisoformat(str(self.document["@timestamp"])).timestamp() * 1000)

    @property
    def json(self) -> bytes:
        """The document as JSON."""
        return encode(self.document, "json-lines")[:-1]

    @property
    def msgpack(self) -> bytes:
        """The document as msgpack."""
        return encode(self.document, "msgpack")
