"""A drill: a writer like auditd, the plugin, something that goes wrong, and what a consumer has in the end.

In `make test` a drill is short; in `make drills` it writes 10,000 records a second, for as long as it takes.
"""

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.plugin import Plugin

HOST_ID = "1" * 32
_WRITER = Path(__file__).with_name("writer.py")
# How long what waits may take to arrive.
PATIENCE = 120.0


@dataclass(frozen=True)
class Scale:
    """How large drills are: records per second, seconds of writing, and how often what is repeated is."""

    rate: int
    seconds: float
    times: int


WHOLE, SHORT = Scale(10_000, 60.0, 20), Scale(2_000, 3.0, 4)
SCALE = WHOLE if os.environ.get("DRILLS") == "whole" else SHORT


@dataclass(frozen=True)
class Sent:
    """What a writer wrote: serials of whole events, and of those that broke off."""

    whole: list[int]
    broken: list[int]
    waits_ms: dict[str, float]
    records: int


class Drill:
    """One drill.

    Args:
        folder: where its files are.
        config: sinks and queue, in TOML.
        before: a command that starts the plugin.
        environment: the plugin's.
        large_every: every how manieth event is a large one; none, if 0.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        large_every: int = 0,
    ) -> None:
        self.folder = folder
        self._before = before
        self._environment = environment
        self.config = config
        self.base_ms = time.time_ns() // 1_000_000
        self.plugins: list[Plugin] = []
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, str(_WRITER), str(SCALE.rate), str(self.base_ms), str(large_every)]
        self._writer = subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.PIPE)
        theirs.close()
        self.start()

    @property
    def plugin(self) -> Plugin:
        """The one that runs now."""
        return self.plugins[-1]

    def start(self) -> Plugin:
        """Start a plugin, and have the writer write to it."""
        made = Plugin(
            self.folder,
            self._whole_config(),
            restarted=bool(self.plugins),
            before=self._before,
            environment=self._environment,
        )
        self.plugins.append(made)
        with contextlib.suppress(BrokenPipeError):
            socket.send_fds(self._control, [b"socket"], [self.plugin.stdin.fileno()])
        self.plugin.stdin.close()  # the writer has it
        return self.plugin

    def _whole_config(self) -> str:
        return f'[host]\nname = "lab"\nid = "{HOST_ID}"\n[state]\npath = "{self.folder}/engine.state"\n{self.config}'

    def stop_writing(self) -> Sent:
        """Have the writer end; its end of the plugin's input stays open."""
        self._control.send(b"stop")
        out = self._writer.stdout
        assert out is not None
        said = json.loads(out.readline())
        broken = set(said["broken"])
        whole = [each for each in range(1, said["last"] + 1) if each not in broken]
        note(records=said["records"], **said["waits_ms"])
        return Sent(whole, said["broken"], said["waits_ms"], said["records"])

    def close_input(self) -> None:
        """The end of the input for the plugin that runs now."""
        self._control.close()
        self._writer.wait()
        assert self._writer.stdout is not None
        self._writer.stdout.close()

    def end(self) -> dict[str, int]:
        """Close the input and let the last plugin end: it ends well, and its ledger closes."""
        self.close_input()
        return self.plugin.end()

    def deliver_rest(self) -> dict[str, int]:
        """Start once more, without input, until the spool is empty; its ledger closes, and nothing is left."""
        before = set((self.folder / "spool").glob("g*"))
        self.plugins.append(Plugin(self.folder, self._whole_config(), restarted=True))
        # What everybody has is given back.
        self.plugin.until(lambda: not any(each.exists() for each in before), "everything is delivered", PATIENCE)
        time.sleep(2.5)  # what is announced of it is delivered, too
        ledger = self.plugin.end()
        assert ledger["queued"] == 0
        return ledger

    def kill_all(self) -> None:
        """At the end of a test that failed."""
        for plugin in self.plugins:
            plugin.kill()
        self._control.close()
        self._writer.kill()
        self._writer.wait()
        if self._writer.stdout is not None:
            self._writer.stdout.close()

    def id_of(self, serial: int) -> str:
        """The id of an event."""
        at = self.base_ms + serial
        return f"{HOST_ID}:{at // 1000}.{at % 1000:03}:{serial}"


@dataclass(frozen=True)
class Arrived:
    """What a consumer has: serials of our events in order of arrival, and the actions of what else came."""

    serials: list[int]
    duplicates: int
    notices: list[dict[str, Any]]

    @property
    def announced(self) -> list[str]:
        """Actions of the events that tell of losses."""
        return [each["event"]["action"] for each in self.notices]


def arrived(drill: Drill, documents: Iterable[bytes]) -> Arrived:
    """What the documents say, compared by id; every id that comes is one that was sent, and in order."""
    ids: dict[str, int] = {}
    notices: list[dict[str, Any]] = []
    duplicates = 0
    told: set[str] = set()
    for each in documents:
        document = json.loads(each)
        serial = document["event"].get("sequence")
        if serial is None:
            if document["event"]["id"] not in told:
                notices.append(document)
            told.add(document["event"]["id"])
            continue
        assert document["event"]["id"].startswith(drill.id_of(serial)), document["event"]["id"]
        if document["event"]["id"] in ids:
            duplicates += 1
        else:
            ids[document["event"]["id"]] = serial
    serials = list(dict.fromkeys(ids.values()))  # a part of an event has its serial and an id of its own
    return Arrived(serials, duplicates, notices)


def in_order(serials: list[int]) -> bool:
    """Whether nothing was overtaken."""
    return all(first < second for first, second in itertools.pairwise(serials))


def note(**figures: object) -> None:
    """Put figures of this drill where `make drills` collects them."""
    path = os.environ.get("DRILL_FIGURES")
    if path:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split("::")[-1].split(" ")[0]
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"drill": test, **figures}) + "\n")


def missing(sent: Sent, found: Arrived) -> list[int]:
    """What was sent whole and did not arrive; what arrived was sent."""
    assert not set(found.serials) - set(sent.whole) - set(sent.broken)
    return sorted(set(sent.whole) - set(found.serials))


def kafka(folder: Path, bootstrap: str, topic: str, queue: str = "") -> str:
    """A configuration with Kafka alone; librdkafka is to notice soon that a broker is back."""
    return (
        f'[queue]\npath = "{folder}/spool"\n{queue}'
        f'[sinks.topic]\ntype = "kafka"\nbootstrap = "{bootstrap}"\ntopic = "{topic}"\n'
        '[sinks.topic.librdkafka]\n"reconnect.backoff.max.ms" = 1000\n"topic.metadata.propagation.max.ms" = 2000\n'
    )


def write(part: float = 1.0) -> None:
    """Let the writer write for a part of the drill's time."""
    time.sleep(SCALE.seconds * part)


def announced_lost(found: Arrived) -> int:
    """How many events the consumers know to be lost: what told of some may be lost, the last one has it all."""
    lost = [each["auditd"]["lost"] for each in found.notices if each["event"]["action"] == "frames-dropped"]
    return sum({each["reason"]: int(each["total"]) for each in lost}.values())


def share_lost(sent: Sent, lost: list[int]) -> tuple[float, float]:
    """Of log-ins and of the rest, how much was lost, from 0 to 1."""
    logins, lost_logins = (len([each for each in serials if each % 10 == 0]) for serials in (sent.whole, lost))
    return lost_logins / logins, (len(lost) - lost_logins) / (len(sent.whole) - logins)


@contextlib.contextmanager
def drill(
    folder: Path,
    config: str,
    before: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    large_every: int = 0,
) -> Iterator[Drill]:
    """A drill that leaves nothing running."""
    made = Drill(folder, config, before, environment, large_every)
    try:
        yield made
    finally:
        made.kill_all()
