"""The figure: what an event costs, ours and the peers' in one run. `make bench`, or `python -m bench.figure --help`.

Every round runs everybody once, in turn, each round beginning with another one; medians and extremes are printed, and
the ratio to ours of the same round. What fails is named below its table, and the rest goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import tables
from bench.contenders import HERE, Contender, Missing
from bench.corpus import MIB, CorpusError, default_vectors, read_events, templates, write_corpus
from bench.measure import Log, from_file, paced
from bench.peers import all_contenders
from bench.place import place
from bench.results import Results, in_words
from bench.sets import SETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.measure import Run
    from bench.vary import Template

PACED_SECONDS = 10
# Logs that are also sent as auditd sends them.
PACED_SETS = ("exec", "mixed")
# The log, slices of it, and the largest output beside it.
_ROOM = 6


@dataclass(frozen=True)
class Wanted:
    """A log to measure on.

    Args:
        name: for the table.
        about: for people.
        kinds: what it is made of.
        size: bytes.
        compared: everybody is measured on it; otherwise only ours and the newest laurel.
        paced: also one record after the other.
        unread_by: beginnings of names of contenders that cannot read it.
    """

    name: str
    about: str
    kinds: list[Template]
    size: int
    compared: bool
    paced: bool
    unread_by: tuple[str, ...] = ()

    def is_for(self, contender: Contender) -> bool:
        """Whether this one is measured on it, if it can read it."""
        return self.compared or "audisp-pyaudit" in contender.name or contender.name == "laurel-sid"


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    try:
        wanted = list(_wanted(arguments))
        folder = place(int(arguments.size * MIB) * _ROOM, arguments.work)
        with (
            Results(arguments.results, "figure", {"size_mib": arguments.size, "rounds": arguments.rounds}) as results,
            tempfile.TemporaryDirectory(prefix="audisp-pyaudit-bench.", dir=folder) as inner,
        ):
            return _figure(arguments, wanted, results, Path(inner))
    except (CorpusError, OSError) as error:
        sys.stderr.write(f"bench.figure: {error}\n")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="measure audisp-pyaudit and its peers")
    parser.add_argument("vectors", type=Path, nargs="*", help="files of audit records, instead of the sets")
    parser.add_argument("--set", action="append", choices=sorted(SETS), help="which logs; repeatable; default: all")
    parser.add_argument("--size", type=float, default=200, metavar="MiB", help="of each log")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", metavar="NAME", help="contenders whose name begins so; repeatable")
    parser.add_argument("--earlier", type=Path, metavar="COMMAND", help="another version's audisp-pyaudit, too")
    parser.add_argument("--format", choices=("enriched", "raw"), default="enriched", help="log_format of the vectors")
    parser.add_argument("--no-repeats", action="store_true", help="another inode in every event, also of the same path")
    parser.add_argument("--rate", type=int, default=10_000, help="events per second of the paced runs; 0: none")
    parser.add_argument("--work", type=Path, help="folder for the log and the output; default: memory if there is room")
    parser.add_argument("--results", type=Path, default=HERE / "out" / "figure.jsonl", help="where figures are kept")
    arguments = parser.parse_intermixed_args()
    if arguments.size <= 0 or arguments.rounds < 1 or arguments.rate < 0:
        parser.error("--size and --rounds have to be above 0, --rate not below")
    return arguments


def _wanted(arguments: argparse.Namespace) -> Iterator[Wanted]:
    size, repeats = int(arguments.size * MIB), not arguments.no_repeats
    if arguments.vectors:
        kinds = templates(read_events(arguments.vectors), arguments.format, repeats=repeats)
        yield Wanted("vectors given", arguments.format, kinds, size, compared=True, paced=True)
        return
    if not default_vectors():
        raise CorpusError("the project's vectors are not there; name files of audit records")
    for name in arguments.set or [name for name, each in SETS.items() if each.default]:
        each = SETS[name]
        kinds = each.kinds(repeats=repeats)
        alone = bool(arguments.set) and len(arguments.set) == 1
        paced = alone or name in PACED_SETS
        yield Wanted(name, each.about, kinds, size, each.compared, paced=paced, unread_by=each.unread_by)


def _figure(arguments: argparse.Namespace, wanted: Sequence[Wanted], results: Results, folder: Path) -> int:
    chosen: list[Contender] = []
    for each in all_contenders(arguments.earlier):
        if arguments.only and not any(each.name.startswith(name) for name in arguments.only):
            continue
        if isinstance(each, Missing):
            results.add({"kind": "missing", "contender": each.name, "why": each.why})
        else:
            chosen.append(each)
    if not chosen:
        print("nobody to measure")
        return 1
    print(f"{in_words(results.circumstances)}\nfiles in {folder.parent}; medians of {arguments.rounds} rounds")
    for one in wanted:
        here: list[Contender] = []
        for each in filter(one.is_for, chosen):
            if each.name.startswith(one.unread_by):
                results.add({"kind": "missing", "contender": each.name, "why": f"it leaves out events of {one.name}"})
            else:
                here.append(each)
        _file_runs(one, here, arguments.rounds, results, folder)
        if one.paced and arguments.rate:
            _paced_runs(one, [each for each in here if each.paced], arguments, results, folder)
    for table in tables.figures(results.lines):
        print("\n" + table.text(), end="")
    return 1 if any(line.get("trouble") for line in results.lines) else 0


def _file_runs(wanted: Wanted, here: Sequence[Contender], rounds: int, results: Results, folder: Path) -> None:
    sizes = {each.name: min(wanted.size, int(each.slice_mib * MIB) or wanted.size) for each in here}
    with _logs(wanted, set(sizes.values()) | {wanted.size}, folder) as logs:
        holds = logs[wanted.size].holds
        about = {"kind": "log", "set": wanted.name, "about": wanted.about, "kinds": holds.kinds}
        results.add(about | {"events": holds.events, "records": holds.records, "bytes": holds.size})

        def run(contender: Contender, number: int) -> None:
            log = logs[sizes[contender.name]]
            done = from_file(contender, log, folder)
            results.add(_line(wanted, contender, number, log, done) | {"mode": "file", "rate": 0})

        _rounds(wanted.name, here, rounds, run)


def _paced_runs(
    wanted: Wanted, here: Sequence[Contender], arguments: argparse.Namespace, results: Results, folder: Path
) -> None:
    log = next(line for line in results.lines if line["kind"] == "log" and line["set"] == wanted.name)
    size = int(min(arguments.rate * PACED_SECONDS * log["bytes"] / log["events"], wanted.size))
    with _logs(wanted, {size}, folder) as logs:

        def run(contender: Contender, number: int) -> None:
            done = paced(contender, logs[size], folder, arguments.rate)
            line = _line(wanted, contender, number, logs[size], done)
            results.add(line | {"mode": "paced", "rate": arguments.rate})

        _rounds(f"{wanted.name}, paced", here, arguments.rounds, run)


@contextmanager
def _logs(wanted: Wanted, sizes: set[int], folder: Path) -> Iterator[dict[int, Log]]:
    """The log in these sizes, for as long as it is needed."""
    made = {
        size: Log(folder / f"{size}.log", write_corpus(folder / f"{size}.log", wanted.kinds, size=size))
        for size in sizes
    }
    try:
        yield made
    finally:
        for log in made.values():
            log.path.unlink()


def _line(wanted: Wanted, contender: Contender, number: int, log: Log, run: Run) -> dict[str, object]:
    return {
        "kind": "run",
        "set": wanted.name,
        "contender": contender.name,
        "version": contender.version,
        "round": number,
        "slice_mib": contender.slice_mib if log.holds.size < wanted.size else 0,
        "events": log.holds.events,
        "records": log.holds.records,
        "bytes": log.holds.size,
        "cpu_us": run.cpu / log.holds.events * 1e6,
        "wall": run.wall,
        "rss": run.rss,
        "out_bytes": run.out_bytes,
        "documents": run.out_events,
        "trouble": run.trouble,
    }


def _rounds(what: str, here: Sequence[Contender], rounds: int, run: Callable[[Contender, int], None]) -> None:
    """Everybody once a round, each round beginning with the next; ours and the peers alternate."""
    for number in range(rounds):
        first = number % len(here) if here else 0
        for contender in [*here[first:], *here[:first]]:
            _progress(f"{what}: round {number + 1} of {rounds}: {contender.name}")
            run(contender, number)
    _progress("")


def _progress(text: str) -> None:
    """Say on a terminal what goes on, in one line that is overwritten."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:75}\r")


if __name__ == "__main__":
    sys.exit(main())
