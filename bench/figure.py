"""The figure: what an event costs, ours and the peers' in one run. `make bench`, or `python -m bench.figure --help`.

Every round runs everybody once, in turn, each round beginning with another one; medians and extremes are printed, and
the ratio to ours of the same round.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.contenders import HERE, Contender, Missing, all_contenders
from bench.corpus import MIB, CorpusError, Format, default_vectors, write_corpus
from bench.measure import Log, Run, from_file, paced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What a slow contender gets of the log: enough that starting it does not count.
SLICE_MIB = 10
PACED_SECONDS = 10
_SHM = Path("/dev/shm")  # noqa: S108  # memory, so that no disk is measured; the folder in it gets a name of its own
# The log, a slice of it, and the largest output beside it.
_ROOM = 6
_BUSY = 0.5
_REFERENCE = "audisp-pyaudit-json"


@dataclass(frozen=True)
class Result:
    """All runs of one contender on one log."""

    contender: Contender
    log: Log
    runs: list[Run]

    @property
    def trouble(self) -> str:
        """Why its figures do not count; empty if they do."""
        return next((run.trouble for run in self.runs if run.trouble), "")

    def per_event(self, run: Run) -> float:
        """Processor time of an event in µs."""
        return run.cpu / self.log.holds.events * 1e6


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="audisp-pyaudit-bench.", dir=_place(arguments)) as name:
            return _figure(arguments, Path(name))
    except (CorpusError, OSError) as error:
        sys.stderr.write(f"bench.figure: {error}\n")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="measure audisp-pyaudit and its peers")
    parser.add_argument("vectors", type=Path, nargs="*", help="files of audit records; default: the project's vectors")
    parser.add_argument("--size", type=float, default=200, metavar="MiB", help="of the log")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", metavar="NAME", help="contenders whose name begins so; repeatable")
    parser.add_argument("--earlier", type=Path, metavar="COMMAND", help="another version's audisp-pyaudit, too")
    parser.add_argument("--format", choices=("enriched", "raw"), default="enriched", help="log_format of the log")
    parser.add_argument("--rate", type=int, default=10_000, help="events per second of the paced runs; 0: none")
    parser.add_argument("--work", type=Path, help="folder for the log and the output; default: memory if there is room")
    arguments = parser.parse_intermixed_args()
    if arguments.size <= 0 or arguments.rounds < 1 or arguments.rate < 0:
        parser.error("--size and --rounds have to be above 0, --rate not below")
    return arguments


def _place(arguments: argparse.Namespace) -> Path:
    """Where the log and the output go."""
    if arguments.work:
        return Path(arguments.work)
    room = int(arguments.size * MIB) * _ROOM
    if _SHM.is_dir() and shutil.disk_usage(_SHM).free > room and _memory_free() > room:
        return _SHM
    folder = HERE / "out"
    folder.mkdir(exist_ok=True)
    return folder


def _memory_free() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)


def _figure(arguments: argparse.Namespace, folder: Path) -> int:
    paths = arguments.vectors or default_vectors()
    chosen: list[Contender] = []
    for each in all_contenders(arguments.earlier):
        if arguments.only and not any(each.name.startswith(name) for name in arguments.only):
            continue
        if isinstance(each, Missing):
            print(f"left out: {each.name}: {each.why}")
        else:
            chosen.append(each)
    if not chosen:
        print("nobody to measure")
        return 1
    whole = _log(folder / "whole.log", paths, arguments.format, arguments.size * MIB)
    part = _log(folder / "slice.log", paths, arguments.format, min(SLICE_MIB, arguments.size) * MIB)
    _print_circumstances(arguments, folder, whole, part)
    results = [Result(each, part if each.slow else whole, []) for each in chosen]
    _rounds(results, arguments.rounds, lambda result: from_file(result.contender, result.log, folder))
    print("\nThe log as standard input, as fast as it goes\n")
    _print_table(results)
    good = not any(result.trouble for result in results)
    if arguments.rate:
        size = min(arguments.rate * PACED_SECONDS * whole.holds.size / whole.holds.events, arguments.size * MIB)
        log = _log(folder / "paced.log", paths, arguments.format, size)
        results = [Result(each, log, []) for each in chosen if not each.slow]
        _rounds(results, arguments.rounds, lambda result: paced(result.contender, log, folder, arguments.rate))
        print(f"\nAs auditd sends them: a socket, a write per record, {arguments.rate:,} events per second\n")
        _print_table(results, speed=False)
        good = good and not any(result.trouble for result in results)
    return 0 if good else 1


def _log(path: Path, paths: Sequence[Path], wanted: Format, size: float) -> Log:
    return Log(path, write_corpus(path, paths, size=int(size), wanted=wanted))


def _rounds(results: Sequence[Result], rounds: int, run: Callable[[Result], Run]) -> None:
    """Everybody once a round, each round beginning with the next; ours and the peers alternate."""
    for number in range(rounds):
        first = number % len(results) if results else 0
        for result in [*results[first:], *results[:first]]:
            result.runs.append(run(result))
            _progress(f"round {number + 1} of {rounds}: {result.contender.name}")
    _progress("")


def _progress(text: str) -> None:
    """Say on a terminal what goes on, in one line that is overwritten."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:60}\r")


def _print_circumstances(arguments: argparse.Namespace, folder: Path, whole: Log, part: Log) -> None:
    load = os.getloadavg()[0]
    print(f"log: {arguments.format}, {whole.holds}")
    print(f"slice for slow contenders: {part.holds}")
    print(f"machine: {_processor()}, {os.cpu_count()} processors, Linux {platform.release()}, files in {folder.parent}")
    print(f"rounds: {arguments.rounds}; load before: {load:.2f}{' (busy: figures are noisy)' if load > _BUSY else ''}")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _print_table(results: Sequence[Result], *, speed: bool = True) -> None:
    reference = next((each for each in results if each.contender.name == _REFERENCE and not each.trouble), None)
    head = ["contender", "version", "CPU µs/event", "(min-max)", "x ours", "(min-max)"]
    head += ["records/s", "events/s"] if speed else ["of one CPU"]
    head += ["peak MiB", "out B/event", "documents"]
    rows = [head]
    for each in results:
        if each.trouble:
            continue
        cpu = [each.per_event(run) for run in each.runs]
        row = [f"{each.contender.name}{'*' if each.contender.slow else ''}", each.contender.version]
        row += [f"{median(cpu):.2f}", f"({min(cpu):.2f}-{max(cpu):.2f})"]
        if reference:
            ratios = [mine / reference.per_event(run) for mine, run in zip(cpu, reference.runs, strict=True)]
            row += [f"{median(ratios):.2f}", f"({min(ratios):.2f}-{max(ratios):.2f})"]
        else:
            row += ["-", "-"]
        wall = median(run.wall for run in each.runs)
        if speed:
            row += [f"{each.log.holds.records / wall:,.0f}", f"{each.log.holds.events / wall:,.0f}"]
        else:
            row += [f"{median(run.cpu / run.wall for run in each.runs):.0%}"]
        row += [f"{median(run.rss for run in each.runs) / MIB:.1f}"]
        row += [f"{median(run.out_bytes for run in each.runs) / each.log.holds.events:.0f}"]
        row += [f"{median(run.out_events for run in each.runs):,.0f}"]
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = [f"{cell:{'<' if column < 2 else '>'}{widths[column]}}" for column, cell in enumerate(row)]  # noqa: PLR2004
        print("  ".join(cells).rstrip())
    for each in results:
        if each.contender.slow:
            print(f"* on the first {each.log.holds.size / MIB:.0f} MiB only")
        if each.trouble:
            print(f"does not count: {each.contender.name} {each.contender.version}: {each.trouble}")


if __name__ == "__main__":
    sys.exit(main())
