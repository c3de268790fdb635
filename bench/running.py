"""Somebody under load: started, fed by `bench.load`, looked at once a second, ended.

In: a case and a rate. Out: samples of processor time and memory, what the load did, what the process said at its end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from bench.contenders import HERE, Missing, laurel

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024
# Who starts up pays for that once, not for each event.
WARM_SECONDS = 5.0
_END_SECONDS = 120.0
# Ten minutes make 20 GB of documents; nobody looks at them.
_OUTPUT_BYTES = 256 * 1024 * 1024
# In it the load makes its pool.
_READY_SECONDS = 120.0


class RunningError(Exception):
    """A process did not do what it should have."""


@dataclass(frozen=True)
class Case:
    """Somebody.

    Args:
        name: for tables.
        prepare: writes the configuration into a folder; returns the command.
        readers: how many subscribers connect to the Unix socket `sock` in the folder.
        ours: it has a ledger, and a status in `status.json`.
    """

    name: str
    prepare: Callable[[Path], list[str]]
    readers: int = 0
    ours: bool = True


@dataclass(frozen=True)
class Sample:
    """A look at a process: seconds since the load began, processor seconds so far, MiB resident."""

    at: float
    cpu: float
    rss: float


@dataclass
class Outcome:
    """What became of a run.

    Args:
        samples: once a second.
        peak: MiB.
        load: what `bench.load` did.
        said: the process's standard error.
    """

    samples: list[Sample] = field(default_factory=list)
    peak: float = 0.0
    load: dict[str, float] = field(default_factory=dict)
    said: str = ""

    def cpu_us(self, begin: float | None = None) -> float:
        """Processor time of an event, in µs, from so many seconds after the load's beginning on; from the warm-up.

        Raises:
            RunningError: there are not two samples of that time.
        """
        later = [sample for sample in self.samples if sample.at >= (WARM_SECONDS if begin is None else begin)]
        if len(later) < 2:  # noqa: PLR2004  # a difference takes two
            raise RunningError("the run was too short to be measured")
        seconds = later[-1].at - later[0].at
        return (later[-1].cpu - later[0].cpu) / (seconds * self.events_per_s) * 1e6

    @property
    def events_per_s(self) -> float:
        """How many the load wrote, which may be fewer than it was told to."""
        return self.load["events"] / self.load["seconds"]

    @property
    def rss(self) -> float:
        """MiB resident after the warm-up: the median."""
        return median([sample.rss for sample in self.samples if sample.at >= WARM_SECONDS] or [0.0])

    @property
    def dropped(self) -> int:
        """Records that ours did not take in, since it could not keep up."""
        found = re.search(r"\bintake_full (\d+)", self.said)
        return int(found[1]) if found else 0

    @property
    def ledger(self) -> str:
        """What ours said of its sink `out` at the end."""
        found = re.search(r"^sink out\d*: (.*)$", self.said, re.MULTILINE)
        return found[1] if found else ""


class Running:
    """A process under load. A context manager; afterwards nothing of it runs.

    Args:
        case: who.
        folder: where its files are.
        rate: events per second.
        wanted: of which set.
        times: where the load writes the times of its events; None for nowhere.
    """

    def __init__(self, case: Case, folder: Path, rate: float, wanted: str, times: Path | None = None) -> None:
        self.case = case
        self.folder = folder
        self.rate = rate
        self._set = wanted
        self._times = times
        self._stack = contextlib.ExitStack()
        self.outcome = Outcome()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: contextlib.ExitStack) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            # The pool is made before the process is started, so that it has a processor to start on.
            times = ["--times", str(self._times)] if self._times else []
            command = [sys.executable, "-m", "bench.load", self._set, str(self.rate), *times]
            self._load = _started(stack, command, stdin=ours.fileno(), stdout=subprocess.PIPE, cwd=HERE.parent)
            self._expect_ready()
            stderr = stack.enter_context((self.folder / "stderr").open("wb"))
            command = self.case.prepare(self.folder)
            self.process = _started(
                stack, command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=stderr, env={}, cwd=self.folder
            )
        if self.case.readers:
            command = [sys.executable, "-m", "bench.readers", str(self.folder / "sock"), str(self.case.readers)]
            _started(stack, command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=HERE.parent)
        self._begun = time.monotonic()

    def _expect_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        out = self._load.stdout
        if out is None or out.readline() != b"ready\n" or time.monotonic() > deadline:
            raise RunningError("bench.load did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def watch(self, seconds: float, each: Callable[[Sample], bool] | None = None) -> None:
        """Take samples for so long.

        Args:
            seconds: from now on.
            each: gets each sample; when it returns False, it is over.

        Raises:
            RunningError: the process ended.
        """
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            time.sleep(min(1.0, end - now))
            try:
                sample = Sample(
                    time.monotonic() - self._begun,
                    processor_seconds(self.process.pid),
                    memory(self.process.pid, "VmRSS"),
                )
            except (OSError, ValueError, IndexError):
                sample = None
            if sample is None or self.process.poll() is not None:
                raise RunningError(f"{self.case.name} ended: {self._last_line()}")
            self.outcome.samples.append(sample)
            self._empty_outputs()
            if each and not each(sample):
                return

    def _empty_outputs(self) -> None:
        """Files that are appended to may be emptied: the next document is at their beginning."""
        for path in self.folder.glob("out*"):
            if path.stat().st_size > _OUTPUT_BYTES:
                os.truncate(path, 0)

    def end(self) -> Outcome:
        """Stop the load, let the process end, and say what became of it.

        Raises:
            RunningError: the process does not end, or not well, or its ledger does not close.
        """
        with contextlib.suppress(OSError):
            self.outcome.peak = memory(self.process.pid, "VmHWM")
        self._load.send_signal(signal.SIGTERM)
        try:
            out, _ = self._load.communicate(timeout=_END_SECONDS)
            code = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise RunningError(f"{self.case.name} did not end") from None
        self.outcome.load = json.loads(out)
        self.outcome.said = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")
        if code:
            raise RunningError(f"{self.case.name} ended with exit code {code}: {self._last_line()}")
        if self.case.ours and "ledger closed" not in self.outcome.said:
            raise RunningError(f"{self.case.name}: its ledger is not closed: {self._last_line()}")
        return self.outcome

    def _last_line(self) -> str:
        lines = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing on standard error"


def _started(stack: contextlib.ExitStack, command: list[str], **how: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401
    """A process that is ended with the stack; `how` is as for Popen."""
    process: subprocess.Popen[bytes] = subprocess.Popen(command, **how)
    stack.callback(_ended, process)
    return process


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def run(case: Case, folder: Path, rate: float, seconds: float, wanted: str = "exec") -> Outcome:
    """Somebody under load for so many seconds after the warm-up.

    Raises:
        RunningError: it did not do what it should have.
    """
    with Running(case, folder, rate, wanted) as running:
        running.watch(WARM_SECONDS + seconds)
        return running.end()


def ours(name: str, config: str, *, readers: int = 0) -> Case:
    """Ours, with this configuration: `{folder}` in it stands for the run's folder, `{run}` for that one's name."""

    def prepare(folder: Path) -> list[str]:
        path = folder / "ours.toml"
        rest = f'[state]\npath = ""\n[metrics]\nstatus = "{folder}/status.json"\n'
        path.write_text(rest + config.replace("{folder}", str(folder)).replace("{run}", folder.name))
        return [sys.executable, "-I", "-m", "audisp_pyaudit", "--config", str(path), "--print-ledger"]

    return Case(name, prepare, readers)


def newest_laurel() -> Case | Missing:
    """The newest of Debian's, into a file."""
    found = laurel("sid")
    if isinstance(found, Missing):
        return found
    return Case(found.name, lambda folder: found.prepare(folder, Path()).argv, ours=False)


def file_sinks(count: int = 1, framing: str = "json") -> str:
    """A configuration: so many sinks that are files."""
    sink = '[sinks.out{0}]\ntype = "file"\npath = "{{folder}}/out{0}"\nformat = "{1}"\n'
    return "".join(sink.format(number, framing) for number in range(count))


def processor_seconds(pid: int) -> float:
    """Of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory(pid: int, what: str) -> float:
    """MiB, as /proc/PID/status has it under this name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(each.split()[1]) / _KIB for each in lines if each.startswith(f"{what}:")), 0.0)
