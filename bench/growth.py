"""How cost grows: CPU time of an event and memory over rates, minutes, sinks, subscribers, and a spool that fills.

    python -m bench.growth                                      # all: some 75 minutes, 11 GB of disk
    python -m bench.growth --part rates --part sinks --seconds 5
    python -m bench.growth --part spool --spool-gib 1

Each part adds lines to a file of results. Who fails is noted there with the reason, and the rest goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import broker
from bench.contenders import HERE, Missing
from bench.place import place
from bench.results import Results
from bench.running import WARM_SECONDS, Case, Running, RunningError, Sample, file_sinks, newest_laurel, ours
from bench.sets import SETS

if TYPE_CHECKING:
    from collections.abc import Callable

RATES = (100, 1_000, 10_000, 30_000, 100_000)
SINKS = (1, 2, 4, 8)
SUBSCRIBERS = (1, 2, 5, 10, 20, 50, 100)
# A hundred readers of 10,000 events/s would read 2.5 GB/s; that would measure the machine.
SUBSCRIBER_RATE = 1_000
MINUTES_RATE = 10_000
SPOOL_RATE = 30_000
_GIB = 1024**3
_AWAY = '[sinks.out]\ntype = "kafka"\nbootstrap = "127.0.0.1:1"\n'
_LONGEST_SPOOL_SECONDS = 7200.0
# What other files on the disk keep, beside the spool.
_SPARE_BYTES = 2 * _GIB
# Eight files that are emptied in time, and something for the rest.
_ROOM_BYTES = 4 * _GIB


def main() -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description="measure how cost grows")
    parser.add_argument("--part", action="append", choices=sorted(PARTS), help="repeatable; default: all")
    parser.add_argument("--set", choices=sorted(SETS), default="exec")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate, number of sinks and of subscribers")
    parser.add_argument("--minutes", type=float, default=10.0, help=f"of the long run at {MINUTES_RATE:,} events/s")
    parser.add_argument("--spool-gib", type=float, default=10.0)
    parser.add_argument("--spool-rate", type=int, default=SPOOL_RATE, help="events per second")
    parser.add_argument("--work", type=Path, help="folder for the files; default: memory if there is room")
    parser.add_argument("--disk", type=Path, default=HERE / "out", help="folder for the spool")
    parser.add_argument("--results", type=Path, default=HERE / "out" / "growth.jsonl")
    arguments = parser.parse_args()
    if min(arguments.seconds, arguments.minutes, arguments.spool_gib, arguments.spool_rate) <= 0:
        parser.error("--seconds, --minutes, --spool-gib and --spool-rate have to be above 0")
    arguments.disk.mkdir(parents=True, exist_ok=True)
    arguments.work = place(_ROOM_BYTES, arguments.work)
    facts = {"set": arguments.set, "seconds": arguments.seconds, "minutes": arguments.minutes}
    with Results(arguments.results, "growth", facts) as results:
        for name in arguments.part or PARTS:
            PARTS[name](arguments, results)
    failed = [line for line in results.lines if line.get("trouble")]
    print(f"{arguments.results}: {len(results.lines) - 1} lines, {len(failed)} of them about failures")
    return 1 if failed else 0


def rates(arguments: argparse.Namespace, results: Results) -> None:
    """CPU and memory at each rate, beside laurel."""
    for case in _with_laurel(ours("audisp-pyaudit-json", file_sinks()), results):
        for rate in RATES:
            _measured(arguments, results, case, rate, {"kind": "rate", "who": case.name})


def minutes(arguments: argparse.Namespace, results: Results) -> None:
    """Memory once a second over minutes: into a file beside laurel, and through a spool on disk to Kafka."""
    with contextlib.ExitStack() as stack:
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="growth.", dir=arguments.disk)))
        there = stack.enter_context(broker.broker(disk))
        cases = _with_laurel(ours("audisp-pyaudit-json", file_sinks()), results)
        if there is None:
            results.add({"kind": "missing", "contender": "kafka", "why": "there is no Kafka here (make test-tools)"})
        else:
            cases.append(
                ours("audisp-pyaudit-kafka", f'[queue]\npath = "{disk}/spool"\n{broker.sink(there, "minutes")}')
            )
        for case in cases:
            about = {"kind": "minutes", "who": case.name, "rate": MINUTES_RATE}

            def note(sample: Sample, about: dict[str, object] = about) -> bool:
                at = {"at_s": round(sample.at, 1), "rss_mib": round(sample.rss, 2), "cpu_s": sample.cpu}
                results.add(about | at)
                return True

            def watched(running: Running, note: Callable[[Sample], bool] = note) -> None:
                running.watch(arguments.minutes * 60, note)
                running.end()

            running = Running(case, _folder(arguments.work), MINUTES_RATE, arguments.set)
            _guarded(results, about, watched, running)


def sinks(arguments: argparse.Namespace, results: Results) -> None:
    """CPU and memory over the number of sinks, files of JSON."""
    for count in SINKS:
        about = {"kind": "sinks", "sinks": count}
        _measured(arguments, results, ours(f"{count} files", file_sinks(count)), MINUTES_RATE, about)


def subscribers(arguments: argparse.Namespace, results: Results) -> None:
    """CPU and memory over the number of subscribers of a Unix socket."""
    sink = '[sinks.out]\ntype = "unix"\npath = "{folder}/sock"\nsubscribers = 100\n'
    for count in SUBSCRIBERS:
        about = {"kind": "subscribers", "subscribers": count}
        case = ours(f"{count} subscribers", sink, readers=count)
        _measured(arguments, results, case, SUBSCRIBER_RATE, about)


def spool(arguments: argparse.Namespace, results: Results) -> None:
    """CPU and memory while a spool fills, since the broker is away."""
    size = int(arguments.spool_gib * _GIB)
    about = {"kind": "spool", "rate": arguments.spool_rate}
    free = shutil.disk_usage(arguments.disk).free
    if free < size + _SPARE_BYTES:
        why = f"{arguments.disk}: {free / _GIB:.1f} GiB are free, {(size + _SPARE_BYTES) / _GIB:.1f} are needed"
        results.add(about | {"trouble": why})
        return
    queue = f'[queue]\npath = "{{folder}}/spool"\nquota_bytes = {size + _GIB}\nshare_percent = 100\n'
    case = ours("spool", queue + _AWAY)

    def filled(running: Running) -> None:
        place = running.folder / "spool"

        def note(sample: Sample) -> bool:
            there = sum(_size(path) for path in place.rglob("*"))
            seconds = {"at_s": round(sample.at, 1), "cpu_s": sample.cpu}
            results.add(about | seconds | {"rss_mib": round(sample.rss, 2), "spool_bytes": there})
            return there < size

        running.watch(_LONGEST_SPOOL_SECONDS, note)
        outcome = running.end()
        results.add({"kind": "spool-end", "events_per_s": outcome.events_per_s, "events": outcome.load["events"]})

    _guarded(results, about, filled, Running(case, _folder(arguments.disk), arguments.spool_rate, arguments.set))


PARTS: dict[str, Callable[[argparse.Namespace, Results], None]] = {
    "rates": rates,
    "minutes": minutes,
    "sinks": sinks,
    "subscribers": subscribers,
    "spool": spool,
}


def _with_laurel(case: Case, results: Results) -> list[Case]:
    other = newest_laurel()
    if isinstance(other, Missing):
        results.add({"kind": "missing", "contender": other.name, "why": other.why})
        return [case]
    return [case, other]


def _measured(arguments: argparse.Namespace, results: Results, case: Case, rate: int, about: dict[str, object]) -> None:
    """A run of some seconds, as one line."""
    about = about | {"rate": rate}

    def measured(running: Running) -> None:
        running.watch(WARM_SECONDS + arguments.seconds)
        outcome = running.end()
        figures = {"cpu_us": outcome.cpu_us(), "rss_mib": outcome.rss, "peak_mib": outcome.peak}
        results.add(
            about
            | figures
            | {"events_per_s": outcome.events_per_s, "dropped": outcome.dropped, "ledger": outcome.ledger}
        )

    _guarded(results, about, measured, Running(case, _folder(arguments.work), rate, arguments.set))


def _folder(place: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="growth.", dir=place))


def _guarded(results: Results, about: dict[str, object], work: Callable[[Running], None], running: Running) -> None:
    """A run that notes its own lines; if it fails, that is one more. Its folder is removed."""
    print(f"{about['kind']}: {running.case.name}, {running.rate:,} events/s", flush=True)
    try:
        with running:
            work(running)
    except (RunningError, OSError) as error:
        results.add(about | {"trouble": str(error)})
    finally:
        shutil.rmtree(running.folder, ignore_errors=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # it was there a moment ago
        return 0


if __name__ == "__main__":
    sys.exit(main())
