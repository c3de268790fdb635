"""The status: everything that is known of the running plugin, in a file that outlives it.

In: the ledger and the parts of the pipeline, about once a second, on the pipeline's thread. Out: a JSON file that is
replaced as a whole, and the same for whoever makes metrics of it. Nothing of what stands in audit records is in it, so
everybody on the host may read it. A file that cannot be written costs the file, nothing else.
"""

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from audisp_pyaudit._engine import __version__
from audisp_pyaudit.delivery.level import Level
from audisp_pyaudit.files import Version, replace_file, version_of
from audisp_pyaudit.history import History
from audisp_pyaudit.kernel_audit import KernelAudit
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.logs import Log
from audisp_pyaudit.proc import cpu_seconds, lives, resident_bytes, start_ticks
from audisp_pyaudit.sinks.base import Sink

VERSION = 1
# People on call are not root, and there is nothing in it that they may not know.
MODE = 0o644
# A sink for which something waits, and to which nothing went for as long, is stuck, whatever it says itself.
STALLED_SECONDS = 10.0

Status = dict[str, Any]


def stalled_seconds(sink: Mapping[str, Any], now: float) -> float:
    """For how long something has waited for a sink of a status, and nothing went to it."""
    since = sink["waiting_since"]
    return 0.0 if since is None else float(max(0.0, now - since))


def lost_to_somebody(ledger: Mapping[str, Any]) -> dict[str, int]:
    """What was lost to a sink of a status's ledger, by reason, but for what nobody listened to."""
    return {reason: count for reason, count in ledger["lost"].items() if reason != "no_subscriber" and count}


@dataclass(frozen=True)
class Parts:
    """What the pipeline knows at a moment.

    Args:
        ledger: its counters.
        sinks: those there are now.
        level: how full the queue is; None if there is none.
        intake_bytes: bytes that were read and not decoded yet.
        intake_limit: how many there may be.
        problems: what is wrong with the configuration.
        meanwhile: what is done until it is mended.
    """

    ledger: Ledger
    sinks: Sequence[Sink] = ()
    level: Level | None = None
    intake_bytes: int = 0
    intake_limit: int = 0
    problems: Sequence[str] = ()
    meanwhile: str = ""


@dataclass
class About:
    """What does not change from second to second.

    Args:
        host: this host's name.
        config: the configuration's file; None for the defaults.
        started: when the process began, Unix time in seconds.
    """

    host: str = ""
    config: str | None = None
    started: float = field(default_factory=time.time)


class Publisher(Protocol):
    """Who makes metrics of the status, see `exporter`."""

    @property
    def trouble(self) -> str:
        """Why metrics cannot be had; empty if they can."""

    def publish(self, status: Status, *, last: bool) -> None:
        """Take the newest status; it does not wait for anybody."""

    def close(self) -> None:
        """Publish no more; it does not wait, either."""


class Reporter:
    """Makes the status and writes it.

    Args:
        path: of the file; empty for none.
        about: what does not change; may be replaced.
        log: where to tell people.
        publisher: who makes metrics of it.
        kernel: who asks the kernel.
    """

    def __init__(
        self,
        path: str,
        about: About,
        log: Log,
        publisher: Publisher | None = None,
        kernel: KernelAudit | None = None,
    ) -> None:
        self.about = about
        self._path = Path(path) if path else None
        self._log = log
        self._publisher = publisher
        self._kernel = kernel
        self._history = History()
        self._start_ticks = start_ticks(os.getpid())
        self._version: Version | None = None
        self._told: dict[str, str] = {}

    def change(self, path: str, publisher: Publisher | None) -> None:
        """Write to another file from now on, and have somebody else make metrics.

        Args:
            path: of the file; empty for none. The one before is removed.
            publisher: who makes metrics; the one that does now, if nothing changes.
        """
        new = Path(path) if path else None
        if self._path is not None and new != self._path:
            with contextlib.suppress(OSError):
                if version_of(self._path) == self._version:
                    self._path.unlink()
        self._path = new
        if self._publisher is not None and publisher is not self._publisher:
            self._publisher.close()
        self._publisher = publisher

    @property
    def publisher(self) -> Publisher | None:
        """Who makes metrics."""
        return self._publisher

    def report(self, parts: Parts, *, last: bool = False) -> None:
        """Say where everything stands. It never raises.

        Args:
            parts: what the pipeline knows.
            last: the input has ended and everything is closed; these are the final numbers.
        """
        try:
            status = self._status(parts, last=last)
            data = json.dumps(status, separators=(",", ":")).encode() + b"\n"
        except Exception as error:  # noqa: BLE001  # a bug here costs the status, no event
            self._tell("status failed; this is a bug, please report it", repr(error))
            return
        # Metrics first: who has read the file finds nothing older there.
        if self._publisher is not None:
            self._publisher.publish(status, last=last)
            self._tell("metrics cannot be had", self._publisher.trouble)
        self._tell("status not written", self._write(data))
        if self._kernel is not None:
            self._tell("the kernel's counters cannot be had", self._kernel.trouble)

    def _status(self, parts: Parts, *, last: bool) -> Status:
        ledger, level = parts.ledger, parts.level
        queue: dict[str, Any] | None = None
        if level is not None:
            growth = None if level.spool_bytes is None else self._history.growth(level.spool_bytes)
            queue = {**asdict(level), "spool_growth_bytes_per_second": growth}
        kernel = None if self._kernel is None else self._kernel.latest()
        return {
            "version": VERSION,
            "program": __version__,
            "pid": os.getpid(),
            "start_ticks": self._start_ticks,
            "started": self.about.started,
            "written": time.time(),
            "running": not last,
            "host": self.about.host,
            "config": {
                "file": self.about.config,
                "problems": list(parts.problems),
                "meanwhile": parts.meanwhile,
            },
            "ledger": ledger.as_dict(),
            "losses": self._history.losses(ledger),
            "sinks": self._history.sinks(parts.sinks, ledger.sinks),
            "queue": queue,
            "intake": {"waiting_bytes": parts.intake_bytes, "limit_bytes": parts.intake_limit},
            "process": {"resident_bytes": resident_bytes(), "cpu_seconds": cpu_seconds()},
            "kernel": None if kernel is None else asdict(kernel),
            "kernel_trouble": "" if self._kernel is None else self._kernel.trouble,
            "metrics_trouble": "" if self._publisher is None else self._publisher.trouble,
        }

    def _write(self, data: bytes) -> str:
        """Replace the file; why not, if it cannot be."""
        if self._path is None or self._is_of_a_successor(self._path):
            return ""
        try:
            self._path.parent.mkdir(mode=0o755, exist_ok=True)
            self._version = replace_file(self._path, data, MODE)
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        return ""

    def _is_of_a_successor(self, path: Path) -> bool:
        """Whether a process that began after us has written it: when auditd reloads, two of us overlap."""
        if version_of(path) == self._version:
            return False
        try:
            found = json.loads(path.read_bytes())
            later = found["started"] > self.about.started
            return bool(later and (not found["running"] or lives(found["pid"], found["start_ticks"])))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _tell(self, what: str, why: str) -> None:
        """Tell of a trouble when it begins or changes."""
        if why and why != self._told.get(what):
            self._log.warning(what, why=why)
        self._told[what] = why
