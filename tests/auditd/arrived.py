"""What a consumer has in the end, beside what was fed.

In: documents. Out: our events by serial, auditd's own, and what was said of losses.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.auditd.feed import identity
from tests.drills.drill import HOST_ID


@dataclass
class Arrived:
    """What a consumer has: our events by serial, auditd's own, and what was said of losses."""

    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    duplicates: int = 0
    records: int = 0
    daemon: list[str] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    unparsed: int = 0

    def add(self, document: dict[str, Any], times: Mapping[int, int]) -> None:
        """One that was not there before."""
        told, serial = document["auditd"], document["event"].get("sequence")
        if "gap" in told:
            self.gaps.append((told["gap"]["first"], told["gap"]["last"]))
            return
        if "lost" in told:
            self.notices.append(document)
            return
        if serial is None:
            assert told["message_type"] == "unparsed-line", document
            self.unparsed += 1
            self.records += 1
            return
        self.records += len(told["record_types"])
        if told["message_type"].startswith("daemon_"):
            self.daemon.append(told["message_type"])
            return
        # A part of an event has an id that begins as the event's does.
        assert document["event"]["id"].startswith(f"{HOST_ID}:{identity(times[serial], serial)}"), document
        if serial not in self.events:
            self.order.append(serial)
        self.events.setdefault(serial, []).append(document)

    @property
    def announced(self) -> list[str]:
        """Actions of the events that tell of losses."""
        return [each["event"]["action"] for each in self.notices]

    def missing(self, times: Mapping[int, int]) -> list[int]:
        """Serials of what was fed and did not arrive."""
        return sorted(times.keys() - self.events.keys())

    def unannounced(self, times: Mapping[int, int]) -> list[int]:
        """Those of them that neither a gap nor the time of an unclean stop tells of."""
        spans = [
            tuple(datetime.fromisoformat(each["auditd"]["lost"][end]).timestamp() * 1000 for end in ("start", "end"))
            for each in self.notices
            if each["event"]["action"] == "unclean-stop"
        ]
        return [
            serial
            for serial in self.missing(times)
            if not any(begin <= serial <= end for begin, end in self.gaps)
            and not any(begin <= times[serial] <= end for begin, end in spans)
        ]


def arrived(documents: Iterable[bytes], times: Mapping[int, int]) -> Arrived:
    """What documents say; each is one that was fed, known by its id, one of auditd's, or one of ours.

    Args:
        documents: as JSON, in order of arrival.
        times: of what was fed, by serial, in ms since 1970.
    """
    found = Arrived()
    seen: set[str] = set()
    for line in documents:
        document = json.loads(line)
        if document["event"]["id"] in seen:
            found.duplicates += 1
        else:
            seen.add(document["event"]["id"])
            found.add(document, times)
    return found
