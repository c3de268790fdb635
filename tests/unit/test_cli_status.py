"""`audisp-pyaudit status`."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import config_file
from audisp_pyaudit.cli import cli
from audisp_pyaudit.cli import status as module
from audisp_pyaudit.metrics_settings import Metrics
from tests.status import StandIn, example, parts_of


def run(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["status", *words])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The status of this process, which is well."""
    sink = StandIn()
    sink.delivered = 5
    example(tmp_path, parts_of(sink))
    return tmp_path / "example.json"


def change(file: Path, **what: object) -> str:
    """Change something in a status."""
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **what}))
    return str(file)


def test_exit_codes(file: Path, tmp_path: Path) -> None:
    """A script can tell well, trouble and not running apart without reading a word."""
    assert run(str(file)).exit_code == 0
    assert run(str(file)).output.startswith("WELL: running for ")
    assert run(change(file, metrics_trouble="in use")).exit_code == 1
    assert run(change(file, start_ticks=1)).exit_code == 3
    assert run(change(file, running=False)).exit_code == 3
    assert run(str(tmp_path / "none")).exit_code == 3
    assert run("--nonsense").exit_code == 2


def test_for_programs(file: Path) -> None:
    """All of it is there as JSON, with the condition and what is wrong."""
    found = json.loads(run("--json", str(file)).output)
    assert (found["condition"], found["troubles"]) == ("running", [])
    assert found["ledger"] == json.loads(file.read_bytes())["ledger"]


def test_control_characters_are_escaped(file: Path) -> None:
    """Whoever writes a broker's error message does not steer the terminal of who is on call."""
    output = run(change(file, metrics_trouble="a\x1b[2J\nb")).output
    assert "\x1b" not in output
    assert "a\\x1b[2J\\nb" in output


@pytest.mark.parametrize(
    "broken", [{"sinks": {"topic": {}}}, {"queue": 5}, {"written": "yesterday"}, {"ledger": []}, {"pid": "x"}]
)
def test_a_status_that_is_none(file: Path, broken: dict[str, object]) -> None:
    """A file that somebody else wrote is an error in a sentence, no traceback."""
    done = run(change(file, **broken))
    assert done.exit_code == 3
    assert "expected a status of audisp-pyaudit, found something else" in done.output


def test_it_asks_the_configuration(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file it is the one that the plugin's configuration names; the usual one, where that cannot be read."""
    configured = tmp_path / "a.toml"
    monkeypatch.setattr(config_file, "CONFIG_PATH", str(configured))
    configured.write_text(f'[metrics]\nstatus = "{file}"\n')
    assert run().exit_code == 0
    configured.write_text('[metrics]\nstatus = ""\n')
    done = run()
    assert done.exit_code == 3
    assert "the plugin writes no status" in done.output
    configured.write_text("nonsense")
    monkeypatch.setattr(module, "Metrics", lambda: Metrics(status=str(file)))
    assert run().exit_code == 0
