"""The figure, whole and small (bench/figure.py)."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench import figure
from bench.contenders import Contender, Launch, Missing
from bench.peers import copy
from bench.results import of_kind, read
from bench.sets import SETS

if TYPE_CHECKING:
    import pytest


def broken() -> Contender:
    """Return somebody who fails."""
    return Contender("broken", "9", "json", lambda folder, _: Launch(["/bin/false"], {}, folder / "out"))


def measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *words: str) -> tuple[int, list[dict[str, object]]]:
    """Run the command; return its exit code and what it wrote."""
    results = tmp_path / "figure.jsonl"
    common = ["--size", "0.05", "--rounds", "2", "--work", str(tmp_path), "--results", str(results)]
    monkeypatch.setattr(sys, "argv", ["bench.figure", *common, *words])
    code = figure.main()
    return code, read(results)


def test_every_log_and_every_contender_is_in_the_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command measures everything, and a contender that fails costs nobody else a figure."""
    monkeypatch.setattr(figure, "all_contenders", lambda _: [copy(), broken(), Missing("third", "not here")])
    code, lines = measure(monkeypatch, tmp_path, "--set", "exec", "--set", "network", "--rate", "2000")
    assert code == 1
    runs = of_kind(lines, "run")
    # exec is sent record by record, too.
    assert len(runs) == 2 * 2 * 3
    assert {(run["contender"], bool(run["trouble"])) for run in runs} == {("copy", False), ("broken", True)}
    assert of_kind(lines, "missing") == [{"kind": "missing", "contender": "third", "why": "not here"}]
    said = capsys.readouterr().out
    assert "left out: third: not here" in said
    assert "2 of 2 runs do not count: broken: exit code 1" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.jsonl"]


def test_who_cannot_read_a_log_is_left_out_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the events is no figure: it is said who cannot, and the rest is a success."""
    monkeypatch.setattr(figure, "all_contenders", lambda _: [copy()])
    hard = dataclasses.replace(SETS["exec"], unread_by=("cop",))
    monkeypatch.setattr(figure, "SETS", {"hard": hard, "network": SETS["network"]})
    code, lines = measure(monkeypatch, tmp_path, "--rate", "0")
    assert code == 0
    assert {run["set"] for run in of_kind(lines, "run")} == {"network"}
    assert "left out: copy: it leaves out events of hard" in capsys.readouterr().out


def test_rounds_begin_with_another_one_each_time() -> None:
    """Nobody always runs behind the same neighbour."""
    here = [broken(), *(Contender(name, "1", "json", broken().prepare) for name in "ab")]
    order: list[tuple[str, int]] = []
    figure._rounds("x", here, 3, lambda each, number: order.append((each.name, number)))
    names = [name for name, _ in order]
    assert names == ["broken", "a", "b", "a", "b", "broken", "b", "broken", "a"]


def test_ours_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The figure of our own command comes out of the same run as the others'."""
    code, lines = measure(
        monkeypatch, tmp_path, "--set", "exec", "--rate", "0", "--only", "audisp-pyaudit-msgpack", "--no-repeats"
    )
    assert code == 0
    assert {run["contender"] for run in of_kind(lines, "run")} == {"audisp-pyaudit-msgpack"}


def test_a_file_without_events_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong file gives a sentence and exit code 1."""
    (tmp_path / "no.log").write_text("nothing\n")
    monkeypatch.setattr(sys, "argv", ["bench.figure", str(tmp_path / "no.log")])
    assert figure.main() == 1
    assert "bench.figure: no event that could be varied" in capsys.readouterr().err
