"""The main path."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audisp_pyaudit import assembly, plugin
from audisp_pyaudit.plugin import Arguments


def test_at_a_terminal_it_says_what_it_is(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A person who runs the plugin by hand learns which command to use."""
    monkeypatch.setattr(os, "isatty", lambda _fd: True)
    assert plugin.run(Arguments()) == plugin.EXIT_USAGE
    told = capfd.readouterr()
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


@pytest.mark.parametrize("redirected", ["2>/dev/full", ">&- 2>&-", "2>&-"])
def test_the_work_does_not_depend_on_standard_error(tmp_path: Path, redirected: str) -> None:
    """A log or a ledger that nobody can read is no failure: the events are where they belong."""
    (tmp_path / "a.toml").write_text(
        f'[state]\npath = ""\n[metrics]\nstatus = ""\n[sinks.a]\ntype = "file"\npath = "{tmp_path}/out"\n'
    )
    command = f"exec {sys.executable} -m audisp_pyaudit --config {tmp_path}/a.toml --print-ledger {redirected}"
    record = b"type=USER_LOGIN msg=audit(1700000000.1:1): pid=1 uid=0\n"
    assert subprocess.run(["/bin/sh", "-c", command], input=record, check=False).returncode == 0
    assert (tmp_path / "out").read_bytes().count(b"\n") == 1


def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    """Whoever should read the log hangs: events are still published, and the end of the input is still the end."""
    (tmp_path / "a.toml").write_text(
        f'[state]\npath = ""\n[metrics]\nstatus = ""\n[sinks.a]\ntype = "file"\npath = "{tmp_path}/out"\n'
    )
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    command = [sys.executable, "-m", "audisp_pyaudit", "--config", str(tmp_path / "a.toml"), "--print-ledger"]
    record = b"type=USER_LOGIN msg=audit(1700000000.1:1): pid=1 uid=0\n"
    assert subprocess.run(command, input=record, stderr=writer, timeout=60, check=False).returncode == 0
    assert (tmp_path / "out").read_bytes().count(b"\n") == 1
    os.close(reader)
    os.close(writer)


def test_start_up_is_quick() -> None:
    """Reading begins well before auditd's socket could fill: the first import is small."""
    code = "import time; t = time.perf_counter(); import audisp_pyaudit.plugin; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1
