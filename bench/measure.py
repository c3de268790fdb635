"""One run of one contender: the log goes in, processor time, wall time, memory and output come out.

Processor time is what the kernel booked for the process and its children at their end (`wait4`). Peak memory is
`VmHWM` from /proc, read until the end: `ru_maxrss` would begin with the memory of this process, which starts it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgpack  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.contenders import Contender
    from bench.corpus import Corpus

# Peak memory is looked at this often; what it grows by in the last moment of its life is missed.
_LOOK_MS = 10
# A contender that takes longer than this for a run is not of use to anybody.
_MAX_SECONDS = 600
# How far the number of documents may be from the number of events. Peers drop what they cannot parse, and some take a
# pair of events for one or the other way round.
_TOLERANCE = 0.05
_TAIL_BYTES = 16384
_BLOCK = b"----\n"


@dataclass(frozen=True)
class Log:
    """A log file and what it holds."""

    path: Path
    holds: Corpus


@dataclass(frozen=True)
class Run:
    """What one run cost and gave; `trouble` says why it does not count."""

    cpu: float
    wall: float
    rss: int
    out_bytes: int
    out_events: int
    trouble: str


def from_file(contender: Contender, log: Log, folder: Path) -> Run:
    """Run with the log as standard input: as fast as it goes."""
    with log.path.open("rb") as stream:
        return _run(contender, log, folder, stream.fileno(), lambda: None)


def paced(contender: Contender, log: Log, folder: Path, rate: int) -> Run:
    """Run with records as auditd sends them: a socket pair, a write per record, `rate` events per second."""
    lines = log.path.read_bytes().splitlines(keepends=True)
    ours, theirs = socket.socketpair()
    feeder = threading.Thread(target=_feed, args=(ours, lines, rate * log.holds.records / log.holds.events))

    def start() -> None:
        theirs.close()
        feeder.start()

    try:
        return _run(contender, log, folder, theirs.fileno(), start)
    finally:
        theirs.close()
        ours.close()
        if feeder.ident:
            feeder.join()


def _feed(target: socket.socket, lines: Sequence[bytes], rate: float) -> None:
    begin, sent = time.monotonic(), 0
    with target, contextlib.suppress(OSError):
        while sent < len(lines):
            due = min(len(lines), int((time.monotonic() - begin) * rate))
            for line in lines[sent:due]:
                target.sendall(line)
            sent = max(sent, due)
            time.sleep(0.001)


def _run(contender: Contender, log: Log, folder: Path, stdin: int, started: Callable[[], None]) -> Run:
    launch = contender.prepare(folder, log.path)
    errors = folder / "stderr"
    heard = _heard(launch.hears, launch.output) if launch.hears else contextlib.nullcontext()
    with errors.open("wb") as stderr, heard:
        begin = time.monotonic()
        try:
            process = subprocess.Popen(
                launch.argv, stdin=stdin, stdout=subprocess.DEVNULL, stderr=stderr, env=launch.environment, cwd=folder
            )
        except OSError as error:
            return Run(0, 0, 0, 0, 0, f"does not start: {error}")
        started()
        rss = _watch(process)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    size = launch.output.stat().st_size if launch.output.exists() else 0
    events = _count(launch.output, contender.framing) if size else 0
    wanted, things = log.holds.events, "events"
    if contender.framing == "records":
        wanted, things = log.holds.records, "records"
    trouble = ""
    if process.returncode:
        trouble = f"exit code {process.returncode}: {_last_line(errors)}"
    elif abs(events - wanted) > _TOLERANCE * wanted:
        trouble = f"{events:,} documents for {wanted:,} {things}"
    elif not _sane(launch.output, contender.framing, log):
        trouble = "the output does not begin with a document, or does not end with the last events"
    launch.output.unlink(missing_ok=True)
    return Run(usage.ru_utime + usage.ru_stime, wall, rss, size, events, trouble)


@contextlib.contextmanager
def _heard(address: Path, output: Path) -> Iterator[None]:
    """Write what comes to a datagram socket into a file, a line each."""
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server, output.open("wb") as stream:
        server.bind(str(address))
        server.settimeout(_LOOK_MS / 1000)
        over = threading.Event()

        def listen() -> None:
            while True:
                try:
                    stream.write(server.recv(1 << 16).rstrip(b"\n") + b"\n")
                except TimeoutError:  # nothing waits any more
                    if over.is_set():
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            address.unlink()


def _watch(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end, or make one; return the peak of the resident memory in bytes."""
    peak, deadline = 0, time.monotonic() + _MAX_SECONDS
    handle = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        while not poll.poll(_LOOK_MS):
            peak = max(peak, _peak_memory(process.pid))
            if time.monotonic() > deadline:
                process.kill()
    finally:
        os.close(handle)
    return peak


def _peak_memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _count(output: Path, framing: str) -> int:
    """Documents in the output; lines, if it has none."""
    with output.open("rb") as stream:
        if framing == "blocks":
            return sum(line == _BLOCK for line in stream)
        if framing != "msgpack":
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
        unpacker, count = msgpack.Unpacker(stream, max_buffer_size=1 << 30), 0
        with contextlib.suppress(msgpack.OutOfData):
            while True:
                unpacker.skip()
                count += 1
        return count


def _sane(output: Path, framing: str, log: Log) -> bool:
    """Whether the first document can be read, if there are any, and the last event of the log is near the end."""
    with output.open("rb") as stream:
        try:
            first = _first(stream, framing)
        except ValueError:
            return False
        stream.seek(max(0, output.stat().st_size - (1 << 20)))
        tail = stream.read()
    return isinstance(first, dict) and _last_serial(log.path) in tail


def _first(stream: BinaryIO, framing: str) -> object:
    if framing == "json":
        return json.loads(stream.readline())
    return next(iter(msgpack.Unpacker(stream))) if framing == "msgpack" else {}


def _last_serial(log: Path) -> bytes:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return stream.read().rpartition(b"msg=audit(")[2].partition(b")")[0].rpartition(b":")[2]


def _last_line(errors: Path) -> str:
    lines = errors.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing on standard error"
