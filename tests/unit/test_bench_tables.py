"""Tables of what was measured (bench/tables.py)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench import tables
from bench.tables import JSON, MSGPACK, Table


def run(contender: str, number: int, cpu_us: float, **other: object) -> dict[str, Any]:
    """Return a line of `bench.figure`."""
    line: dict[str, Any] = {
        "kind": "run",
        "set": "mixed",
        "mode": "file",
        "contender": contender,
        "version": "1",
        "round": number,
        "slice_mib": 0,
        "events": 1000,
        "records": 5000,
        "bytes": 100_000,
        "cpu_us": cpu_us,
        "wall": 0.5,
        "rss": 2 * 1024 * 1024,
        "out_bytes": 70_000,
        "rate": 0,
        "trouble": "",
    }
    return line | other


LOG = {"kind": "log", "set": "mixed", "about": "a mix", "bytes": 10 << 20}


def cells(table: Table, name: str) -> dict[str, str]:
    """Return a row by its columns' heads."""
    row = next(row for row in table.rows if row[0].startswith(name))
    return dict(zip(table.head, row, strict=True))


def test_ratios_are_of_the_same_round() -> None:
    """A slow minute of the machine does not make anybody look better: it is in both numbers of a ratio."""
    lines = [LOG]
    for number, slow in enumerate((1, 10, 1)):
        lines += [run(JSON, number, 5.0 * slow), run(MSGPACK, number, 4.0 * slow), run("laurel", number, 20.0 * slow)]
    laurel = cells(tables.figures(lines)[0], "laurel")
    assert laurel["x ours, JSON"] == "4.00 (4.00-4.00)"
    assert laurel["x ours, msgpack"] == "5.00 (5.00-5.00)"
    assert laurel["CPU µs/event"] == "20.00 (20.00-200.00)"
    assert (laurel["records/s"], laurel["events/s"], laurel["peak MiB"]) == ("10,000", "2,000", "2.0")
    assert laurel["out B/event"] == "70"


def test_runs_that_failed_do_not_count_and_are_named() -> None:
    """A contender that fails is below the table with its reason; whoever worked stays in it."""
    lines = [LOG, run(JSON, 0, 5.0), run("laurel", 0, 1.0, trouble="exit code 2: no"), run("laurel", 1, 9.0)]
    lines += [run("other", 0, 1.0, trouble="does not start"), {"kind": "missing", "contender": "third", "why": "gone"}]
    (table,) = tables.figures(lines)
    assert cells(table, "laurel")["CPU µs/event"] == "9.00"
    assert [row[0] for row in table.rows] == [f"{JSON} 1", "laurel 1"]
    assert "1 of 2 runs do not count: laurel: exit code 2: no" in table.notes
    assert "1 of 1 runs do not count: other: does not start" in table.notes
    assert "left out: third: gone" in table.notes


def test_worst_cases_are_told_by_byte_and_by_the_mixed_log() -> None:
    """It is seen at once whether an input is more than three times as dear as the mixed ones."""
    lines: list[dict[str, Any]] = [LOG, LOG | {"set": "worst-long-hex"}]
    for name in (JSON, MSGPACK):
        lines += [run(name, 0, 10.0), run(name, 0, 100.0, set="worst-long-hex", bytes=500_000)]
    worst = tables.figures(lines)[-1]
    assert cells(worst, "worst-long-hex")["JSON, CPU ns/byte"] == "200.00"
    assert cells(worst, "worst-long-hex")["x mixed"] == "2.00"


def test_paced_runs_have_a_table_of_their_own() -> None:
    """What a host sees is not mixed with how fast it could go."""
    lines = [LOG, run(JSON, 0, 5.0), run(JSON, 0, 15.0, mode="paced", rate=10_000, wall=0.1)]
    first, second = tables.figures(lines)
    assert "events/s" in first.head
    assert second.title.endswith("10,000 events/s")
    assert cells(second, JSON)["of one CPU"] == "15%"


def test_text_and_markdown_say_the_same() -> None:
    """What stands on a terminal can be looked up on the page."""
    table = Table("What", ["", "a"], [["x", "1"], ["longer", "22"]], ["a note"])
    assert table.text() == "What\n\n         a\nx        1\nlonger  22\na note\n"
    assert table.markdown() == "**What**\n\n|  | a |\n|---|---:|\n| x | 1 |\n| longer | 22 |\n\n- a note\n"


def delivery(case: str, number: int, cpu_us: float, trouble: str = "") -> dict[str, Any]:
    """Return a line of `bench.delivery`."""
    about = {"kind": "delivery", "case": case, "round": number, "rate": 10_000, "set": "exec", "trouble": trouble}
    return about if trouble else about | {"cpu_us": cpu_us, "rss_mib": 30.0, "peak_mib": 31.0, "events_per_s": 9_999.6}


def test_delivery_is_compared_with_laurels_file() -> None:
    """Whether the whole way to Kafka is cheaper than laurel's plain file is one number."""
    lines = [delivery("kafka, lossless", 0, 10.0), delivery("laurel-sid", 0, 20.0), delivery("file", 0, 0, "gone")]
    (table,) = tables.deliveries(lines)
    assert cells(table, "kafka")["by laurel's"] == "0.50"
    assert table.notes == ["1 of 1 runs do not count: file: gone"]


def test_growth_has_a_table_for_each_thing_that_grows() -> None:
    """Sinks, subscribers, rates, minutes and the spool are told apart, and failures named."""
    figures = {"cpu_us": 5.0, "rss_mib": 30.0, "peak_mib": 31.0, "events_per_s": 100.0, "dropped": 7}
    lines: list[dict[str, Any]] = [
        {"kind": "rate", "who": "ours", "rate": 100, **figures},
        {"kind": "rate", "who": "ours", "rate": 1000, "trouble": "ended"},
        {"kind": "sinks", "sinks": 8, "rate": 10_000, **figures},
        {"kind": "subscribers", "subscribers": 100, "rate": 1_000, **figures},
        {"kind": "spool", "trouble": "no room"},
    ]
    minutes = {"kind": "minutes", "who": "ours", "rate": 10_000}
    lines += [minutes | {"at_s": float(at), "rss_mib": 30.0 + at / 10, "cpu_s": 0.0} for at in range(1, 61)]
    rates, sinks, subscribers, long_runs, spool = tables.growth(lines)
    assert cells(rates, "ours")["records dropped"] == "7"
    assert rates.notes == ["ours, 1,000: ended"]
    assert sinks.rows[0][:2] == ["10,000", "8"]
    assert subscribers.rows[0][:2] == ["1,000", "100"]
    assert long_runs.rows == [["ours", "10,000", "1.0", "31.0", "33.1", "36.0", "36.0"]]
    assert spool.notes == ["no room"]


def test_a_spool_is_told_in_ten_steps() -> None:
    """Whether an event costs more in a full spool than in an empty one is seen from first and last step."""
    lines: list[dict[str, Any]] = [
        {"kind": "spool", "at_s": float(at), "cpu_s": at * 0.5, "rss_mib": 60.0, "spool_bytes": at * 1000}
        for at in range(1, 111)
    ]
    assert tables.spool_steps(lines) == []
    lines.append({"kind": "spool-end", "events_per_s": 50_000.0, "events": 5_500_000})
    steps = tables.spool_steps(lines)
    assert [(low["at_s"], high["at_s"]) for low, high, _ in steps][:2] == [(10, 20), (20, 30)]
    assert [cpu for _, _, cpu in steps] == pytest.approx([10.0] * 10)


def test_floors_are_told_by_byte_and_by_event() -> None:
    """How far above the floor a decoder is can be read off for bytes and for events."""
    line = {"kind": "floor", "set": "exec", "events": 10, "bytes": 1000, "memcpy": 100, "memchr": 200, "copy": 4000}
    (table,) = tables.floors([line])
    assert [row[1:] for row in table.rows] == [["0.100", "0.010"], ["0.200", "0.020"], ["4.000", "0.400"]]


def test_latencies_have_a_table_for_each_commit_time() -> None:
    """What `linger.ms` costs and what the queue costs are two tables."""
    line: dict[str, Any] = {"kind": "latency", "rate": 1000, "linger_ms": 5, "commit_ms": 50, "cpu_us": 9.0}
    parts = [f"{what}_{key}" for what in ("appended", "acknowledged") for key in ("p50", "p99", "p999")]
    line |= dict(zip(parts, (1.4, 2.0, 3.0, 4.0, 5.0, 6.0), strict=True))
    failed = {"kind": "latency", "rate": 9, "linger_ms": 0, "commit_ms": 1, "trouble": "nothing arrived"}
    first, second = tables.latencies([line, failed])
    assert first.rows == [["1,000", "5", "1", "2", "3", "4", "5", "6", "9.0"]]
    assert second.notes == ["9 events/s, linger 0 ms: nothing arrived"]
