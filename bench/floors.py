"""The floors under every figure: what a log's bytes cost if nothing is understood of them.

`memcpy`: from memory to memory. `memchr`: looked through for the ends of lines with the C library's memchr. `copy`:
read from a file and written to another, in blocks of 256 KiB, both in memory if there is room. A few lines of C do
it, built with the system's compiler (`cc -O2`); the least processor time of some rounds counts.

    python -m bench.floors                  # exec and mixed, 200 MiB each: half a minute
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import tables
from bench.contenders import HERE
from bench.corpus import MIB, CorpusError, write_corpus
from bench.place import place
from bench.results import Results, in_words
from bench.sets import SETS

if TYPE_CHECKING:
    from bench.results import Line

_SOURCE = Path(__file__).with_name("floors.c")
# The log and its copy.
_ROOM = 3
DEFAULT = ("exec", "mixed")


class FloorsError(Exception):
    """The C part could not be built or run."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="measure what bytes cost at least")
    parser.add_argument("--set", action="append", choices=sorted(SETS), help="repeatable; default: exec and mixed")
    parser.add_argument("--size", type=float, default=200, metavar="MiB", help="of each log")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", type=Path, help="folder for files; default: memory if there is room")
    parser.add_argument("--results", type=Path, default=HERE / "out" / "floors.jsonl")
    arguments = parser.parse_args()
    if arguments.size <= 0 or arguments.rounds < 1:
        parser.error("--size and --rounds have to be above 0")
    work = place(int(arguments.size * MIB) * _ROOM, arguments.work)
    try:
        with (
            Results(arguments.results, "floors", {"size_mib": arguments.size}) as results,
            tempfile.TemporaryDirectory(prefix="audisp-pyaudit-bench.", dir=work) as folder,
            tempfile.TemporaryDirectory(prefix="audisp-pyaudit-bench.") as built,
        ):
            program = build(Path(built))
            for name in arguments.set or DEFAULT:
                results.add(measured(program, name, int(arguments.size * MIB), arguments.rounds, Path(folder)))
    except (CorpusError, FloorsError, OSError) as error:
        sys.stderr.write(f"bench.floors: {error}\n")
        return 1
    print(in_words(results.circumstances))
    for table in tables.floors(results.lines):
        print("\n" + table.text(), end="")
    return 0


def build(folder: Path) -> Path:
    """The program.

    Raises:
        FloorsError: the compiler is missing or does not like it.
    """
    program = folder / "floors"
    _run(["cc", "-O2", "-Wall", "-Werror", "-o", str(program), str(_SOURCE)])
    return program


def measured(program: Path, name: str, size: int, rounds: int, folder: Path) -> Line:
    """Of one log: ns for all of it, and what it holds.

    Raises:
        FloorsError: it did not work, or did not see all lines.
    """
    log, copy = folder / "floors.log", folder / "floors.copy"
    holds = write_corpus(log, SETS[name].kinds(), size=size)
    found: dict[str, int] = json.loads(_run([str(program), str(log), str(copy), str(rounds)]))
    if found["lines"] != holds.records or copy.stat().st_size != holds.size:
        raise FloorsError(f"{found['lines']} lines were found of {holds.records}, {copy.stat().st_size} bytes copied")
    log.unlink()
    copy.unlink()
    return {"kind": "floor", "set": name, "events": holds.events, **found}


def _run(argv: list[str]) -> str:
    try:
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    except OSError as error:
        raise FloorsError(f"{argv[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise FloorsError(f"{argv[0]}: {error.stderr.strip()[-500:]}") from None


if __name__ == "__main__":
    sys.exit(main())
