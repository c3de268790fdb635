"""One run of one contender (bench/measure.py)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.contenders import Contender, Launch
from bench.corpus import write_corpus
from bench.measure import Log, Run, from_file, paced
from bench.sets import SETS

if TYPE_CHECKING:
    from collections.abc import Callable

SEND = """
import socket, sys
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.connect(sys.argv[1])
for line in sys.stdin.buffer:
    out.send(line)
"""


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A small log."""
    path = tmp_path / "whole.log"
    return Log(path, write_corpus(path, SETS["exec"].kinds(), size=100_000))


def contender(script: str, framing: str = "records", *, hears: bool = False) -> Contender:
    """Return somebody who is a shell script; `$0` is the log, `$1` the output or the socket."""

    def prepare(folder: Path, log: Path) -> Launch:
        address = folder / "log" if hears else None
        output = folder / "out"
        return Launch(["/bin/sh", "-c", script, str(log), str(address or output)], {}, output, address)

    return Contender("script", "1", framing, prepare)


def at_a_rate(each: Contender, log: Log, folder: Path) -> Run:
    """Run with records that come one by one."""
    return paced(each, log, folder, 2000)


@pytest.mark.parametrize("run", [from_file, at_a_rate])
def test_a_run_tells_what_it_cost_and_gave(
    tmp_path: Path, log: Log, run: Callable[[Contender, Log, Path], Run]
) -> None:
    """CPU, wall time, memory and output are those of the contender, whichever way the log came to it."""
    done = run(contender('/bin/cat > "$1"'), log, tmp_path)
    assert done.trouble == ""
    assert done.out_bytes == log.holds.size
    assert done.out_events == log.holds.records
    assert done.wall > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("script", "framing", "said"),
    [
        ("echo it broke >&2; exit 3", "records", "exit code 3: it broke"),
        ('/usr/bin/head -n 10 > "$1"; /bin/cat > /dev/null', "records", "10 documents for"),
        ('/bin/sed s/audit/tidua/g > "$1"', "json", "documents for"),
        ('/usr/bin/tac "$0" | /bin/sed "s/:[0-9]*)/)/" > "$1"', "records", "does not end with the last events"),
    ],
)
def test_a_run_that_is_not_sane_does_not_count(tmp_path: Path, log: Log, script: str, framing: str, said: str) -> None:
    """A contender that fails, or gives less than it should, is named with what it did."""
    assert said in from_file(contender(script, framing), log, tmp_path).trouble


def test_who_cannot_be_started_is_named(tmp_path: Path, log: Log) -> None:
    """A missing program does not end the bench."""
    gone = Contender("gone", "1", "json", lambda folder, _: Launch(["/nowhere/gone"], {}, folder / "out"))
    assert from_file(gone, log, tmp_path).trouble.startswith("does not start: ")


def test_blocks_are_counted_by_their_dashes(tmp_path: Path, log: Log) -> None:
    """The events that `ausearch -i` prints are compared with those of the log."""
    script = """/bin/sed -n 's/^type=SYSCALL.*audit(\\(.*\\)).*/----\\n\\1)/p' "$0" > "$1" """
    done = from_file(contender(script, "blocks"), log, tmp_path)
    assert done.trouble == ""
    assert done.out_events == log.holds.events


def test_what_goes_to_a_socket_is_heard(tmp_path: Path, log: Log) -> None:
    """Whoever speaks syslog is measured like the others, and all of it has to arrive."""

    def prepare(folder: Path, _: Path) -> Launch:
        return Launch([sys.executable, "-c", SEND, str(folder / "log")], {}, folder / "out", folder / "log")

    done = from_file(Contender("sender", "1", "records", prepare), log, tmp_path)
    assert done.trouble == ""
    assert done.out_events == log.holds.records
    assert not (tmp_path / "log").exists()
