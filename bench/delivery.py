"""What delivery costs: our process with each kind of sink, beside laurel writing a file, under the same load.

The load is that of the drills (`tests/drills/writer.py`): executions of five records and log-ins, one blocking write a
record, at a rate. Every round runs everybody once. Kafka is a broker of our own on loopback (`make test-tools`).

    python -m bench.delivery                      # 10,000 events/s for 20 s, 3 rounds
    python -m bench.delivery --seconds 600 --rounds 1 --only kafka
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.contenders import Missing, all_contenders
from tests.kafka import broker as kafka_broker
from tests.kafka.broker import Broker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WRITER = Path(__file__).parents[1] / "tests" / "drills" / "writer.py"
# Of the writer's mix: nine executions of five records, and a log-in of one.
_RECORDS_PER_EVENT = 4.6
_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_WARM_SECONDS = 5.0


@dataclass(frozen=True)
class Case:
    """Somebody under load: the command and its configuration, made in a folder; how many read from its socket."""

    name: str
    prepare: Callable[[Path], list[str]]
    readers: int = 0


@dataclass
class Run:
    """What a run gave: CPU µs per event, memory in MiB, and waits of the writer in ms."""

    cpu: float
    warm: float
    peak: float
    waits: dict[str, float]
    ledger: str = ""


@dataclass
class _Load:
    """The writer."""

    rate: float
    process: subprocess.Popen[bytes] = field(init=False)
    control: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        base_ms = str(time.time_ns() // 1_000_000)
        command = [sys.executable, str(_WRITER), str(self.rate * _RECORDS_PER_EVENT), base_ms]
        self.process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.PIPE)
        theirs.close()

    def stop(self) -> dict[str, object]:
        """What it says that it did."""
        self.control.send(b"stop")
        out = self.process.stdout
        said: dict[str, object] = json.loads(out.readline() if out else b"{}")
        return said

    def close(self) -> None:
        """The end of the input."""
        self.control.close()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="measure what delivery costs")
    parser.add_argument("--rate", type=int, default=10_000, help="events per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", metavar="NAME", help="cases whose name begins so; repeatable")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="audisp-pyaudit-delivery.")))
        broker = stack.enter_context(_broker(folder))
        cases = [each for each in _cases(broker) if _chosen(each, arguments.only)]
        runs: dict[str, list[Run]] = {each.name: [] for each in cases}
        for number in range(arguments.rounds):
            for case in cases:
                place = folder / f"{case.name}-{number}"
                place.mkdir()
                runs[case.name].append(_run(case, place, arguments.rate, arguments.seconds))
    print(f"{arguments.rate:,} events/s for {arguments.seconds:g} s, medians of {arguments.rounds} rounds\n")
    print(f"{'':24}{'CPU µs/event':>14}{'RSS warm':>10}{'peak MiB':>10}{'wait p99.9':>12}{'max ms':>8}  ledger")
    for name, found in runs.items():
        middle = [median(getattr(each, what) for each in found) for what in ("cpu", "warm", "peak")]
        waits = [median(each.waits[what] for each in found) for what in ("p999", "max")]
        figures = f"{middle[0]:14.1f}{middle[1]:10.1f}{middle[2]:10.1f}{waits[0]:12.2f}{waits[1]:8.1f}"
        print(f"{name:24}{figures}  {found[-1].ledger}")
    return 0


def _chosen(case: Case, only: list[str] | None) -> bool:
    return not only or any(case.name.startswith(each) for each in only)


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[Broker | None]:
    why = kafka_broker.why_not()
    if why:
        print(f"without Kafka: {why}")
        yield None
        return
    (folder / "kafka").mkdir()
    made = Broker(folder / "kafka")
    yield made
    made.stop()


def _cases(broker: Broker | None) -> Iterator[Case]:
    yield _ours("file", '[sinks.out]\ntype = "file"\npath = "{folder}/out"\n')
    yield _ours("subscribers-10", '[sinks.out]\ntype = "unix"\npath = "{folder}/sock"\n', readers=10)
    away = '[sinks.out]\ntype = "kafka"\nbootstrap = "127.0.0.1:1"\n'
    yield _ours("spool-broker-away", '[queue]\npath = "{folder}/spool"\n' + away)
    if broker is not None:
        for mode in ("lossless", "lossy"):
            topic = f"bench-{mode}"
            broker.make_topic(topic, config={"retention.bytes": "268435456", "segment.bytes": "67108864"})
            there = f'[sinks.out]\ntype = "kafka"\nbootstrap = "{broker.bootstrap}"\ntopic = "{topic}"\n'
            yield _ours(f"kafka-{mode}", f'[queue]\nmode = "{mode}"\npath = "{{folder}}/spool"\n{there}')
    for each in all_contenders():
        if each.name.startswith("laurel"):
            if isinstance(each, Missing):
                print(f"left out: {each.name}: {each.why}")
            else:
                yield Case(each.name, lambda folder, made=each: made.prepare(folder).argv)  # type: ignore[misc]


def _ours(name: str, config: str, readers: int = 0) -> Case:
    def prepare(folder: Path) -> list[str]:
        path = folder / "ours.toml"
        ours = f'[state]\npath = ""\n[metrics]\nstatus = "{folder}/status.json"\n'
        path.write_text(ours + config.replace("{folder}", str(folder)))
        return [sys.executable, "-I", "-m", "audisp_pyaudit", "--config", str(path), "--print-ledger"]

    return Case(name, prepare, readers)


def _run(case: Case, folder: Path, rate: float, seconds: float) -> Run:
    ours, theirs = socket.socketpair()
    errors = folder / "stderr"
    with errors.open("wb") as stderr:
        command = case.prepare(folder)
        process = subprocess.Popen(
            command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=stderr, env={}, cwd=folder
        )
    theirs.close()
    load = _Load(rate)
    socket.send_fds(load.control, [b"socket"], [ours.fileno()])
    ours.close()
    readers = [threading.Thread(target=_read, args=(folder / "sock",), daemon=True) for _ in range(case.readers)]
    for reader in readers:
        reader.start()
    time.sleep(_WARM_SECONDS)
    warm, began = _memory(process.pid, "VmRSS"), _processor_seconds(process.pid)
    time.sleep(seconds)
    said = load.stop()
    cpu, peak = _processor_seconds(process.pid) - began, _memory(process.pid, "VmHWM")
    load.close()
    process.wait()
    sink = re.search(r"^sink out: (.*)$", errors.read_text(errors="replace"), re.MULTILINE)
    waits = said["waits_ms"]
    if not isinstance(waits, dict):
        raise TypeError(said)
    events = int(str(said["last"])) - rate * _WARM_SECONDS  # who starts up pays for that once, not for each event
    return Run(cpu / events * 1e6, warm, peak, waits, sink[1] if sink else "")


def _read(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        while not path.exists():
            time.sleep(0.01)
        client.connect(str(path))
        while client.recv(1 << 20):
            pass


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(each.split()[1]) / _KIB for each in lines if each.startswith(f"{what}:")), 0.0)


if __name__ == "__main__":
    sys.exit(main())
