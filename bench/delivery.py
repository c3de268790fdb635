"""What delivery costs: our process with each kind of sink, beside laurel writing a file, under the same load.

The load is `bench.load`: one blocking write a record, at a rate. Every round runs everybody once. Kafka is a broker of
our own on loopback (`make test-tools`), asked for the acknowledgement of all replicas, compressed with zstd, fed from
the spool on disk.

    python -m bench.delivery                      # 10,000 events/s for 20 s, 7 rounds: half an hour
    python -m bench.delivery --seconds 600 --rounds 1 --only kafka
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import broker, tables
from bench.contenders import HERE, Missing
from bench.place import place
from bench.results import Results, in_words
from bench.running import Case, RunningError, file_sinks, newest_laurel, ours, run
from bench.sets import SETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kafka.broker import Broker

_ROOM_BYTES = 3 * 1024**3
_SPOOL = '[queue]\nmode = "{mode}"\npath = "{disk}/{name}"\n'


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="measure what delivery costs")
    parser.add_argument("--set", choices=sorted(SETS), default="exec")
    parser.add_argument("--rate", type=int, default=10_000, help="events per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", metavar="NAME", help="cases whose name begins so; repeatable")
    parser.add_argument("--work", type=Path, help="folder for files; default: memory if there is room")
    parser.add_argument("--disk", type=Path, default=HERE / "out", help="folder for spools and the broker's data")
    parser.add_argument("--results", type=Path, default=HERE / "out" / "delivery.jsonl")
    arguments = parser.parse_args()
    if min(arguments.rate, arguments.seconds, arguments.rounds) <= 0:
        parser.error("--rate, --seconds and --rounds have to be above 0")
    arguments.disk.mkdir(parents=True, exist_ok=True)
    facts = {"seconds": arguments.seconds, "rounds": arguments.rounds}
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(Results(arguments.results, "delivery", facts))
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="delivery.", dir=arguments.disk)))
        work = place(_ROOM_BYTES, arguments.work)
        there = stack.enter_context(broker.broker(disk))
        if there is None:
            results.add({"kind": "missing", "contender": "kafka", "why": "there is no Kafka here (make test-tools)"})
        cases = [each for each in _cases(there, disk, results) if _chosen(each, arguments.only)]
        for number in range(arguments.rounds):
            first = number % len(cases) if cases else 0
            for case in [*cases[first:], *cases[:first]]:
                print(f"round {number + 1} of {arguments.rounds}: {case.name}", file=sys.stderr)
                with tempfile.TemporaryDirectory(prefix="audisp-pyaudit-bench.", dir=work) as folder:
                    results.add(_line(arguments, case, number, Path(folder)))
    print(in_words(results.circumstances))
    for table in tables.deliveries(results.lines):
        print("\n" + table.text(), end="")
    return 1 if any(line.get("trouble") for line in results.lines) else 0


def _line(arguments: argparse.Namespace, case: Case, number: int, folder: Path) -> dict[str, object]:
    about = {"kind": "delivery", "case": case.name, "round": number, "rate": arguments.rate, "set": arguments.set}
    try:
        outcome = run(case, folder, arguments.rate, arguments.seconds, arguments.set)
        figures = {"cpu_us": outcome.cpu_us(), "rss_mib": outcome.rss, "peak_mib": outcome.peak}
    except (RunningError, OSError) as error:
        return about | {"trouble": str(error)}
    more = {"events_per_s": outcome.events_per_s, "dropped": outcome.dropped, "ledger": outcome.ledger}
    return about | figures | more | {"trouble": ""}


def _chosen(case: Case, only: list[str] | None) -> bool:
    return not only or any(case.name.startswith(each) for each in only)


def _cases(there: Broker | None, disk: Path, results: Results) -> Iterator[Case]:
    yield ours("file, JSON", file_sinks())
    yield ours("file, msgpack", file_sinks(framing="msgpack"))
    subscribers = '[sinks.out]\ntype = "unix"\npath = "{folder}/sock"\n'
    yield ours("10 subscribers", subscribers, readers=10)
    away = '[sinks.out]\ntype = "kafka"\nbootstrap = "127.0.0.1:1"\n'
    yield ours("spool, broker away", _queue("lossless", disk) + away)
    if there is not None:
        for mode in ("lossless", "lossy"):
            yield ours(f"kafka, {mode}", _queue(mode, disk) + broker.sink(there, f"bench-{mode}"))
        msgpack = broker.sink(there, "bench-msgpack").replace(
            "[sinks.out.librd", 'format = "msgpack"\n[sinks.out.librd'
        )
        yield ours("kafka, lossless, msgpack", _queue("lossless", disk) + msgpack)
    laurel = newest_laurel()
    if isinstance(laurel, Missing):
        results.add({"kind": "missing", "contender": laurel.name, "why": laurel.why})
    else:
        yield laurel


def _queue(mode: str, disk: Path) -> str:
    return _SPOOL.format(mode=mode, disk=disk, name="spool-{run}")


if __name__ == "__main__":
    sys.exit(main())
