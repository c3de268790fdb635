"""How far a sink is: what it has read, what was acknowledged, and what it never got.

The position that is acknowledged survives in a small file; losing it costs duplicates, which event ids make
recognisable. The counters lie in the same file, so that they are those of that position.
"""

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.latency import Latency

# A cursor's file has some hundred bytes; this only keeps a wrong file from filling the memory.
_MAX_BYTES = 1024 * 1024


class Position(NamedTuple):
    """A place in the queue: a generation, and the next sequence in it."""

    generation: int
    sequence: int


BEGINNING = Position(0, 0)


@dataclass(eq=False)
class Slice:
    """Frames that a sink was given, those of a commit.

    Args:
        frames: all of them.
        wanted: which of them go to this sink, by index.
        after: the position behind them.
    """

    frames: Frames
    wanted: list[int]
    after: Position
    done: int = 0
    _flags: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self._flags = bytearray(len(self.wanted))

    def acknowledge(self, which: int) -> bool:
        """Note that the frame `wanted[which]` was delivered; False if that was known."""
        if self._flags[which]:
            return False
        self._flags[which] = 1
        self.done += 1
        return True

    def outstanding(self) -> list[int]:
        """Which of `wanted` were not delivered yet."""
        return [which for which, flag in enumerate(self._flags) if not flag]

    @property
    def complete(self) -> bool:
        """Whether all were delivered."""
        return self.done == len(self.wanted)


@dataclass
class Counts:
    """A sink's ledger: `offered == delivered + filtered + queued + sum(lost.values())`, in frames."""

    offered: int = 0
    delivered: int = 0
    filtered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    latency: Latency = field(default_factory=Latency, compare=False)  # of those delivered

    @property
    def queued(self) -> int:
        """What is still to come."""
        return self.offered - self.delivered - self.filtered - self.lost.total()


@dataclass(eq=False)
class Cursor:
    """A sink's place in the queue. The queue's lock guards it.

    Args:
        name: the sink's.
        bit: the sink's in the routes of this process's frames.
        max_lag_bytes: how far it may fall behind before it loses something; None if what is not delivered is kept for
            it as long as there is room.
        own_start: where it goes on in what this process writes, behind what others left.
    """

    name: str
    bit: int
    max_lag_bytes: int | None = None
    own_start: int = 0
    read: Position = BEGINNING
    acknowledged: Position = BEGINNING
    counts: Counts = field(default_factory=Counts)
    in_flight: deque[Slice] = field(default_factory=deque)
    again: deque[Slice] = field(default_factory=deque)
    epoch: int = 0

    def settle(self) -> None:
        """Move on over what was delivered completely, in order."""
        while self.in_flight and self.in_flight[0].complete:
            self.acknowledged = self.in_flight.popleft().after
        if not self.in_flight:
            self.acknowledged = self.read

    def rewind(self) -> None:
        """Hand out again what was handed out and not delivered."""
        self.again = deque(each for each in self.in_flight if not each.complete)

    def skip(self, position: Position) -> int:
        """Go on at a later position; how many frames that were handed out and not acknowledged it costs.

        An acknowledgement of theirs that still comes counts no more.
        """
        dropped = 0
        for part in self.in_flight:
            for which in part.outstanding():
                dropped += part.acknowledge(which)
        self.in_flight.clear()
        self.again.clear()
        self.read = self.acknowledged = position
        self.epoch += 1
        return dropped

    def as_text(self) -> str:
        """What is saved. What is in flight counts as not read."""
        counts = self.counts
        return json.dumps(
            {
                "version": 1,
                "generation": self.acknowledged.generation,
                "sequence": self.acknowledged.sequence,
                "delivered": counts.delivered,
                "filtered": counts.filtered,
                "lost": dict(counts.lost),
            },
            sort_keys=True,
        )


def load(path: Path) -> Position | None:
    """The position that was saved; None if there is none.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no cursor, or of a later version.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    try:
        found: dict[str, Any] = json.loads(content)
        version, position = found["version"], Position(found["generation"], found["sequence"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("is no cursor") from None
    if version != 1 or not all(isinstance(each, int) and each >= 0 for each in position):
        raise ValueError("is no cursor of version 1")
    return position
