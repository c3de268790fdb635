"""`check-config`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from audisp_pyaudit import config
from audisp_pyaudit.cli.check import check_config


def test_a_right_file(tmp_path: Path) -> None:
    """What is right is said to be right, in one line."""
    file = tmp_path / "a.toml"
    file.write_text('[sinks.a]\ntype = "stdout"\n')
    result = CliRunner().invoke(check_config, [str(file)])
    assert (result.exit_code, result.output) == (0, f"OK: {file}: 1 sinks, 0 rules\n")


def test_all_errors_at_once(tmp_path: Path) -> None:
    """Everything that is wrong is said, on standard error, with a code that scripts can use."""
    file = tmp_path / "a.toml"
    file.write_text("[limits]\nevnts = 1\nline_bytes = 'x\u202e'\n")
    result = CliRunner().invoke(check_config, [str(file)])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 2
    assert "\u202e" not in result.stderr
    assert result.stdout == ""


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a file, what the plugin would read is checked; nothing there is fine."""
    monkeypatch.setattr(config, "CONFIG_PATH", str(tmp_path / "none"))
    result = CliRunner().invoke(check_config, [])
    assert result.exit_code == 0
    assert "the defaults are in force" in result.output


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is named has to be there."""
    result = CliRunner().invoke(check_config, [str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "No such file" in result.stderr
