"""What bytes cost at least (bench/floors.py, bench/floors.c)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.floors import FloorsError, build, measured


def test_floors_see_every_line_and_copy_every_byte(tmp_path: Path) -> None:
    """A floor is of the same work that a decoder has before it understands anything."""
    found = measured(build(tmp_path), "exec", 300_000, 2, tmp_path)
    assert found["bytes"] >= 300_000
    assert found["lines"] > found["events"] > 100
    assert found["memcpy"] > 0
    assert found["memchr"] > 0
    assert found["copy"] > found["memcpy"]
    assert [path.name for path in tmp_path.iterdir()] == ["floors"]


def test_a_program_that_fails_is_named(tmp_path: Path) -> None:
    """A slip is a sentence, no traceback."""
    with pytest.raises(FloorsError, match="nowhere: No such file"):
        measured(Path("nowhere"), "exec", 1000, 1, tmp_path)
    with pytest.raises(FloorsError, match="false"):
        measured(Path("/bin/false"), "exec", 1000, 1, tmp_path)
