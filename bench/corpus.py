"""A log of any size, made from a few captured events: `python -m bench.corpus --size 200 out.log [vectors…]`.

In: files of audit records (audit.log, or what a plugin read on stdin). Out: whole events, one after the other as auditd
hands them to a plugin, with rising serials, no two with the same body. The same arguments give the same bytes.
`bench.sets` names the logs that figures are measured on (`--set`).
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

from bench.vary import HEADER, SEPARATOR, STAMP, Template, Variation, make_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Format = Literal["enriched", "raw"]
MIB = 1024 * 1024
VECTORS = Path(__file__).resolve().parents[1] / "tests" / "vectors"
_FIRST_MS = 1_700_000_000_000
_FIRST_SERIAL = 1000
_WRITE_BYTES = 4 * MIB
# Laps through the vectors in which not one event was new: there is nothing left to vary.
_EMPTY_LAPS = 20
# auditd adds names to records with one of these.
_NAMED = re.compile(rb"(?<![\w-])(?:[a-z]*[ug]id|arch|saddr)=")
# These the kernel ends with an EOE, which audit.log does not show.
_ENDED = {b"SYSCALL", b"URINGOP"}


class CorpusError(Exception):
    """There is nothing a log could be made from."""


@dataclass(frozen=True)
class Corpus:
    """What a log holds. `records` counts lines, EOE included."""

    events: int
    records: int
    size: int
    kinds: int

    def __str__(self) -> str:
        """Figures for people."""
        return (
            f"{self.size / MIB:.1f} MiB, {self.events:,} events of {self.kinds} kinds, {self.records:,} records"
            f" ({self.records / self.events:.1f} records and {self.size / self.events:.0f} bytes an event)"
        )


def default_vectors() -> list[Path]:
    """Every log among the project's own vectors."""
    return sorted(VECTORS.rglob("*.log"))


def read_events(paths: Iterable[Path]) -> list[list[bytes]]:
    """Group the records of some files into events, in order of their first record.

    Lines that are no records are skipped, so are auditd's own (DAEMON_*), which have serials of their own.
    """
    events: list[list[bytes]] = []
    for path in paths:
        found: dict[bytes, list[bytes]] = {}
        for line in path.read_bytes().split(b"\n"):
            head = HEADER.match(line)
            if head and STAMP not in line and not head[1].startswith(b"DAEMON_"):
                found.setdefault(line[: line.find(b"type=")] + head[2], []).append(line)
        events += found.values()
    return events


def in_format(event: Sequence[bytes], wanted: Format) -> list[bytes] | None:
    """Return the event as auditd would send it with that log_format; None if it lacks the names to be enriched."""
    heads = [HEADER.match(line) for line in event]
    types = {head[1] for head in heads if head}
    own = [line.partition(SEPARATOR)[0] for line in event]
    if wanted == "raw":
        lines = own
    elif any(SEPARATOR in line for line in event) or not any(_NAMED.search(line) for line in own):
        lines = list(event)
    else:
        return None
    if types & _ENDED and b"EOE" not in types:
        lines.append(b"type=EOE msg=audit(0.0:0):" + (b" " if wanted == "raw" else b""))
    return lines


def templates(events: Iterable[Sequence[bytes]], wanted: Format, *, repeats: bool = True) -> list[Template]:
    """Return what can be varied of these events.

    Args:
        events: lines of each, see `read_events`.
        wanted: the log_format.
        repeats: see `make_template`.

    Raises:
        CorpusError: nothing can.
    """
    formed = (in_format(event, wanted) for event in events)
    found = [make_template(event, repeats=repeats) for event in formed if event and not _only_end(event)]
    usable = [template for template in found if template.slots]
    if not usable:
        raise CorpusError(f"no event that could be varied in the {wanted} format was found in the files given")
    return usable


def _only_end(event: Sequence[bytes]) -> bool:
    return all(b"type=EOE " in line for line in event)


def make_bodies(kinds: Sequence[Template], seed: int) -> Iterator[tuple[bytes, int]]:
    """Give events without end, as bytes with `STAMP` where time and serial go, and number of records.

    Args:
        kinds: what to make them from, again and again in this order.
        seed: the same seed gives the same events.

    Raises:
        CorpusError: no further event would differ from those before.
    """
    random = Random(seed)  # noqa: S311  # no secret
    seen: set[int] = set()
    last_lap = 0
    for lap in count():
        for kind in kinds:
            body = kind.body(Variation(lap, random))
            key = hash(body)  # 64 bits: two different events with one hash are not to be expected in any log
            if key in seen:
                continue
            seen.add(key)
            yield body, kind.records
            last_lap = lap
        if lap - last_lap > _EMPTY_LAPS:
            raise CorpusError("the events given do not hold enough that can be varied")


def make_events(kinds: Sequence[Template], *, seed: int, rate: int) -> Iterator[tuple[bytes, int]]:
    """Give events without end, as bytes and number of records.

    Args:
        kinds: see `make_bodies`.
        seed: see `make_bodies`.
        rate: events per second of the time in the records.

    Raises:
        CorpusError: see `make_bodies`.
    """
    for number, (body, records) in enumerate(make_bodies(kinds, seed)):
        ms = _FIRST_MS + number * 1000 // rate
        stamp = b"%d.%03d:%d" % (ms // 1000, ms % 1000, _FIRST_SERIAL + number)
        yield body.replace(STAMP, stamp), records


def write_corpus(target: Path, kinds: Sequence[Template], *, size: int, seed: int = 1, rate: int = 10_000) -> Corpus:
    """Write a log.

    Args:
        target: the file to write.
        kinds: what to make it from, see `templates`.
        size: bytes to reach; the last event goes over it.
        seed: see `make_events`.
        rate: see `make_events`.

    Raises:
        CorpusError: not enough can be varied in these events.
    """
    events = records = written = 0
    chunk = bytearray()
    with target.open("wb") as stream:
        for event, lines in make_events(kinds, seed=seed, rate=rate):
            chunk += event
            events += 1
            records += lines
            if len(chunk) >= _WRITE_BYTES or written + len(chunk) >= size:
                stream.write(chunk)
                written += len(chunk)
                chunk.clear()
            if written >= size:
                break
    return Corpus(events, records, written, len(kinds))


def main() -> int:
    """Write a log and say what is in it."""
    from bench import sets  # noqa: PLC0415  # it is made of what stands here

    parser = argparse.ArgumentParser(description="make a log of varied events from captured ones")
    parser.add_argument("target", type=Path, help="the file to write")
    parser.add_argument("vectors", type=Path, nargs="*", help="files of audit records; default: the project's vectors")
    parser.add_argument("--set", choices=sorted(sets.SETS), help="one of the sets that figures are measured on instead")
    parser.add_argument("--size", type=float, default=200, metavar="MiB")
    parser.add_argument(
        "--format", choices=("enriched", "raw"), default="enriched", help="not for a set: it has its own"
    )
    parser.add_argument("--no-repeats", action="store_true", help="another inode in every event, also of the same path")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=10_000, help="events per second of the time in the records")
    arguments = parser.parse_intermixed_args()
    repeats = not arguments.no_repeats
    try:
        if arguments.set:
            kinds = sets.SETS[arguments.set].kinds(repeats=repeats)
        else:
            paths = arguments.vectors or default_vectors()
            kinds = templates(read_events(paths), arguments.format, repeats=repeats)
        size = int(arguments.size * MIB)
        made = write_corpus(arguments.target, kinds, size=size, seed=arguments.seed, rate=arguments.rate)
    except (CorpusError, OSError) as error:
        sys.stderr.write(f"bench.corpus: {error}\n")
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
