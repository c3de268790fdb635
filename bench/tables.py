"""Tables of what was measured, for a terminal and for a page.

In: lines of results, see `bench.results`. Out: text. Figures are medians; ratios are of the same round, so that a slow
minute of the machine is in both of their numbers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from bench.results import of_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.results import Line

_MIB = 1024 * 1024
JSON, MSGPACK = "audisp-pyaudit-json", "audisp-pyaudit-msgpack"
MODES = {
    "file": "the log as standard input, as fast as it goes",
    "paced": "as auditd sends them: a socket, a write per record",
}


@dataclass
class Table:
    """A table with a title, and what has to be said below it."""

    title: str
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For a terminal."""
        rows = [self.head, *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.head))]
        lines = [self.title, ""]
        for row in rows:
            cells = [f"{cell:{'>' if column else '<'}{widths[column]}}" for column, cell in enumerate(row)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *self.notes]) + "\n"

    def markdown(self) -> str:
        """For a page."""
        lines = [f"**{self.title}**", "", _row(self.head), "|---|" + "---:|" * (len(self.head) - 1)]
        lines += [_row(row) for row in self.rows]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the least and largest of them if there are several."""
    if not values:
        return "-"
    middle = f"{median(values):.{digits}f}"
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})" if len(values) > 1 else middle


def ratios(mine: Iterable[Line], theirs: Iterable[Line], what: str) -> list[float]:
    """A figure of some runs by that of other runs of the same rounds."""
    others = {line["round"]: line[what] for line in theirs}
    return [line[what] / others[line["round"]] for line in mine if others.get(line["round"])]


def figures(lines: Sequence[Line]) -> list[Table]:
    """Tables of `bench.figure`: one for each log and way of feeding it, and what a byte costs at worst."""
    found: list[Table] = []
    runs = of_kind(lines, "run")
    logs = {line["set"]: line for line in of_kind(lines, "log")}
    for mode, how in MODES.items():
        for name, log in logs.items():
            own = [run for run in runs if run["set"] == name and run["mode"] == mode]
            if own:
                rate = f", {own[0]['rate']:,} events/s" if own[0].get("rate") else ""
                size = f", {log['bytes'] / _MIB:,.0f} MiB" if mode == "file" else ""
                title = f"{name} ({log['about']}{size}), {how}{rate}"
                found.append(_figure(title, own, paced=mode == "paced"))
    worst = _worst([run for run in runs if run["mode"] == "file"])
    if worst.rows:
        found.append(worst)
    missing = of_kind(lines, "missing")
    if found and missing:
        found[-1].notes += [f"left out: {line['contender']}: {line['why']}" for line in missing]
    return found


def _figure(title: str, runs: Sequence[Line], *, paced: bool) -> Table:
    head = ["", "CPU µs/event", "x ours, JSON", "x ours, msgpack"]
    head += ["of one CPU"] if paced else ["records/s", "events/s"]
    head += ["peak MiB", "out B/event"]
    table = Table(title, head)
    ours = {name: [run for run in runs if run["contender"] == name and not run["trouble"]] for name in (JSON, MSGPACK)}
    for name in dict.fromkeys(run["contender"] for run in runs):
        every = [run for run in runs if run["contender"] == name]
        good = [run for run in every if not run["trouble"]]
        if len(good) < len(every):
            why = next(run["trouble"] for run in every if run["trouble"])
            table.notes.append(f"{len(every) - len(good)} of {len(every)} runs do not count: {name}: {why}")
        if not good:
            continue
        row = [f"{name} {good[0]['version']}", spread([run["cpu_us"] for run in good])]
        row += [spread(ratios(good, ours[each], "cpu_us")) for each in (JSON, MSGPACK)]
        if paced:
            row.append(f"{median(run['cpu_us'] * run['events'] / 1e6 / run['wall'] for run in good):.0%}")
        else:
            row += [f"{median(run[each] / run['wall'] for run in good):,.0f}" for each in ("records", "events")]
        row.append(f"{median(run['rss'] for run in good) / _MIB:.1f}")
        row.append(f"{median(run['out_bytes'] / run['events'] for run in good):.0f}")
        table.rows.append(row)
        if good[0]["slice_mib"]:
            table.notes.append(f"{name}: the first {good[0]['slice_mib']:g} MiB of the log only")
    return table


def _worst(runs: Sequence[Line]) -> Table:
    """What a byte costs us, of each log, and by that of the mixed one in the same round."""
    table = Table(
        "What a byte costs us, JSON and msgpack: no log may cost more than three times the mixed one",
        ["", "JSON, CPU ns/byte", "x mixed", "msgpack, CPU ns/byte", "x mixed"],
    )
    costs = [
        run | {"cpu_ns": run["cpu_us"] * 1000 * run["events"] / run["bytes"]} for run in runs if not run["trouble"]
    ]
    names = dict.fromkeys(run["set"] for run in costs)
    if "mixed" not in names or not any(name.startswith("worst") for name in names):
        return table
    for name in names:
        row = [name]
        for contender in (JSON, MSGPACK):
            own = [run for run in costs if run["contender"] == contender]
            mine, mixed = ([run for run in own if run["set"] == each] for each in (name, "mixed"))
            row += [spread([run["cpu_ns"] for run in mine]), spread(ratios(mine, mixed, "cpu_ns"))]
        table.rows.append(row)
    return table


def deliveries(lines: Sequence[Line]) -> list[Table]:
    """Tables of `bench.delivery`: each way out beside laurel's file, one table for each rate."""
    found: list[Table] = []
    for rate in dict.fromkeys(line["rate"] for line in of_kind(lines, "delivery")):
        runs = [line for line in of_kind(lines, "delivery") if line["rate"] == rate]
        head = ["", "CPU µs/event", "by laurel's", "RSS MiB", "peak MiB", "events/s"]
        table = Table(f"{rate:,} events/s of the {runs[0]['set']} log", head)
        laurel = [run for run in runs if run["case"] == "laurel-sid" and not run["trouble"]]
        for name in dict.fromkeys(run["case"] for run in runs):
            every = [run for run in runs if run["case"] == name]
            good = [run for run in every if not run["trouble"]]
            if len(good) < len(every):
                why = next(run["trouble"] for run in every if run["trouble"])
                table.notes.append(f"{len(every) - len(good)} of {len(every)} runs do not count: {name}: {why}")
            if good:
                row = [name, spread([run["cpu_us"] for run in good]), spread(ratios(good, laurel, "cpu_us"))]
                row += [f"{median(run[each] for run in good):.1f}" for each in ("rss_mib", "peak_mib")]
                table.rows.append([*row, f"{median(run['events_per_s'] for run in good):,.0f}"])
        found.append(table)
    return found


def floors(lines: Sequence[Line]) -> list[Table]:
    """The table of `bench.floors`."""
    names = {
        "memcpy": "copied in memory (memcpy)",
        "memchr": "line ends looked for (memchr)",
        "copy": "read and written, 256 KiB at once",
    }
    found = of_kind(lines, "floor")
    head = ["", *(f"{each['set']}, {what}" for each in found for what in ("ns/byte", "µs/event"))]
    table = Table("What a log's bytes cost if nothing is understood of them", head)
    for key, name in names.items():
        row = [name]
        for each in found:
            row += [f"{each[key] / each['bytes']:.3f}", f"{each[key] / each['events'] / 1000:.3f}"]
        table.rows.append(row)
    return [table] if found else []


def latencies(lines: Sequence[Line]) -> list[Table]:
    """Tables of `bench.latency`: one for each time that the queue gathers."""
    tables: list[Table] = []
    every = of_kind(lines, "latency")
    for commit in dict.fromkeys(line["commit_ms"] for line in every):
        head = ["events/s", "linger.ms", "p50", "p99", "p99.9", "acknowledged: p50", "p99", "p99.9", "CPU µs/event"]
        title = f"Milliseconds from the record to the broker, `commit_ms = {commit}`"
        table = Table(title, head)
        for line in every:
            if line["commit_ms"] != commit:
                continue
            if line.get("trouble"):
                table.notes.append(f"{line['rate']:,} events/s, linger {line['linger_ms']} ms: {line['trouble']}")
                continue
            row = [f"{line['rate']:,}", str(line["linger_ms"])]
            row += [f"{line[f'{what}_{key}']:.0f}" for what in ("appended", "acknowledged") for key in _QUANTILES]
            table.rows.append([*row, f"{line['cpu_us']:.1f}"])
        tables.append(table)
    return tables


_QUANTILES = ("p50", "p99", "p999")


def growth(lines: Sequence[Line]) -> list[Table]:
    """Tables of `bench.growth`: over rates, sinks and subscribers; the long runs in one line each."""
    tables = [
        _points(lines, "rate", "Over rates, one sink that is a file", ("who", "rate")),
        _points(lines, "sinks", "Over the number of sinks, all of them files", ("rate", "sinks")),
        _points(lines, "subscribers", "Over the number of subscribers of a socket", ("rate", "subscribers")),
        _long_runs(lines),
        _spool(lines),
    ]
    return [table for table in tables if table.rows or table.notes]


def _points(lines: Sequence[Line], kind: str, title: str, keys: tuple[str, ...]) -> Table:
    heads = {"who": "", "rate": "events/s wanted", "sinks": "sinks", "subscribers": "subscribers"}
    head = [*(heads[key] for key in keys), "events/s", "CPU µs/event", "RSS MiB", "peak MiB", "records dropped"]
    table = Table(title, head)
    for line in of_kind(lines, kind):
        cells = [f"{line[key]:,}" if isinstance(line[key], int) else str(line[key]) for key in keys]
        if line.get("trouble"):
            table.notes.append(f"{', '.join(cells)}: {line['trouble']}")
            continue
        figures = [f"{line['events_per_s']:,.0f}", f"{line['cpu_us']:.1f}"]
        figures += [f"{line['rss_mib']:.1f}", f"{line['peak_mib']:.1f}", f"{line['dropped']:,}"]
        table.rows.append([*cells, *figures])
    return table


def _long_runs(lines: Sequence[Line]) -> Table:
    head = ["", "events/s", "minutes", "RSS MiB at 10 s", "in the middle", "at the end", "largest"]
    table = Table("Memory over minutes", head)
    runs = of_kind(lines, "minutes")
    for who in dict.fromkeys(line["who"] for line in runs):
        own = [line for line in runs if line["who"] == who and not line.get("trouble")]
        table.notes += [f"{who}: {line['trouble']}" for line in runs if line["who"] == who and line.get("trouble")]
        if own:
            early = next((line for line in own if line["at_s"] >= _EARLY_SECONDS), own[-1])
            looks = [early["rss_mib"], own[len(own) // 2]["rss_mib"], own[-1]["rss_mib"]]
            looks.append(max(line["rss_mib"] for line in own))
            length = [f"{own[0]['rate']:,}", f"{own[-1]['at_s'] / 60:.1f}"]
            table.rows.append([who, *length, *(f"{look:.1f}" for look in looks)])
    return table


_EARLY_SECONDS = 10


def _spool(lines: Sequence[Line]) -> Table:
    """By tenths of the spool."""
    table = Table("While a spool fills, the broker away", ["GiB in the spool", "CPU µs/event", "RSS MiB"])
    ends = of_kind(lines, "spool-end")
    every = of_kind(lines, "spool")
    table.notes += [line["trouble"] for line in every if line.get("trouble")]
    for low, high, cpu in spool_steps(lines):
        table.rows.append([f"{low['spool_bytes'] / _GIB:.2f}-{high['spool_bytes'] / _GIB:.2f}"])
        table.rows[-1] += [f"{cpu:.1f}", f"{high['rss_mib']:.1f}"]
    table.notes += [f"{line['events']:,.0f} events at {line['events_per_s']:,.0f} a second" for line in ends]
    return table


_GIB = 1024**3
_STEPS = 10


def spool_steps(lines: Sequence[Line]) -> list[tuple[Line, Line, float]]:
    """The filling of a spool in ten steps: their first and last sample, and CPU µs per event between them."""
    samples = [line for line in of_kind(lines, "spool") if not line.get("trouble")]
    rate = next((line["events_per_s"] for line in of_kind(lines, "spool-end")), 0)
    settled = [line for line in samples if line["at_s"] >= _EARLY_SECONDS]
    if not rate or len(settled) <= _STEPS:
        return []
    places = [(len(settled) - 1) * step // _STEPS for step in range(_STEPS + 1)]
    found = []
    for begin, end in itertools.pairwise(places):
        low, high = settled[begin], settled[end]
        cpu = (high["cpu_s"] - low["cpu_s"]) / ((high["at_s"] - low["at_s"]) * rate) * 1e6
        found.append((low, high, cpu))
    return found
