"""The plots of docs/performance.md are what bench/results says (bench/plots.py)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.pages import PAGE
from bench.results import RESULTS

ROOT = PAGE.parents[1]


@pytest.fixture(autouse=True)
def _drawn() -> None:
    """Matplotlib is here."""
    if importlib.util.find_spec("matplotlib") is None:
        assert not os.environ.get("CI"), "matplotlib is missing"
        pytest.skip("matplotlib is missing (make test-tools)")


def plots(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command; not in this process, where `packaging`, which matplotlib needs, is a folder of tests."""
    command = [sys.executable, "-m", "bench.plots", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def test_the_page_and_its_plots_are_what_the_results_give() -> None:
    """`make bench-plots` changes nothing: every plot can be drawn again from what is in the tree."""
    done = plots("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_plot_is_drawn_and_check_writes_nothing(tmp_path: Path) -> None:
    """CI sees that somebody forgot `make bench-plots`, and changes nothing itself."""
    page = tmp_path / "performance.md"
    shutil.copy(PAGE, page)
    there = sorted(path.name for path in (PAGE.parent / "performance").iterdir())
    assert plots("--page", page, "--check").returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["performance.md"]
    assert plots("--page", page).returncode == 0
    assert sorted(path.name for path in (tmp_path / "performance").iterdir()) == there
    assert plots("--page", page, "--check").returncode == 0


def test_results_that_are_missing_or_broken_are_named(tmp_path: Path) -> None:
    """Without results the page says so; a broken file is a sentence."""
    page = tmp_path / "performance.md"
    shutil.copy(PAGE, page)
    assert plots("--page", page, "--results", tmp_path).returncode == 0
    assert "Not measured yet (`python -m bench.growth`)" in page.read_text(encoding="utf-8")
    shutil.copytree(RESULTS, tmp_path / "results")
    (tmp_path / "results" / "latency.jsonl").write_text("broken\n")
    done = plots("--page", page, "--results", tmp_path / "results")
    assert done.returncode == 1
    assert done.stderr.endswith("latency.jsonl:1: expected a JSON object, found something else\n")
