"""A log of any size, made from a few captured events: `python -m bench.corpus --size 200 out.log [vectors…]`.

In: files of audit records (audit.log, or what a plugin read on stdin). Out: whole events, one after the other as auditd
hands them to a plugin, with rising serials, no two with the same body. The same arguments give the same bytes.
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


def templates(paths: Iterable[Path], wanted: Format) -> list[Template]:
    """Return what can be varied of these files' events.

    Raises:
        CorpusError: nothing can.
    """
    events = (in_format(event, wanted) for event in read_events(paths))
    found = [make_template(event) for event in events if event and not _only_end(event)]
    usable = [template for template in found if template.slots]
    if not usable:
        raise CorpusError(f"no event that could be varied in the {wanted} format was found in the files given")
    return usable


def _only_end(event: Sequence[bytes]) -> bool:
    return all(b"type=EOE " in line for line in event)


def make_events(kinds: Sequence[Template], *, seed: int, rate: int) -> Iterator[tuple[bytes, int]]:
    """Give events without end, as bytes and number of records.

    Args:
        kinds: what to make them from, again and again in this order.
        seed: the same seed gives the same events.
        rate: events per second of the time in the records.

    Raises:
        CorpusError: no further event would differ from those before.
    """
    random = Random(seed)  # noqa: S311  # no secret
    seen: set[int] = set()
    number = 0
    last_lap = 0
    for lap in count():
        for kind in kinds:
            body = kind.body(Variation(lap, random))
            key = hash(body)  # 64 bits: two different events with one hash are not to be expected in any log
            if key in seen:
                continue
            seen.add(key)
            ms = _FIRST_MS + number * 1000 // rate
            stamp = b"%d.%03d:%d" % (ms // 1000, ms % 1000, _FIRST_SERIAL + number)
            yield body.replace(STAMP, stamp), kind.records
            number += 1
            last_lap = lap
        if lap - last_lap > _EMPTY_LAPS:
            raise CorpusError("the events given do not hold enough that can be varied")


def write_corpus(  # noqa: PLR0913  # each is a fact about the log
    target: Path,
    paths: Sequence[Path],
    *,
    size: int,
    wanted: Format = "enriched",
    seed: int = 1,
    rate: int = 10_000,
) -> Corpus:
    """Write a log.

    Args:
        target: the file to write.
        paths: files of records to make it from.
        size: bytes to reach; the last event goes over it.
        wanted: the log_format.
        seed: see `make_events`.
        rate: see `make_events`.

    Raises:
        CorpusError: nothing, or not enough, can be varied in these files.
    """
    kinds = templates(paths, wanted)
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
    parser = argparse.ArgumentParser(description="make a log of varied events from captured ones")
    parser.add_argument("target", type=Path, help="the file to write")
    parser.add_argument("vectors", type=Path, nargs="*", help="files of audit records; default: the project's vectors")
    parser.add_argument("--size", type=float, default=200, metavar="MiB")
    parser.add_argument("--format", choices=("enriched", "raw"), default="enriched")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=10_000, help="events per second of the time in the records")
    arguments = parser.parse_intermixed_args()
    paths = arguments.vectors or default_vectors()
    size = int(arguments.size * MIB)
    try:
        made = write_corpus(
            arguments.target, paths, size=size, wanted=arguments.format, seed=arguments.seed, rate=arguments.rate
        )
    except (CorpusError, OSError) as error:
        sys.stderr.write(f"bench.corpus: {error}\n")
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
