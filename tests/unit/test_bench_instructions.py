"""Instruction counts that are stored and compared (bench/instructions.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench import instructions
from bench.instructions import (
    COUNTED,
    ENCODINGS,
    STORED,
    Counted,
    InstructionsError,
    compare,
    count_all,
    from_text,
    to_text,
    write_laps,
)
from bench.sets import SETS


def counted(per_event: int) -> dict[tuple[str, str], Counted]:
    """Return a count of one log."""
    return {("exec", "json"): Counted(100, 1000, per_event * 100)}


def test_more_than_tolerated_fails_and_less_is_to_be_stored() -> None:
    """A change that makes the engine dearer is seen in CI; noise is not; what became cheaper stays so."""
    stored = {("exec", "json"): 1000.0}
    assert compare(counted(1029), stored) == (False, ["exec, json: 1,029 instructions an event, +2.9%"])
    worse, said = compare(counted(1031), stored)
    assert worse
    assert "more than the 3%" in said[0]
    worse, said = compare(counted(900), stored)
    assert not worse
    assert "stores it" in said[0]
    assert compare(counted(1), {})[0]


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    """The file in the tree is all that the next comparison needs."""
    path = tmp_path / "counts.tsv"
    path.write_text(to_text(counted(1234), "rustc 1, valgrind 2, x86_64"))
    assert from_text(path) == ({("exec", "json"): 1234.0}, "rustc 1, valgrind 2, x86_64")


@pytest.mark.parametrize("content", ["", "no\n", "# x\nset\n", None])
def test_a_broken_file_is_named(tmp_path: Path, content: str | None) -> None:
    """A merge that went wrong is a sentence with file and line."""
    path = tmp_path / "counts.tsv"
    path.write_text(to_text(counted(1), "x") + "exec\tjson\n" if content is None else content)
    with pytest.raises(InstructionsError, match=r"counts.tsv:(1|4): expected"):
        from_text(path)


def test_every_log_is_stored() -> None:
    """No log is compared with nothing."""
    assert set(from_text(STORED)[0]) == {(name, encoding) for name in COUNTED for encoding in ENCODINGS}


def test_start_and_end_are_not_counted() -> None:
    """Only what grows with the log is in the count: the difference of two lengths."""

    def counting(log: Path, encoding: str) -> int:
        return 1_000_000 + len(log.read_bytes()) * (2 if encoding == "json" else 1)

    found = count_all(["exec"], counting)
    assert found["exec", "json"].per_byte == 2
    assert found["exec", "msgpack"].per_byte == 1
    assert found["exec", "json"].size > 500_000


def test_logs_are_the_same_on_every_machine(tmp_path: Path) -> None:
    """A count of another day or machine is of the same bytes."""
    kinds = SETS["network"].kinds()
    sizes = [write_laps(tmp_path / name, kinds, 2) for name in "ab"]
    assert sizes[0] == sizes[1] == (2 * len(kinds), (tmp_path / "a").stat().st_size)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("stored_with", "code"), [("same", 1), ("other", 0)])
def test_another_compiler_only_informs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stored_with: str,
    code: int,
) -> None:
    """A new rustc does not look like a slip of ours, and a slip does not hide behind the same one."""
    stored = tmp_path / "counts.tsv"
    stored.write_text(to_text(counted(1), stored_with))
    monkeypatch.setattr(instructions, "feed", lambda: lambda log, _: log.stat().st_size)
    monkeypatch.setattr(instructions, "tools", lambda: "same")
    words = ["bench.instructions", "--check", "--set", "exec", "--stored", str(stored)]
    monkeypatch.setattr(sys, "argv", words)
    assert instructions.main() == code
    assert ("for information only" in capsys.readouterr().out) == (code == 0)


def test_a_missing_valgrind_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """CI does not pass because nothing was counted."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["bench.instructions", "--check"])
    assert instructions.main() == 1
    assert "valgrind is missing" in capsys.readouterr().err
