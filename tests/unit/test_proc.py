"""What /proc says of processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from audisp_pyaudit import proc
from audisp_pyaudit.proc import cpu_seconds, lives, resident_bytes, start_ticks


def test_a_process_is_known_by_pid_and_start() -> None:
    """A pid that is used again is not taken for the process that had it before."""
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    assert lives(os.getpid(), ticks)
    assert not lives(os.getpid(), ticks - 1)


def test_a_process_that_has_ended() -> None:
    """A process that is gone does not live, nor does one that has ended and was not waited for."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ticks = start_ticks(process.pid)
        assert lives(process.pid, ticks)
        assert process.stdin is not None
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert start_ticks(process.pid) is None
        assert not lives(process.pid, ticks)
    assert not lives(process.pid, ticks)
    assert not lives(2**40, ticks)


def test_processes_of_others_may_be_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where /proc hides root's processes from a person on call, the plugin is not taken for dead."""

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(proc, "start_ticks", lambda _pid: None)
    monkeypatch.setattr(proc, "Path", lambda _name: tmp_path / "hidden")
    monkeypatch.setattr(os, "kill", refuse)
    assert lives(12345, 1)
    monkeypatch.setattr(os, "kill", lambda _pid, _signal: None)
    assert not lives(12345, 1)


def test_memory_and_processor_time() -> None:
    """The numbers are those of this process."""
    memory = resident_bytes()
    assert memory is not None
    rss = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmRSS:"))
    assert memory == pytest.approx(int(rss.split()[1]) * 1024, rel=0.1)
    before = cpu_seconds()
    while cpu_seconds() == before:
        pass
    assert cpu_seconds() > before


def test_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without /proc a number is missing, nothing else."""
    monkeypatch.setattr(proc, "Path", lambda _name: tmp_path / "none")
    assert resident_bytes() is None
    assert start_ticks(1) is None
