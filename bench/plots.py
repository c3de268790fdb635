"""docs/performance.md and its plots, from the files in bench/results: `make bench-plots`.

The same results give the same bytes: matplotlib is told the salt of its names and no date, and text stays text.

    python -m bench.plots              # writes what changed
    python -m bench.plots --check      # only says what would change; then exit code 1
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench import tables
from bench.pages import PAGE, PageError, filled, plotted
from bench.results import RESULTS, ResultsError, of_kind, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.results import Line

_STYLE: Any = {  # matplotlib types each of its keys
    "svg.fonttype": "none",
    "svg.hashsalt": "audisp-pyaudit",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.markersize": 4,
}
_WIDTH, _HEIGHT = 7.5, 2.8
_GIB = 1024**3


def main() -> int:
    """Draw and write."""
    parser = argparse.ArgumentParser(description="make docs/performance.md and its plots from bench/results")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder with the files of results")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page; plots go into a folder beside it")
    arguments = parser.parse_args()
    try:
        wanted = everything(arguments.results, arguments.page)
    except (ResultsError, PageError, OSError) as error:
        sys.stderr.write(f"bench.plots: {error}\n")
        return 1
    changed = [path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content]
    for path in changed:
        print(f"{'would change' if arguments.check else 'written'}: {path.relative_to(arguments.page.parent)}")
        if not arguments.check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(wanted[path])
    return 1 if arguments.check and changed else 0


def everything(results: Path, page: Path) -> dict[Path, bytes]:
    """What the page and each plot have to hold.

    Args:
        results: the folder with the files of results.
        page: docs/performance.md.

    Raises:
        ResultsError: a file is broken.
        PageError: the page names figures that there are not.
        OSError: the page cannot be read.
    """
    found = {page: filled(page.read_text(encoding="utf-8"), results).encode()}
    for bench, plots in PLOTS.items():
        path = results / f"{bench}.jsonl"
        if path.exists():
            lines = [line for line in read(path) if not line.get("trouble")]
            found |= {page.parent / plotted(name): draw(make, lines) for name, make in plots.items()}
    return found


def draw(make: Callable[[Figure, Sequence[Line]], None], lines: Sequence[Line]) -> bytes:
    """A plot as SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        make(figure, lines)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return b"\n".join(line.rstrip() for line in out.getvalue().splitlines()) + b"\n"


def _two(figure: Figure, below: str) -> tuple[Any, Any]:
    """Processor time and memory beside each other, over the same."""
    left, right = figure.subplots(1, 2)
    for axes, label in ((left, "CPU µs/event"), (right, "MiB resident")):
        axes.set_ylabel(label)
        axes.set_xlabel(below)
    return left, right


def _finish(*many: Any) -> None:  # noqa: ANN401  # matplotlib's axes
    for axes in many:
        axes.set_ylim(bottom=0)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False)


def _series(lines: Iterable[Line], key: str) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line[key], []).append(line)
    return found


def rates(figure: Figure, lines: Sequence[Line]) -> None:
    """Over the events per second that really came."""
    left, right = _two(figure, "events/s")
    for who, own in _series(of_kind(lines, "rate"), "who").items():
        at = [line["events_per_s"] for line in own]
        left.plot(at, [line["cpu_us"] for line in own], marker="o", label=who)
        right.plot(at, [line["rss_mib"] for line in own], marker="o", label=who)
    left.set_xscale("log")
    right.set_xscale("log")
    _finish(left, right)


def minutes(figure: Figure, lines: Sequence[Line]) -> None:
    """Memory over minutes."""
    axes = figure.subplots()
    for who, own in _series(of_kind(lines, "minutes"), "who").items():
        axes.plot([line["at_s"] / 60 for line in own], [line["rss_mib"] for line in own], label=who)
    axes.set_xlabel("minutes")
    axes.set_ylabel("MiB resident")
    _finish(axes)


def sinks(figure: Figure, lines: Sequence[Line]) -> None:
    """Over the number of sinks."""
    _counted(figure, of_kind(lines, "sinks"), "sinks", "sinks, each a file")


def subscribers(figure: Figure, lines: Sequence[Line]) -> None:
    """Over the number of subscribers."""
    _counted(figure, of_kind(lines, "subscribers"), "subscribers", "subscribers of a Unix socket")


def _counted(figure: Figure, own: Sequence[Line], key: str, below: str) -> None:
    left, right = _two(figure, below)
    at = [line[key] for line in own]
    left.plot(at, [line["cpu_us"] for line in own], marker="o")
    right.plot(at, [line["rss_mib"] for line in own], marker="o")
    _finish(left, right)


def spool(figure: Figure, lines: Sequence[Line]) -> None:
    """While a spool fills."""
    left, right = _two(figure, "GiB in the spool")
    steps = tables.spool_steps(lines)
    left.plot([high["spool_bytes"] / _GIB for _, high, _ in steps], [cpu for _, _, cpu in steps], marker="o")
    samples = of_kind(lines, "spool")
    right.plot([line["spool_bytes"] / _GIB for line in samples], [line["rss_mib"] for line in samples])
    _finish(left, right)


def latency(figure: Figure, lines: Sequence[Line]) -> None:
    """Over `linger.ms`, a part for each rate: the median, and up to where 99 % and 99.9 % are."""
    every = of_kind(lines, "latency")
    by_rate = _series(every, "rate")
    parts = figure.subplots(1, max(1, len(by_rate)), sharey=True, squeeze=False)[0]
    for axes, (rate, own) in zip(parts, by_rate.items(), strict=False):
        for commit, some in _series(own, "commit_ms").items():
            at = [line["linger_ms"] for line in some]
            drawn = axes.plot(at, [line["appended_p50"] for line in some], marker="o", label=f"commit_ms {commit}")
            for key, style in (("p99", "--"), ("p999", ":")):
                axes.plot(at, [line[f"appended_{key}"] for line in some], style, color=drawn[0].get_color())
        axes.set_title(f"{rate:,} events/s", fontsize=9)
        axes.set_xlabel("linger.ms (p50 —, p99 - -, p99.9 ···)")
    parts[0].set_ylabel("ms from record to broker")
    _finish(*parts)


PLOTS: dict[str, dict[str, Callable[[Figure, Sequence[Line]], None]]] = {
    "minutes": {"minutes": minutes},
    "growth": {"rates": rates, "sinks": sinks, "subscribers": subscribers, "spool": spool},
    "latency": {"latency": latency},
}

if __name__ == "__main__":
    sys.exit(main())
