"""`check-config`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from audisp_pyaudit import config_file
from audisp_pyaudit.cli.check import check_config


def test_a_right_file(tmp_path: Path) -> None:
    """What is right is said to be right, in one line."""
    file = tmp_path / "a.toml"
    file.write_text('[sinks.a]\ntype = "stdout"\n')
    result = CliRunner().invoke(check_config, [str(file)])
    assert (result.exit_code, result.stdout) == (0, f"OK: {file}: 1 sinks, 0 rules\n")


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
    monkeypatch.setattr(config_file, "CONFIG_PATH", str(tmp_path / "none"))
    result = CliRunner().invoke(check_config, [])
    assert result.exit_code == 0
    assert "the defaults are in force" in result.output


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is named has to be there."""
    result = CliRunner().invoke(check_config, [str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "No such file" in result.stderr


def test_what_it_names_is_examined(tmp_path: Path) -> None:
    """What is wrong on this host is said with file and key; what is only worth knowing does not fail a script."""
    file = tmp_path / "a.toml"
    text = f'[state]\npath = ""\n[privileges]\nuser = "no-such-user"\n[sinks.a]\ntype = "unix"\npath = "{tmp_path}/s"\n'
    file.write_text(text)
    result = CliRunner().invoke(check_config, [str(file)])
    assert result.exit_code == 0
    assert (
        result.stderr == f"{file}: note: privileges.user: there is no user no-such-user; the plugin would stay root\n"
    )
    file.write_text(text + 'group = "no-such-group"\n')
    result = CliRunner().invoke(check_config, [str(file)])
    assert result.exit_code == 1
    assert f"{file}: sinks.a.group: there is no group no-such-group\n" in result.stderr
    assert result.stdout == ""


def test_brokers_are_asked_on_demand(tmp_path: Path) -> None:
    """--connect says whether events will arrive, before auditd is restarted."""
    file = tmp_path / "a.toml"
    file.write_text(
        '[state]\npath = ""\n[queue]\nmode = "lossy"\n[sinks.k]\ntype = "kafka"\nbootstrap = "127.0.0.1:1"\n'
    )
    assert CliRunner().invoke(check_config, [str(file)]).exit_code == 0
    result = CliRunner().invoke(check_config, [str(file), "--connect"])
    assert result.exit_code == 1
    assert "sinks.k.bootstrap: 127.0.0.1:1: " in result.stderr
    assert "Connection refused" in result.stderr
