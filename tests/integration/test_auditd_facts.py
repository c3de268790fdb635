"""What we believe of auditd, tried with each version there is: a plugin that notes what it sees takes our place."""

import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.cell import Cell, Parts, cell
from tests.auditd.daemon import HERE, plugin_conf
from tests.auditd.fixtures import make_folder, parts
from tests.auditd.kernel import LONGEST, SET, number_of
from tests.auditd.packages import SUITES, unpacked

__all__ = ["parts"]  # a fixture

_PROBE = Path(__file__).parents[1] / "auditd" / "probe.py"
# Signals that auditd ignores when it starts its plugins, and those that some versions block when they start one again.
_IGNORED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGPIPE)
_BLOCKED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD, signal.SIGCONT)

Probed = Callable[..., Cell]


class Probe:
    """What probes wrote into a cell's folder."""

    def __init__(self, made: Cell) -> None:
        self._made = made

    def started(self, count: int = 1) -> list[dict[str, Any]]:
        """How they were started, once so many were, in order."""
        self._made.auditd.until(lambda: len(self._files("json")) >= count, f"{count} probes start")
        return [json.loads(each.read_text()) for each in self._files("json")]

    def signals(self) -> list[list[str]]:
        """What came to each, in order."""
        return [each.read_text().split() for each in self._files("signals")]

    def input(self) -> bytes:
        """What all of them read."""
        return b"".join(each.read_bytes() for each in self._files("input"))

    def _files(self, suffix: str) -> list[Path]:
        found = self._made.folder.glob(f"probe-*.{suffix}")
        return sorted(found, key=lambda each: int(each.stem.split("-")[1]))


@pytest.fixture(params=SUITES)
def probed(request: pytest.FixtureRequest, parts: Parts, tmp_path: Path) -> Iterator[Probed]:
    """Makes a cell with probes in the plugin's place."""
    found = unpacked(request.param)
    assert found is not None
    with contextlib.ExitStack() as stack:

        def make(args: str = f"{HERE} probe", **settings: str) -> Cell:
            folder = make_folder(tmp_path)
            program = folder / "probe"
            program.write_text(f"#!/usr/bin/python3 -I\n{_PROBE.read_text()}")
            program.chmod(0o755)
            plugins = {"probe.conf": plugin_conf(f"{HERE}/probe", args)}
            return stack.enter_context(cell(folder, found, parts, config="", settings=settings, plugins=plugins))

        yield make


def mask(numbers: tuple[int, ...]) -> int:
    """Signals as /proc has them."""
    return sum(1 << (each - 1) for each in numbers)


def read(made: Cell, probe: Probe, what: bytes) -> bytes:
    """The input, once it has something."""
    made.auditd.until(lambda: what in probe.input(), f"{what!r} is read")
    return probe.input()


def test_how_a_plugin_starts(probed: Probed) -> None:
    """What we set right at our start is what auditd gives us: no environment, no output, signals ignored."""
    made = probed()
    made.auditd.start()
    (start,) = Probe(made).started()
    assert start["argv"] == [f"{HERE}/probe", HERE, "probe"]
    assert (start["environment"], start["directory"], start["umask"], start["uid"]) == ("", "/", "0022", "0")
    assert start["descriptors"]["0"].startswith("socket:")
    assert (start["descriptors"]["1"], start["descriptors"]["2"]) == ("/dev/null", "/dev/null")
    assert not start["nonblocking"]
    assert (start["ignored"] & mask(_IGNORED), start["blocked"]) == (mask(_IGNORED), 0)


def test_how_a_plugin_starts_again(probed: Probed) -> None:
    """A plugin that died is started with the next record, by some versions with the signals blocked that we unblock."""
    made = probed()
    made.auditd.start()
    probe = Probe(made)
    probe.started()
    made.auditd.kill_plugin()
    time.sleep(0.3)
    assert not made.auditd.plugins()  # nobody looks, as long as there is nothing to be handed over
    made.feed.send(1)
    first, again = probe.started(2)
    assert first["blocked"] == 0
    assert again["blocked"] & mask(_BLOCKED) == (mask(_BLOCKED) if made.auditd.expects.restarted_blocked else 0)
    assert again["ignored"] & mask((signal.SIGTERM, signal.SIGHUP)) == 0
    # The record that found it dead comes to the new one.
    read(made, probe, b"type=EOE msg=audit(")
    assert probe.input().count(b":1): ") >= 4


def test_a_reload(probed: Probed) -> None:
    """A reload is SIGHUP, or, since 4.2, the end of the input and a new process."""
    made = probed()
    made.auditd.start()
    probe = Probe(made)
    probe.started()
    made.auditd.reload()
    if made.auditd.expects.reload == "signal":
        made.auditd.until(lambda: probe.signals() == [["SIGHUP"]], "SIGHUP")
    else:
        probe.started(2)
        assert probe.signals() == [["EOF"], []]
    made.feed.send(1)
    read(made, probe, b"type=EOE msg=audit(")


def test_a_stop(probed: Probed) -> None:
    """A stop is the end of the input, with auditd's last record before it; SIGTERM comes with it until 4.2."""
    made = probed()
    made.auditd.start()
    probe = Probe(made)
    probe.started()
    stopped = made.auditd.stop()
    assert stopped.code == 0
    made.auditd.until(lambda: "EOF" in probe.signals()[0], "the end of the input")
    (came,) = probe.signals()
    assert ("SIGTERM" in came) == made.auditd.expects.stop_signals
    assert probe.input().splitlines()[-1].startswith(b"type=DAEMON_END msg=audit(")

    def told() -> list[int]:
        sets = [content for number, content in made.kernel.requests if number == SET]
        return [int.from_bytes(each, sys.byteorder) for each in sets]

    # It told the kernel that it is there, and that it is not; the kernel may read that after it is gone.
    made.auditd.until(lambda: len(told()) == 2, "told twice")
    assert told() == [made.auditd.pid, 0]


def test_nobody_is_left_when_auditd_has_gone(probed: Probed) -> None:
    """A stop waits for no plugin: one that has no turn is left behind, and reads what lies in its socket."""
    made = probed()
    made.auditd.start()
    probe = Probe(made)
    probe.started()
    plugin = made.auditd.plugin
    made.auditd.signal(signal.SIGSTOP, plugin)
    made.feed.send(10)
    time.sleep(0.2)
    assert made.auditd.stop(wait=False).auditd < 5
    assert probe.signals() == [[]]
    made.auditd.signal(signal.SIGCONT, plugin)
    made.auditd.until(lambda: "EOF" in probe.signals()[0], "the end of the input")
    assert b"type=DAEMON_END msg=audit(" in probe.input()


def test_restarts_are_counted(probed: Probed) -> None:
    """After `max_restarts` deaths auditd gives up, for good or until a reload."""
    made = probed(max_restarts="2")
    made.auditd.start()
    probe = Probe(made)
    for count in range(1, 4):
        probe.started(count)
        made.auditd.kill_plugin()
        made.feed.send(1)
    made.auditd.until(lambda: "has exceeded max_restarts" in made.log.text(), "auditd gives up")
    made.feed.send(1)
    made.auditd.reload()
    made.auditd.until(lambda: "config change requested" in made.log.text(), "auditd reloads")
    if made.auditd.expects.reload_revives:
        probe.started(4)
    else:
        made.feed.send(1)
        time.sleep(0.5)
        assert len(probe.started(3)) == 3
        assert not made.auditd.plugins()


def test_words_of_args(probed: Probed) -> None:
    """Two words of `args` are safe; of more, some versions drop all but two, and start the plugin all the same."""
    made = probed(f"{HERE} probe third fourth")
    made.auditd.start()
    (start,) = Probe(made).started()
    most = made.auditd.expects.most_args
    assert start["argv"][1:] == [HERE, "probe", "third", "fourth"][: most or None]
    assert ("Wrong number of arguments" in made.log.text()) == bool(most)


@pytest.mark.parametrize("log_format", ["RAW", "ENRICHED"])
@pytest.mark.parametrize("name_format", ["NONE", "user"])
def test_long_lines(probed: Probed, log_format: str, name_format: str) -> None:
    """Lines are as long, and end, as we expect them; 4.2 and 4.2.1 cut the end off every record in the plain format."""
    made = probed(log_format=log_format, name_format=name_format, name="node-1")
    made.auditd.start()
    probe = Probe(made)
    text = "audit(1700000000.001:7): pid=1 uid=0 gid=0 auid=0 euid=0 egid=0 suid=0 sgid=0 fsuid=0 fsgid=0 ses=1 msg='"
    full = text + "S" * (LONGEST - len(text) - 1) + "'"
    made.kernel.send_record(number_of("USER"), full.encode())
    made.feed.send(3)
    lines = read(made, probe, b":3): proctitle=").split(b"\n")
    (long,) = (line for line in lines if b":7): pid=1" in line)
    short = next(line for line in lines if b"type=CWD" in line)
    expects = made.auditd.expects
    if made.cuts:
        assert expects.raw_cut == 16
        assert long == f"type=USER msg={full}".encode()[: -expects.raw_cut]
        assert not short.endswith(b'"/home/drill"')
        return
    assert short.endswith(b'cwd="/home/drill"')
    assert short.startswith(b"node=node-1 type=CWD" if name_format == "user" else b"type=CWD")
    if (log_format, name_format) == ("RAW", "NONE"):
        assert long == f"type=USER msg={full}".encode()
    else:
        assert b"SS'" not in long
        assert len(long) + 1 == expects.longest_line
        assert long.endswith(b"\0") == expects.nul_before_newline


def test_enriched_lines(probed: Probed) -> None:
    """Names come behind a byte 0x1d, without a blank before it; records without ids have none."""
    made = probed(log_format="ENRICHED")
    made.auditd.start()
    probe = Probe(made)
    made.feed.send(1)
    lines = read(made, probe, b"type=EOE msg=audit(").split(b"\n")
    (call,) = (line for line in lines if line.startswith(b"type=SYSCALL"))
    assert re.search(rb'key="drill"\x1dARCH=x86_64 SYSCALL=execve AUID="[^"]+" UID="root" ', call)
    (where,) = (line for line in lines if line.startswith(b"type=CWD"))
    assert b"\x1d" not in where
