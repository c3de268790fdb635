"""What every sink offers to the pipeline, and the ledger it keeps."""

import errno
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Protocol

from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.framing import Frames
from audisp_pyaudit.latency import Latency

# The longest a sink may keep the pipeline waiting for a reader that does not read.
MAX_WAIT_SECONDS = 0.1
# How long after a failure the next try comes. A full disk or a missing folder is mended by people.
RETRY_SECONDS = 5.0


@dataclass
class SinkStats:
    """The ledger of one sink: `offered == delivered + filtered + queued + sum(lost.values())`, all in frames.

    Args:
        frames: what the pipeline handed over, the same for every sink.
        offered: how often a frame was to be delivered: a socket with three subscribers offers each frame three times;
            one without subscribers offers it once, and loses it as `no_subscriber`.
        filtered: routed elsewhere.
        cut: of those delivered, the ones that were made smaller.
        refused: subscribers that were hung up on because there are enough.
        denied: subscribers that were hung up on because they may not listen.
        peers: whom it talks to, and their states in words.
        absent: frames that were published while there was no such sink, before or after a change of the configuration.
        latency: how long those delivered took.
    """

    frames: int = 0
    offered: int = 0
    delivered: int = 0
    filtered: int = 0
    queued: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    denied: int = 0
    cut: int = 0
    peers: dict[str, str] = field(default_factory=dict)
    absent: int = 0
    latency: Latency = field(default_factory=Latency, compare=False)

    def __add__(self, other: "SinkStats") -> "SinkStats":
        """The account of a sink and of the one that followed it, whose peers it has."""
        total = SinkStats(lost=self.lost + other.lost, peers=other.peers, latency=self.latency + other.latency)
        for name in ("frames", "offered", "delivered", "filtered", "queued", "refused", "denied", "cut", "absent"):
            setattr(total, name, getattr(self, name) + getattr(other, name))
        return total

    @property
    def closed(self) -> bool:
        """Whether the ledger adds up."""
        return self.offered == self.delivered + self.filtered + self.queued + self.lost.total()


def copy_of(stats: SinkStats) -> SinkStats:
    """A copy of a ledger that goes on."""
    return replace(stats, lost=Counter(stats.lost), latency=stats.latency.copy())


class Sink(Protocol):
    """A sink as the pipeline sees it."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def type(self) -> str:
        """Its type in the configuration."""

    @property
    def trouble(self) -> str:
        """Why it cannot deliver now, for the log; empty if it can."""

    def start(self) -> None:
        """Get ready. What fails is in `trouble` and is tried again; it never raises."""

    def deliver(self, frames: Frames) -> None:
        """Take frames; those routed elsewhere are skipped. It never raises."""

    def close(self, deadline: float) -> None:
        """Deliver what is queued until `deadline` (`time.monotonic()`), then let go of everything."""

    def stats(self) -> SinkStats:
        """A copy of the ledger."""

    def oldest_ms(self) -> int | None:
        """The time of the oldest event that waits, in milliseconds since 1970; None if none does, or nobody knows."""


def reason(error: OSError) -> str:
    """The short name of a system error, `ENOSPC`, under which lost frames are counted."""
    return errno.errorcode.get(error.errno or 0, "EIO")


def sink_error(what: str, error: OSError, retry_after: float = RETRY_SECONDS) -> SinkError:
    """A system error as a sink's error."""
    return SinkError(f"{what}: {error.strerror or error}", reason(error), retry_after)
