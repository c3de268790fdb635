"""The command line as a whole."""

import pytest
from click.testing import CliRunner

from audisp_pyaudit import __version__
from audisp_pyaudit import cli as package
from audisp_pyaudit.plugin import Arguments


def test_help_names_every_command() -> None:
    """A person finds the commands."""
    told = CliRunner().invoke(package.cli, ["--help"]).output
    for word in ("decode", "tail", "check-config", "--config", "auditd"):
        assert word in told


def test_version() -> None:
    """The version is told."""
    assert CliRunner().invoke(package.cli, ["--version"]).output == f"audisp-pyaudit, version {__version__}\n"


def test_a_slip_is_answered() -> None:
    """An unknown command or option is a usage error, not a traceback."""
    for words in (["decod"], ["--confg", "x"], ["--config", "x", "check-config"]):
        result = CliRunner().invoke(package.cli, words)
        assert result.exit_code == 2
        assert "Error: " in result.output


def test_without_a_command_it_is_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options given in any spelling that click knows start the plugin as well."""
    seen: list[Arguments] = []

    def run(arguments: Arguments) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr(package, "run", run)
    assert CliRunner().invoke(package.cli, ["--config=a", "--print-ledger"]).exit_code == 0
    assert seen == [Arguments("a", print_ledger=True)]
