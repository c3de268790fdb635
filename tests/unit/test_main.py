"""What the command's words mean before anything else is loaded."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from audisp_pyaudit import __main__ as command
from audisp_pyaudit.plugin import Arguments


@pytest.fixture
def _auditd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard input and error as auditd gives them: a socket, and no terminal."""
    left, right = socket.socketpair()
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda fd: real(left.fileno() if fd == 0 else fd))
    monkeypatch.setattr(os, "isatty", lambda _fd: False)
    yield
    left.close()
    right.close()


@pytest.fixture
def _person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by a person at a terminal."""
    monkeypatch.setattr(os, "isatty", lambda _fd: True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Arguments()),
        (["--config", "a.toml"], Arguments("a.toml")),
        (["--config=a.toml", "--print-ledger"], Arguments("a.toml", print_ledger=True)),
    ],
)
@pytest.mark.usefixtures("_person")
def test_the_plugins_own_words(words: list[str], expected: Arguments) -> None:
    """The plugin starts reading without loading a command line parser."""
    assert command.plugin_arguments(words) == expected


@pytest.mark.parametrize("words", [["decode"], ["--help"], ["--version"], ["--config"], ["--confg=x"]])
@pytest.mark.usefixtures("_person")
def test_everything_else_is_for_the_command_line(words: list[str]) -> None:
    """Commands, and slips of a person, get a proper answer."""
    assert command.plugin_arguments(words) is None


@pytest.mark.usefixtures("_auditd")
def test_a_slip_in_auditds_args_does_not_stop_the_plugin() -> None:
    """A plugin is started ten times in auditd's life; a wrong option is said in the log instead."""
    found = command.plugin_arguments(["--confg", "/a"])
    assert found == Arguments(problems=["argument not understood: --confg", "argument not understood: /a"])


@pytest.mark.parametrize("words", [["decode", "--ledger"], ["--help"], ["--version"], ["-h"]])
@pytest.mark.usefixtures("_auditd")
def test_commands_work_over_ssh(words: list[str]) -> None:
    """`ssh host audisp-pyaudit decode FILE` has a socket for standard input, too."""
    assert command.plugin_arguments(words) is None


def test_python_dash_m() -> None:
    """`python -m audisp_pyaudit` is the command."""
    done = subprocess.run(
        [sys.executable, "-m", "audisp_pyaudit", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("audisp-pyaudit, version ")


def test_the_shell_is_told_how_a_line_could_go_on() -> None:
    """TAB at the first word offers the commands; it does not start a plugin."""
    asked = {"_AUDISP_PYAUDIT_COMPLETE": "bash_complete", "COMP_WORDS": "audisp-pyaudit ", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "audisp_pyaudit"],
        env={**os.environ, **asked},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"plain,decode", "plain,status", "plain,tail"} <= set(done.stdout.split())


def test_no_standard_input() -> None:
    """Started without any standard input, it says what it is instead of failing later."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m audisp_pyaudit <&-"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "audisp-pyaudit decode" in done.stderr
