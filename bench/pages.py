"""The figures of docs/performance.md: what stands there between markers is made from bench/results alone.

In: files of results. Out: the page, with the same text around new tables. `<!-- figures: NAME -->` begins a part and
`<!-- end -->` ends it; what is outside is written by people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bench import instructions, tables
from bench.contenders import HERE
from bench.results import RESULTS, in_words, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.results import Line
    from bench.tables import Table

Maker = Callable[[Sequence["Line"]], list["Table"]]

PAGE = HERE.parent / "docs" / "performance.md"
_PART = re.compile(r"(<!-- figures: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
# What of the circumstances is said, besides where and when.
_FACTS = {
    "size_mib": "{:g} MiB of each log",
    "rounds": "{:g} rounds",
    "seconds": "{:g} s each",
    "set": "the {} log",
}


class PageError(Exception):
    """The page names a part that is not known."""


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with all figures in it.

    Args:
        page: as it is.
        results: the folder with the files of results.

    Raises:
        PageError: a part is not known.
        ResultsError: a file is broken.
    """

    def part(match: re.Match[str]) -> str:
        name = match[2]
        if name not in PARTS:
            raise PageError(f"{PAGE.name}: expected one of {', '.join(PARTS)} as figures, found {name}")
        return f"{match[1]}\n{PARTS[name](results)}\n{match[4]}"

    return _PART.sub(part, page)


def plotted(name: str) -> str:
    """Where a plot is, from the page."""
    return f"performance/{name}.svg"


def words(circumstances: Mapping[str, Any]) -> str:
    """Where, when and how much was measured."""
    facts = [text.format(circumstances[key]) for key, text in _FACTS.items() if key in circumstances]
    facts = [fact.removesuffix("s") if fact == "1 rounds" else fact for fact in facts]
    return "; ".join([in_words(circumstances), ", ".join(facts)]).removesuffix("; ")


def _part(bench: str, make: Maker, plots: Sequence[str] = ()) -> Callable[[Path], str]:
    """What makes a part of the page from one file of results."""

    def made(results: Path) -> str:
        path = results / f"{bench}.jsonl"
        if not path.exists():
            return f"Not measured yet (`python -m bench.{bench}`).\n"
        lines = read(path)
        found = make(lines)
        if not found:
            return f"Not in the newest measurement (`python -m bench.{bench}`).\n"
        parts = [f"Measured {words(lines[0])}.\n"]
        parts += [f"![{name}]({plotted(name)})\n" for name in plots]
        parts += [table.markdown() for table in found]
        return "\n".join(parts)

    return made


def _chosen(mode: str, names: Sequence[str]) -> Maker:
    """Some of the logs of `bench.figure`, fed in one way."""

    def made(lines: Sequence[Line]) -> list[Table]:
        here = [line for line in lines if line["kind"] != "run" or (line["set"] in names and line["mode"] == mode)]
        found = tables.figures(here)
        return [table for table in found if table.title.partition(" ")[0] in names]

    return made


def _worst(lines: Sequence[Line]) -> list[Table]:
    return [table for table in tables.figures(lines) if table.title.startswith("What a byte costs")]


def _growth(*kinds: str) -> Maker:
    return lambda lines: tables.growth([line for line in lines if line["kind"] in kinds])


def _instructions(_results: Path) -> str:
    found, with_what = instructions.from_text(instructions.STORED)
    table = tables.Table(f"Instructions of the engine for an event ({with_what})", ["", *instructions.ENCODINGS])
    for name in dict.fromkeys(name for name, _ in found):
        table.rows.append([name, *(f"{found[name, encoding]:,.0f}" for encoding in instructions.ENCODINGS)])
    return table.markdown()


_COMPARED = ("exec", "exec-enriched", "mixed", "enriched", "network", "worst")
PARTS: dict[str, Callable[[Path], str]] = {
    "figure": _part("figure", _chosen("file", _COMPARED)),
    "paced": _part("figure", _chosen("paced", _COMPARED)),
    "no-repeats": _part("figure", _chosen("file", ("exec-no-repeats", "mixed-no-repeats"))),
    "worst": _part("figure", _worst),
    "delivery": _part("delivery", tables.deliveries),
    "floors": _part("floors", tables.floors),
    "instructions": _instructions,
    "latency": _part("latency", tables.latencies, ("latency",)),
    "rates": _part("growth", _growth("rate"), ("rates",)),
    "minutes": _part("minutes", _growth("minutes"), ("minutes",)),
    "sinks": _part("growth", _growth("sinks"), ("sinks",)),
    "subscribers": _part("growth", _growth("subscribers"), ("subscribers",)),
    "spool": _part("growth", _growth("spool", "spool-end"), ("spool",)),
}
