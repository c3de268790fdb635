"""Writes events as auditd does: a blocking write for each record into a socket, at a rate, with the time of now.

A process of its own, so that nothing of a bench slows it down. Standard input is the socket. What is written comes from
`bench.sets`; after the last event of its pool it begins again with the first, under new times and serials. Lines on
standard output: `ready` when the pool is made, and at the end what was done, as JSON. It ends with SIGTERM, or when
nobody reads.

    python -m bench.load SET RATE [--pool EVENTS] [--times FILE]
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from array import array
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from bench.corpus import make_bodies
from bench.sets import SETS
from bench.vary import STAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_SERIAL = 1
# More different events than any cache holds; some 100 MB.
POOL = 100_000
_NS = 1_000_000_000


class Load:
    """Writes until it is told to stop.

    Args:
        pool: events as `make_bodies` gives them.
        rate: events per second.
    """

    def __init__(self, pool: Sequence[bytes], rate: float) -> None:
        self._pool = pool
        self._rate = rate
        self._stopped = False
        self.written_ns = array("q")  # Unix time at which each event's first record was written
        self.records = 0

    def stop(self, *_: object) -> None:
        """End behind the event that is being written."""
        self._stopped = True

    def run(self, target: socket.socket) -> dict[str, float]:
        """Write; return what was done: events, records, seconds, and how late the last event was, in seconds."""
        begun = time.monotonic()
        behind = 0.0
        events = cycle(self._pool)
        try:
            while not self._stopped:
                due = begun + len(self.written_ns) / self._rate
                behind = time.monotonic() - due
                if behind < 0:
                    time.sleep(-behind)
                self._write(target, next(events))
        except OSError:  # nobody reads any more
            pass
        seconds = time.monotonic() - begun
        return {"events": len(self.written_ns), "records": self.records, "seconds": seconds, "behind": max(0.0, behind)}

    def _write(self, target: socket.socket, body: bytes) -> None:
        now = time.time_ns()
        serial = FIRST_SERIAL + len(self.written_ns)
        stamp = b"%d.%03d:%d" % (now // _NS, now // 1_000_000 % 1000, serial)
        self.written_ns.append(now)
        for line in body.replace(STAMP, stamp).splitlines(keepends=True):
            target.sendall(line)
            self.records += 1


def main() -> int:
    """Write."""
    parser = argparse.ArgumentParser(description="write events as auditd does")
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("rate", type=float, help="events per second")
    parser.add_argument("--pool", type=int, default=POOL, help="different events")
    parser.add_argument("--times", type=Path, help="where to write when each event was written: ns, 64 bits each")
    arguments = parser.parse_args()
    pool = [body for body, _ in islice(make_bodies(SETS[arguments.set].kinds(), 1), arguments.pool)]
    load = Load(pool, arguments.rate)
    signal.signal(signal.SIGTERM, load.stop)
    print("ready", flush=True)
    with socket.socket(fileno=0) as target:
        done = load.run(target)
    if arguments.times:
        arguments.times.write_bytes(load.written_ns.tobytes())
    print(json.dumps(done), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
