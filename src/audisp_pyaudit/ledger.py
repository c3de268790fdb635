"""The ledger: what came in, and where every record and every event went.

In: the counters of intake, engine and sinks. Out: lines for people, and whether it all adds up. It adds and compares;
it counts nothing itself.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from audisp_pyaudit.intake import Dropped
from audisp_pyaudit.sinks.base import SinkStats


@dataclass(frozen=True)
class Ledger:
    """The counters of one moment; `frames` is what the pipeline handed to every sink, `notices` how many were ours."""

    engine: Mapping[str, int]
    dropped: Dropped = field(default_factory=Dropped)
    frames: int = 0
    notices: int = 0
    sinks: Mapping[str, SinkStats] = field(default_factory=dict)

    @property
    def engine_closed(self) -> bool:
        """Whether every record the engine was given is accounted for."""
        count = self._count
        return count("records_in") + count("records_restored") == (
            count("records_published")
            + count("records_held")
            + count("records_end_of_event")
            + count("records_filtered")
            + count("records_lost_panic")
        )

    @property
    def closed(self) -> bool:
        """Whether every record and every frame is accounted for."""
        return (
            self.engine_closed
            and self.frames == self._count("events_published") + self.notices
            and all(sink.closed and sink.frames + sink.absent == self.frames for sink in self.sinks.values())
        )

    def lines(self) -> Iterator[str]:
        """The ledger, a line per account; the last one says `ledger closed` or `ledger NOT closed`."""
        count = self._count
        came_in = count("records_in")
        yield (
            f"records read {came_in + self.dropped.records} = engine {came_in}"
            f" + intake_full {self.dropped.records} ({self.dropped.bytes} bytes)"
        )
        parts = [f"{name} {count('records_' + name)}" for name in ("published", "held", "end_of_event", "filtered")]
        if count("records_lost_panic"):
            parts.append(f"lost_panic {count('records_lost_panic')}")
        restored = f" + restored {count('records_restored')}" if count("records_restored") else ""
        yield f"records in {came_in}{restored} = {' + '.join(parts)}"
        events = f"events published {count('events_published')}"
        told = ("events_incomplete", "late_parts", "lines_unparsed", "lines_truncated", "gaps", "panics")
        notes = [f"{name} {count(name)}" for name in told if count(name)]
        yield events + (f" ({', '.join(notes)})" if notes else "")
        for name, sink in self.sinks.items():
            lost = ", ".join(f"{why} {number}" for why, number in sorted(sink.lost.items()) if number)
            counts = {"subscribers refused": sink.refused, "subscribers denied": sink.denied, "cut": sink.cut}
            more = "".join(f"; {what} {count}" for what, count in counts.items() if count)
            yield (
                f"sink {name}: offered {sink.offered} = delivered {sink.delivered} + filtered {sink.filtered}"
                f" + queued {sink.queued} + lost {sink.lost.total()}{f' ({lost})' if lost else ''}{more}"
            )
        yield "ledger closed" if self.closed else "ledger NOT closed"

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON can have it, and whether it is closed."""
        return {
            "closed": self.closed,
            "engine": dict(self.engine),
            "intake_full": {"records": self.dropped.records, "bytes": self.dropped.bytes},
            "frames": self.frames,
            "notices": self.notices,
            "sinks": {name: _described(sink) for name, sink in self.sinks.items()},
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Ledger":
        """What `as_dict` gave.

        Raises:
            KeyError, TypeError: it is something else.
        """
        return cls(
            engine=found["engine"],
            dropped=Dropped(found["intake_full"]["records"], found["intake_full"]["bytes"]),
            frames=found["frames"],
            notices=found["notices"],
            sinks={name: SinkStats(**{**each, "lost": Counter(each["lost"])}) for name, each in found["sinks"].items()},
        )

    def _count(self, name: str) -> int:
        return self.engine.get(name, 0)


def _described(sink: SinkStats) -> dict[str, Any]:
    counts = {name: value for name, value in vars(sink).items() if name != "latency"}  # no part of the ledger
    return {**counts, "lost": dict(sink.lost), "peers": dict(sink.peers)}
