"""The figures of docs/performance.md are what bench/results says (bench/pages.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.pages import PAGE, PARTS, PageError, filled
from bench.results import Results, ResultsError


def test_the_page_is_what_the_results_give() -> None:
    """No figure of the page was written by hand."""
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page) == page, "make bench-plots"


def test_every_part_is_on_the_page() -> None:
    """Nothing is measured that nobody can read."""
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- figures: {name} -->" in page for name in PARTS)


def test_what_people_wrote_stays(tmp_path: Path) -> None:
    """Only what stands between markers is replaced, and twice gives the same."""
    page = "# Title\n<!-- figures: floors -->\nold\n<!-- end -->\nBehind it.\n"
    there = filled(page, tmp_path)
    assert "old" not in there
    assert "Not measured yet" in there
    assert there.startswith("# Title\n")
    assert there.endswith("<!-- end -->\nBehind it.\n")
    assert filled(there, tmp_path) == there


def test_results_are_told_with_their_circumstances(tmp_path: Path) -> None:
    """A table says on which machine, when, and on how much it was measured."""
    with Results(tmp_path / "floors.jsonl", "floors", {"size_mib": 50.0}) as results:
        line = {"kind": "floor", "set": "exec", "events": 10, "bytes": 1000, "memcpy": 100, "memchr": 200, "copy": 400}
        results.add(line)
    there = filled("<!-- figures: floors -->\n<!-- end -->\n", tmp_path)
    assert "50 MiB of each log" in there
    assert "| copied in memory (memcpy) | 0.100 | 0.010 |" in there


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    """A part that a shorter run left out is not empty without a word."""
    with Results(tmp_path / "growth.jsonl", "growth"):
        pass
    there = filled("<!-- figures: sinks -->\n<!-- end -->\n", tmp_path)
    assert "Not in the newest measurement (`python -m bench.growth`)" in there


def test_an_unknown_part_and_a_broken_file_are_named(tmp_path: Path) -> None:
    """A slip on the page or in a file is a sentence."""
    with pytest.raises(PageError, match=r"found nothing-such"):
        filled("<!-- figures: nothing-such -->\n<!-- end -->\n", tmp_path)
    (tmp_path / "floors.jsonl").write_text("broken\n")
    with pytest.raises(ResultsError, match=r"floors.jsonl:1"):
        filled("<!-- figures: floors -->\n<!-- end -->\n", tmp_path)
