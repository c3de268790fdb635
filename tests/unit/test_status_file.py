"""The status file, read back."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.errors import StatusError
from audisp_pyaudit.proc import start_ticks
from audisp_pyaudit.status_file import condition, ledger_of, read
from tests.status import StandIn, example, parts_of


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """The ledger comes back as it was, to the last number."""
    sink = StandIn()
    sink.delivered, sink.queued, sink.lost, sink.peers = 5, 2, {"slow": 3}, {"a": "UP"}
    parts = parts_of(sink, intake_full=4)
    example(tmp_path, parts)
    found = read(str(tmp_path / "example.json"))
    assert list(ledger_of(found).lines()) == list(parts.ledger.lines())
    assert ledger_of(found).sinks["topic"] == parts.ledger.sinks["topic"]
    assert ledger_of(found).closed


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "found no JSON"),
        (b"[" * 100_000, "found no JSON"),
        (b"\xff", "found no JSON"),
        (b"[]", "found something else"),
        (b'{"version": 1}', "found something else"),
        (b'{"version": 2, "ledger": {}}', "expected version 1 of the status, found 2"),
    ],
)
def test_what_is_no_status(tmp_path: Path, content: bytes, told: str) -> None:
    """A file of another kind, or of a later version, is an error that names it."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(StatusError, match=f"a.json: .*{told}"):
        read(str(path))


def test_no_file(tmp_path: Path) -> None:
    """Without a file it says so."""
    with pytest.raises(StatusError, match="cannot be read: No such file"):
        read(str(tmp_path / "none"))


def test_condition(tmp_path: Path) -> None:
    """Running, silent, ended and gone are told apart; another process with the same pid does not count."""
    found: dict[str, Any] = example(tmp_path, parts_of())
    at = found["written"]
    assert condition(found, at + 2) == "running"
    assert condition(found, at + 60) == "silent"
    assert condition({**found, "running": False}, at) == "ended"
    assert condition({**found, "start_ticks": found["start_ticks"] - 1}, at) == "gone"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert condition({**found, "pid": process.pid}, at) == "gone"
    assert json.dumps(found)
    assert found["start_ticks"] == start_ticks(os.getpid())
