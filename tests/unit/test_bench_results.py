"""Files of results (bench/results.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.results import Results, ResultsError, circumstances, in_words, of_kind, read


def test_what_was_added_is_read_back_behind_where_and_when(tmp_path: Path) -> None:
    """A table of next year says on which machine it was measured."""
    path = tmp_path / "deep" / "figure.jsonl"
    with Results(path, "figure", {"rounds": 7}) as results:
        results.add({"kind": "run", "cpu_us": 1.5, "name": "µ"})
    lines = read(path)
    assert lines[0]["bench"] == "figure"
    assert lines[0]["rounds"] == 7
    assert of_kind(lines, "run") == [{"kind": "run", "cpu_us": 1.5, "name": "µ"}]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_run_that_breaks_off_keeps_what_it_has_and_spoils_nothing(tmp_path: Path) -> None:
    """Hours of measuring are not lost, and the results of before are still there."""
    path = tmp_path / "figure.jsonl"
    path.write_text("as it was")

    def broken_off() -> None:
        with Results(path, "figure") as results:
            results.add({"kind": "run"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert path.read_text() == "as it was"
    assert of_kind(read(path.with_name("figure.jsonl.part")), "run")


def test_a_busy_machine_is_named() -> None:
    """Nobody takes noisy figures for quiet ones."""
    about = circumstances("figure")
    assert "noisy" in in_words(about | {"load": 3.0})
    assert "noisy" not in in_words(about | {"load": 0.1})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"x.jsonl:1: expected the circumstances"),
        ('{"kind":"run"}\n', r"x.jsonl:1: expected the circumstances"),
        ('{"kind":"circumstances"}\nno\n', r"x.jsonl:2: expected a JSON object"),
        ('{"kind":"circumstances"}\n[]\n', r"x.jsonl:2: expected an object with a `kind`"),
    ],
)
def test_a_broken_file_is_named_with_the_line(tmp_path: Path, content: str, said: str) -> None:
    """A slip in a file of results is found without a traceback."""
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(ResultsError, match=said):
        read(path)
    with pytest.raises(ResultsError, match=r"none\.jsonl: cannot be read"):
        read(tmp_path / "none.jsonl")
