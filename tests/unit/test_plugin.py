"""The main path."""

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from audisp_pyaudit import assembly, plugin
from audisp_pyaudit.plugin import Arguments


def test_at_a_terminal_it_says_what_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A person who runs the plugin by hand learns which command to use."""
    monkeypatch.setattr(os, "isatty", lambda _fd: True)
    assert plugin.run(Arguments()) == plugin.EXIT_USAGE
    told = capsys.readouterr()
    assert "audisp-pyaudit decode" in told.err
    assert told.out == ""


def test_a_bug_ends_the_process_with_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """When the pipeline dies of a bug, reading ends too, and auditd starts a new process."""

    def broken(*_arguments: Any, **_more: Any) -> None:  # noqa: ANN401  # whatever it is called with
        raise ZeroDivisionError("bug")

    reader, writer = os.pipe()
    saved = os.dup(0)
    handlers = {number: signal.getsignal(number) for number in range(1, 32) if number not in (9, 19)}
    monkeypatch.setattr(assembly, "build", broken)
    monkeypatch.setattr(threading, "excepthook", lambda args: sys.stderr.write(str(args.exc_value)))
    try:
        os.dup2(reader, 0)
        assert plugin.run(Arguments()) == plugin.EXIT_BUG
    finally:
        os.dup2(saved, 0)
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for fd in (reader, writer, saved):
            os.close(fd)
    assert "bug" in capfd.readouterr().err


def test_start_up_is_quick() -> None:
    """Reading begins well before auditd's socket could fill: the first import is small."""
    code = "import time; t = time.perf_counter(); import audisp_pyaudit.plugin; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1
