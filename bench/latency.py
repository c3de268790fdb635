"""How long an event takes from its record to the broker, over rates and `linger.ms`.

Begin is when `bench.load` wrote the event's first record, by its own clock. The end is told twice: by the broker, which
stamps what it appends to its log (LogAppendTime, whole milliseconds), read back when the run is over, so that no
consumer is in the way; and by our process, whose histogram ends with the broker's acknowledgement (acks=all; buckets,
interpolated; from the record's time stamp, which has whole milliseconds).

    python -m bench.latency                              # some 15 minutes
    python -m bench.latency --rate 1000 --linger 5 --seconds 5
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from audisp_pyaudit import status_file
from audisp_pyaudit.errors import StatusError
from audisp_pyaudit.latency import quantile
from bench import broker
from bench.contenders import HERE
from bench.load import FIRST_SERIAL
from bench.results import Results
from bench.running import WARM_SECONDS, Running, RunningError, ours
from bench.sets import SETS
from tests.kafka.read import everything

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.kafka.broker import Broker

RATES = (100, 1_000, 10_000)
LINGERS_MS = (0, 5, 20, 100)
# How long the queue gathers before it hands on: the default, and the least there is.
COMMITS_MS = (50, 1)
QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
_SEQUENCE = re.compile(rb'"sequence":(\d+)')
_NS_PER_MS = 1_000_000
# What came while the process started waited for it; by then it is delivered, and the status, once a second, tells so.
_SETTLED_SECONDS = WARM_SECONDS + 3
# What came last is in the spool when the process ends; all before it has to arrive.
_LAST_SECONDS = 1.0


def main() -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description="measure how long events take to the broker")
    parser.add_argument("--set", choices=sorted(SETS), default="exec")
    parser.add_argument("--rate", type=int, action="append", help="events per second; repeatable")
    parser.add_argument("--linger", type=int, action="append", metavar="MS", help="librdkafka's linger.ms; repeatable")
    parser.add_argument("--commit", type=int, action="append", metavar="MS", help="queue.commit_ms; repeatable")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--disk", type=Path, default=HERE / "out", help="folder for spools and the broker's data")
    parser.add_argument("--results", type=Path, default=HERE / "out" / "latency.jsonl")
    arguments = parser.parse_args()
    arguments.disk.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(Results(arguments.results, "latency", {"seconds": arguments.seconds}))
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latency.", dir=arguments.disk)))
        there = stack.enter_context(broker.broker(disk))
        if there is None:
            return 1
        for rate in arguments.rate or RATES:
            for linger in arguments.linger or LINGERS_MS:
                for commit in arguments.commit or COMMITS_MS:
                    about = {"kind": "latency", "rate": rate, "linger_ms": linger, "commit_ms": commit}
                    print(f"{rate:,} events/s, linger {linger} ms, commit {commit} ms", flush=True)
                    try:
                        found = measured(there, disk, arguments, rate, linger, commit)
                        results.add(about | found)
                    except (RunningError, StatusError, OSError, AssertionError) as error:
                        results.add(about | {"trouble": str(error)})
    return 1 if any(line.get("trouble") for line in results.lines) else 0


def measured(  # noqa: PLR0913, PLR0917  # what a run is made of
    there: Broker, disk: Path, arguments: argparse.Namespace, rate: int, linger: int, commit: int
) -> dict[str, object]:
    """One run.

    Raises:
        RunningError: a process did not do what it should have, or events are missing.
    """
    topic = f"latency-{rate}-{linger}-{commit}"
    with tempfile.TemporaryDirectory(prefix="run.", dir=disk) as name:
        folder = Path(name)
        sink = broker.sink(
            there, topic, f'"linger.ms" = {linger}\n', config={"message.timestamp.type": "LogAppendTime"}
        )
        queue = f'[queue]\npath = "{folder}/spool"\ncommit_ms = {commit}\n'
        case = ours(topic, queue + sink)
        with Running(case, folder, rate, arguments.set, folder / "times") as running:
            running.watch(_SETTLED_SECONDS)
            before = _histogram(folder)
            running.watch(arguments.seconds)
            counts = [after - begun for after, begun in zip(_histogram(folder), before, strict=True)]
            outcome = running.end()
        written = array("q", (folder / "times").read_bytes())
    counted = range(int(rate * _SETTLED_SECONDS), len(written) - int(rate * _LAST_SECONDS))
    took = waits(((each.value(), each.timestamp()[1]) for each in everything(there.bootstrap, topic)), written, counted)
    if not took or len(took) < len(counted):
        raise RunningError(f"{topic}: {len(took)} of {len(counted)} events arrived")
    acknowledged = {f"acknowledged_{key}": quantile(counts, part) for key, part in QUANTILES.items()}
    appended = {f"appended_{key}": round(of(took, part), 2) for key, part in QUANTILES.items()}
    figures: dict[str, object] = {**appended, **acknowledged}
    return figures | {"events": len(took), "cpu_us": outcome.cpu_us(), "dropped": outcome.dropped}


def _histogram(folder: Path) -> list[int]:
    """Of the only sink, since the process began."""
    counts: list[int] = status_file.read(str(folder / "status.json"))["sinks"]["out"]["latency"]["counts"]
    return counts


def waits(messages: Iterable[tuple[bytes, int]], written: Sequence[int], counted: range) -> list[float]:
    """Milliseconds from an event's first record to the broker's log, sorted.

    Args:
        messages: JSON and the time of appending, in milliseconds since 1970.
        written: when each event was written, in nanoseconds since 1970.
        counted: which of them count; the others came while the process started or ended.
    """
    found: dict[int, float] = {}
    for value, at_ms in messages:
        match = _SEQUENCE.search(value)
        number = int(match[1]) - FIRST_SERIAL if match else -1
        if number in counted and number not in found:
            # The middle of the broker's millisecond.
            found[number] = max(0.0, at_ms + 0.5 - written[number] / _NS_PER_MS)
    return sorted(found.values())


def of(ordered: Sequence[float], part: float) -> float:
    """The value that a part of them does not exceed."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


if __name__ == "__main__":
    sys.exit(main())
