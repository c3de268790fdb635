"""Somebody under load (bench/running.py), and what is measured of it: growth, delivery, latency."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from audisp_pyaudit.config_file import load as load_config
from bench import delivery, growth, latency, running
from bench.broker import sink
from bench.results import Results, of_kind
from bench.running import Case, Outcome, Running, RunningError, Sample, file_sinks, ours, run


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up of half a second."""
    for module in (running, growth):
        monkeypatch.setattr(module, "WARM_SECONDS", 0.5)


def script(text: str) -> Case:
    """Return somebody who is a shell script, and has no ledger."""
    return Case("script", lambda _: ["/bin/sh", "-c", text], ours=False)


def test_ours_under_load_closes_its_ledger(tmp_path: Path) -> None:
    """Every event of a measured run is accounted for, or the run does not count."""
    outcome = run(ours("file", file_sinks(2)), tmp_path / "run", 500, 1.5)
    assert outcome.dropped == 0
    assert "lost 0" in outcome.ledger
    assert outcome.load["events"] > 300
    assert outcome.peak >= outcome.rss > 1
    for number in range(2):
        assert (tmp_path / "run" / f"out{number}").read_bytes().count(b"\n") >= outcome.load["events"]


def test_a_process_that_ends_early_is_named_with_what_it_said(tmp_path: Path) -> None:
    """A contender that dies in an hour's run is one line in the results, with its reason."""
    with pytest.raises(RunningError, match="script ended: out of luck"):
        run(script("echo out of luck >&2; exit 1"), tmp_path / "run", 100, 3)


def test_a_process_that_ends_badly_is_named(tmp_path: Path) -> None:
    """Figures of a run that failed at its end do not count."""
    with pytest.raises(RunningError, match="script ended with exit code 7: oh"):
        run(script("/bin/cat > /dev/null; echo oh >&2; exit 7"), tmp_path / "run", 100, 1)
    with pytest.raises(RunningError, match="no-ledger: its ledger is not closed"):
        run(Case("no-ledger", script("/bin/cat > /dev/null").prepare), tmp_path / "other", 100, 1)


def test_output_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of documents that nobody reads are emptied on the way."""
    monkeypatch.setattr(running, "_OUTPUT_BYTES", 100_000)
    folder = tmp_path / "run"
    with Running(script(f"/bin/cat >> {shlex.quote(str(folder))}/out"), folder, 1000, "exec") as process:
        process.watch(2.5)
        outcome = process.end()
    assert 0 < (folder / "out").stat().st_size < outcome.load["records"] * 100


def test_cost_is_counted_from_the_warm_up_on() -> None:
    """Start-up is paid once, so it is not in the cost of an event."""
    outcome = Outcome(load={"events": 1000.0, "seconds": 10.0})
    outcome.samples = [Sample(0.1, 5.0, 1.0), Sample(1.0, 6.0, 20.0), Sample(3.0, 6.2, 30.0)]
    assert outcome.cpu_us(begin=0.5) == pytest.approx(0.2 / 200 * 1e6)
    assert outcome.rss == 25.0
    with pytest.raises(RunningError, match="too short"):
        outcome.cpu_us(begin=2.0)


def growth_arguments(tmp_path: Path) -> argparse.Namespace:
    """Return the arguments of a very short bench."""
    return argparse.Namespace(
        set="exec", seconds=1.5, minutes=0.03, spool_gib=0.0001, spool_rate=500, work=tmp_path, disk=tmp_path
    )


def test_growth_notes_failures_and_goes_on(tmp_path: Path) -> None:
    """A point that cannot be measured is a line with the reason; the next one is measured."""
    results = Results(None, "growth")
    arguments = growth_arguments(tmp_path)
    growth._measured(arguments, results, script("exit 1"), 100, {"kind": "rate", "who": "script"})
    growth._measured(arguments, results, script("/bin/cat > /dev/null"), 100, {"kind": "rate", "who": "script"})
    broken, good = of_kind(results.lines, "rate")
    assert "script ended" in broken["trouble"]
    assert good["events_per_s"] > 0
    assert not list(tmp_path.iterdir())


def test_a_spool_is_filled_and_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cost and memory are noted with the size that the spool had at the time, until it is full."""
    monkeypatch.setattr(growth, "_SPARE_BYTES", 0)
    results = Results(None, "growth")
    growth.spool(growth_arguments(tmp_path), results)
    samples = of_kind(results.lines, "spool")
    assert samples[-1]["spool_bytes"] >= 0.0001 * 1024**3
    assert of_kind(results.lines, "spool-end")[0]["events"] > 0
    assert not list(tmp_path.iterdir())


def test_a_spool_is_not_filled_where_there_is_no_room(tmp_path: Path) -> None:
    """A bench never fills a disk; it says how much it would need."""
    arguments = growth_arguments(tmp_path)
    arguments.spool_gib = 1e6
    results = Results(None, "growth")
    growth.spool(arguments, results)
    assert "GiB are free" in of_kind(results.lines, "spool")[0]["trouble"]


class FakeBroker:
    """A broker that only has topics."""

    bootstrap = "127.0.0.1:9"

    def __init__(self) -> None:
        self.topics: dict[str, dict[str, str]] = {}

    def make_topic(self, name: str, config: dict[str, str]) -> None:
        """Make a topic."""
        self.topics[name] = config


def test_every_case_has_a_configuration_that_is_right(tmp_path: Path) -> None:
    """No case fails after half an hour because of a key."""
    there = FakeBroker()
    cases = list(delivery._cases(there, tmp_path, Results(None, "delivery")))  # type: ignore[arg-type]  # as far as used
    mine = [case for case in cases if case.ours]
    assert len(mine) == 7
    assert set(there.topics) == {"bench-lossless", "bench-lossy", "bench-msgpack"}
    for number, case in enumerate(mine):
        folder = tmp_path / str(number)
        folder.mkdir()
        command = case.prepare(folder)
        config = load_config(command[command.index("--config") + 1])
        assert config.sinks


def test_kafka_is_asked_for_the_most() -> None:
    """What is compared with a plain file is the safest way out, not the cheapest."""
    text = sink(FakeBroker(), "t")  # type: ignore[arg-type]  # as far as used
    assert '"acks" = "all"' in text
    assert '"compression.type" = "zstd"' in text


def test_waits_are_between_writing_and_the_brokers_log() -> None:
    """Latency is told from outside, by two clocks of one machine, each event once."""
    written = [1_000_000_000, 1_001_000_000, 1_002_000_000]
    messages = [
        (b'{"event":{"sequence":1}}', 1003),
        (b'{"event":{"sequence":3}}', 1010),
        (b'{"event":{"sequence":3}}', 9999),  # sent again
        (b'{"event":{"sequence":2}}', 1004),
        (b'{"event":{"action":"frames-dropped"}}', 1004),
        (b'{"event":{"sequence":99}}', 1004),
    ]
    assert latency.waits(messages, written, range(3)) == [3.5, 3.5, 8.5]
    assert latency.waits(messages, written, range(1, 3)) == [3.5, 8.5]
    assert latency.of([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert latency.of([1.0], 0.999) == 1.0
