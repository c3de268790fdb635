"""How many instructions an event costs the engine: a count, not a time, so that a busy machine does not change it.

In: the engine's example `feed`, and small logs of the project's vectors, the same on every machine. Out: instructions
per event and per byte, in `instructions.tsv` in the tree. valgrind counts them (cachegrind, no simulated caches). Each
log is counted twice, once three times as long, and the difference is taken: starting, ending and the first use of
everything are not in it.

    python -m bench.instructions            # counts and stores: `make bench-instructions`
    python -m bench.instructions --check    # fails if anything costs more than is stored: `make check-instructions`
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders import HERE
from bench.corpus import CorpusError, make_events
from bench.sets import SETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.vary import Template

STORED = HERE / "instructions.tsv"
COUNTED = ("exec", "mixed", "enriched", "network", *(name for name in SETS if name.startswith("worst-")))
ENCODINGS = ("json", "msgpack")
# More than this above what is stored is an error; runs differ by a fifth of it.
TOLERANCE = 0.03
# Bytes of the shorter log, rounded up to whole laps through what it is made of; the other is three times as long.
# Shorter ones differ by 4 % from run to run, as the engine's caches are salted; these by 0.6 %.
_BYTES = 2_000_000
_TIMES = 3
_COUNT = re.compile(r"I\s+refs:\s+([\d,]+)")
_HEAD = ("set", "encoding", "events", "bytes", "instructions/event", "instructions/byte")

Key = tuple[str, str]


class InstructionsError(Exception):
    """Nothing can be counted, or what is stored cannot be read."""


@dataclass(frozen=True)
class Counted:
    """What a log cost: events and bytes of the difference, and instructions."""

    events: int
    size: int
    instructions: int

    @property
    def per_event(self) -> float:
        """Instructions for an event."""
        return self.instructions / self.events

    @property
    def per_byte(self) -> float:
        """Instructions for a byte of the log."""
        return self.instructions / self.size


def main() -> int:
    """Count, and store or compare."""
    parser = argparse.ArgumentParser(description="count the engine's instructions")
    parser.add_argument("--check", action="store_true", help="compare with what is stored, and store nothing")
    parser.add_argument("--set", action="append", choices=COUNTED, help="which logs; repeatable; only with --check")
    parser.add_argument("--stored", type=Path, default=STORED)
    arguments = parser.parse_args()
    if arguments.set and not arguments.check:
        parser.error("--set counts a part, which cannot be stored")
    try:
        found = count_all(arguments.set or COUNTED, feed())
        with_what = tools()
        if not arguments.check:
            arguments.stored.write_text(to_text(found, with_what), encoding="utf-8")
            print(arguments.stored.read_text(encoding="utf-8"), end="")
            return 0
        stored, stored_with = from_text(arguments.stored)
        worse, said = compare(found, stored)
    except (InstructionsError, CorpusError, OSError) as error:
        sys.stderr.write(f"bench.instructions: {error}\n")
        return 1
    print("\n".join(said))
    if stored_with != with_what:
        print(f"for information only: stored with {stored_with}, counted with {with_what}")
        return 0
    if worse:
        sys.stderr.write("more instructions than stored; if that has to be, `make bench-instructions` stores them\n")
    return 1 if worse else 0


def feed() -> Callable[[Path, str], int]:
    """Build what is counted; give what counts a log in an encoding.

    Raises:
        InstructionsError: it cannot be built, or valgrind is missing.
    """
    if not shutil.which("valgrind"):
        raise InstructionsError("valgrind is missing (apt-get install valgrind)")
    sources = HERE.parent / "src"
    build = ["cargo", "build", "--release", "--locked", "--quiet", "--package", "pyaudit-engine", "--example", "feed"]
    _run(build, sources)
    program = sources / "target" / "release" / "examples" / "feed"

    def counted(log: Path, encoding: str) -> int:
        valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        said = _run([*valgrind, str(program), str(log), encoding], sources)
        match = _COUNT.search(said)
        if match is None:
            raise InstructionsError(f"valgrind: expected a count, found {said[-200:]!r}")
        return int(match[1].replace(",", ""))

    return counted


def count_all(names: Iterable[str], instructions: Callable[[Path, str], int]) -> dict[Key, Counted]:
    """Count these logs in each encoding.

    Args:
        names: of sets.
        instructions: of a log in an encoding.
    """
    found: dict[Key, Counted] = {}
    with tempfile.TemporaryDirectory(prefix="audisp-pyaudit-bench.") as folder:
        for name in names:
            kinds = SETS[name].kinds()
            laps = laps_for(kinds, _BYTES)
            logs = [Path(folder) / f"{name}-{which}.log" for which in ("short", "long")]
            short, long = (write_laps(log, kinds, laps * times) for log, times in zip(logs, (1, _TIMES), strict=True))
            for encoding in ENCODINGS:
                counts = [instructions(log, encoding) for log in logs]
                found[name, encoding] = Counted(long[0] - short[0], long[1] - short[1], counts[1] - counts[0])
    return found


def laps_for(kinds: Sequence[Template], size: int) -> int:
    """How often all kinds have to come for a log of at least this size."""
    lap = sum(len(kind.text) for kind in kinds)
    return -(-size // lap)


def write_laps(target: Path, kinds: Sequence[Template], laps: int) -> tuple[int, int]:
    """Write every kind that often; return how many events and bytes that are."""
    wanted = laps * len(kinds)
    with target.open("wb") as stream:
        for number, (event, _) in zip(count(1), make_events(kinds, seed=1, rate=10_000), strict=False):
            stream.write(event)
            if number == wanted:
                break
        return wanted, stream.tell()


def tools() -> str:
    """What the count depends on, besides the sources."""
    rust = _run(["rustc", "--version"], HERE).split()[1]
    valgrind = _run(["valgrind", "--version"], HERE).strip().removeprefix("valgrind-")
    return f"rustc {rust}, valgrind {valgrind}, {platform.machine()}"


def to_text(found: dict[Key, Counted], with_what: str) -> str:
    """What is stored."""
    lines = [f"# {with_what}", "\t".join(_HEAD)]
    for (name, encoding), each in found.items():
        figures = (str(each.events), str(each.size), f"{each.per_event:.0f}", f"{each.per_byte:.2f}")
        lines.append("\t".join((name, encoding, *figures)))
    return "\n".join(lines) + "\n"


def from_text(path: Path) -> tuple[dict[Key, float], str]:
    """What was stored: instructions per event, and with what they were counted.

    Raises:
        InstructionsError: it is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InstructionsError(f"{path}: cannot be read: {error.strerror}") from None
    stored: dict[Key, float] = {}
    if len(lines) < 2 or not lines[0].startswith("# ") or tuple(lines[1].split("\t")) != _HEAD:  # noqa: PLR2004  # both heads
        raise InstructionsError(f"{path}:1: expected `# ` with versions, and a line with {', '.join(_HEAD)}")
    for number, line in enumerate(lines[2:], 3):
        cells = line.split("\t")
        try:
            stored[cells[0], cells[1]] = float(cells[4])
        except (IndexError, ValueError):
            raise InstructionsError(f"{path}:{number}: expected {len(_HEAD)} cells, the fifth a number") from None
    return stored, lines[0].removeprefix("# ")


def compare(found: dict[Key, Counted], stored: dict[Key, float]) -> tuple[bool, list[str]]:
    """Whether anything costs more than is stored, or is not stored; and what there is to say of each."""
    worse, said = False, []
    for key, each in found.items():
        name = f"{key[0]}, {key[1]}: {each.per_event:,.0f} instructions an event"
        if key not in stored:
            worse = True
            said.append(f"{name}, none stored")
            continue
        change = each.per_event / stored[key] - 1
        verdict = ""
        if change > TOLERANCE:
            worse, verdict = True, f": more than the {TOLERANCE:.0%} that are tolerated"
        elif change < -TOLERANCE:
            verdict = ": `make bench-instructions` stores it"
        said.append(f"{name}, {change:+.1%}{verdict}")
    return worse, said


def _run(argv: list[str], folder: Path) -> str:
    """Both outputs of a command.

    Raises:
        InstructionsError: it failed.
    """
    try:
        done = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)
    except OSError as error:
        raise InstructionsError(f"{argv[0]}: {error.strerror}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InstructionsError(f"{argv[0]}: {last}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
