"""The logs that figures are measured on, by name (bench/sets.py)."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from audisp_pyaudit._engine import Engine
from bench import corpus
from bench.corpus import make_events
from bench.sets import SETS


def events(name: str, count: int = 300) -> list[bytes]:
    """Return the first events of a set."""
    return [event for event, _ in islice(make_events(SETS[name].kinds(), seed=1, rate=10_000), count)]


@pytest.mark.parametrize("name", SETS)
def test_every_set_gives_a_log_in_its_format(name: str) -> None:
    """`make bench` runs without a slip after an hour."""
    log = b"".join(events(name))
    assert (b"\x1d" in log) == (SETS[name].wanted == "enriched")
    assert log.count(b"\n") >= 300


@pytest.mark.parametrize("name", [name for name, each in SETS.items() if each.default])
def test_an_event_of_the_log_is_a_document(name: str) -> None:
    """A cost of an event is that of a document: no event comes in parts because its records are out of order."""
    engine = Engine({"host": {"name": "lab", "id": "1" * 32, "nodes": []}, "encodings": ["json"], "sinks": ["out"]})
    wanted = events(name)
    assert sum(len(frames) for frames in [*(engine.feed(each) for each in wanted), engine.close()]) == len(wanted)


def test_executions_are_whole() -> None:
    """An event of the exec set is what the issue's figures are about: call, arguments, folder, paths, title."""
    for event in events("exec"):
        kinds = {line.partition(b" ")[0] for line in event.splitlines()}
        assert kinds >= {b"type=SYSCALL", b"type=EXECVE", b"type=CWD", b"type=PATH", b"type=PROCTITLE", b"type=EOE"}
        assert len(event) < 4000


def test_mixed_has_executions_files_network_and_log_ins_and_nothing_odd() -> None:
    """The mixed set is what hosts send; what was made to break readers is in the worst cases."""
    log = b"".join(events("mixed", 500))
    for kind in (b"EXECVE", b"SOCKADDR", b"USER_LOGIN", b"USER_START", b"nametype=DELETE", b"AVC"):
        assert kind in log
    assert max(len(line) for line in log.splitlines()) < 1000


def test_network_events_have_addresses() -> None:
    """Each event of the network set has one to decode."""
    assert all(b"SOCKADDR" in event for event in events("network"))


def test_records_repeat_as_on_a_host_and_can_be_kept_from_it() -> None:
    """The loader's PATH record comes again and again in exec, and never twice in exec-no-repeats."""

    def loaders(name: str) -> list[bytes]:
        lines = b"".join(events(name)).splitlines()
        return [line.partition(b"): ")[2] for line in lines if b'name="/lib64/ld-linux-x86-64.so.2"' in line]

    assert len(loaders("exec")) > 100
    assert len(set(loaders("exec"))) < 10
    assert len(set(loaders("exec-no-repeats"))) == len(loaders("exec-no-repeats")) > 100


def test_a_set_can_be_written_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever profiles gets the same log as the figures have, with one command."""
    target = tmp_path / "made.log"
    monkeypatch.setattr(sys, "argv", ["bench.corpus", str(target), "--set", "exec", "--size", "0.1"])
    assert corpus.main() == 0
    assert target.read_bytes().startswith(events("exec", 1)[0])
