"""The system's log: what the plugin says under auditd is found where administrators look, and costs no time."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audisp_pyaudit import system_log
from audisp_pyaudit.system_log import SystemLog, nobody_reads


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    """Somebody who reads the log."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "log"))
        made.settimeout(10)
        yield made


def test_lines_are_as_syslog_writes_them(daemon: socket.socket, tmp_path: Path) -> None:
    """Rsyslog and journald know who speaks and how grave it is; each line is an entry of its own."""
    log = SystemLog(str(tmp_path / "log"))
    assert log.say("one\ntwo", "warning")
    log.error("three")
    log.close()
    found = [daemon.recv(100_000).decode() for _ in range(3)]
    pattern = rf"<(\d+)>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d audisp-pyaudit\[{os.getpid()}\]: (\w+)"
    assert [re.fullmatch(pattern, each).groups() for each in found] == [  # type: ignore[union-attr]  # or the test fails
        ("28", "one"),
        ("28", "two"),
        ("27", "three"),
    ]


def test_what_is_said_before_there_is_a_log_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Auditd starts early: that the configuration is wrong is read later all the same, without another line."""
    monkeypatch.setattr(system_log, "_RETRY_SECONDS", 0.01)
    log = SystemLog(str(tmp_path / "log"))
    assert not log.say("early")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(10)
        assert daemon.recv(1000).endswith(b"early")
    log.close()


def test_a_log_that_is_restarted(daemon: socket.socket, tmp_path: Path) -> None:
    """An update of rsyslog costs no line."""
    log = SystemLog(str(tmp_path / "log"))
    assert log.say("before")
    assert daemon.recv(1000).endswith(b"before")
    daemon.close()
    (tmp_path / "log").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as another:
        another.bind(str(tmp_path / "log"))
        another.settimeout(10)
        assert log.say("after")
        assert another.recv(1000).endswith(b"after")
    log.close()


def test_a_log_that_nobody_reads_costs_no_time(daemon: socket.socket, tmp_path: Path) -> None:
    """A log that hangs holds up nobody; what it missed is counted once it reads again."""
    log = SystemLog(str(tmp_path / "log"))
    began = time.monotonic()
    for number in range(1000):
        log.say(f"line {number}")
    assert time.monotonic() - began < 10
    found: list[str] = []
    while not any("missing" in each for each in found) or not found[-1].endswith("line 999"):
        found.append(daemon.recv(1000).decode())
        log.say("")
    log.close()
    (lost,) = [int(each.rpartition("=")[2]) for each in found if "missing" in each]
    assert len(found) - 1 + lost == 1000


def test_a_long_line_is_cut(daemon: socket.socket, tmp_path: Path) -> None:
    """A line that no log would take is not lost for its length."""
    log = SystemLog(str(tmp_path / "log"))
    assert log.say("x" * 100_000)
    assert 8000 <= len(daemon.recv(200_000)) < 8100
    log.close()


def test_who_reads_standard_error_is_known(tmp_path: Path) -> None:
    """A person at a terminal, or a file that somebody chose, is spoken to; /dev/null is not."""
    with Path(os.devnull).open("wb") as null, (tmp_path / "file").open("wb") as file:
        assert nobody_reads(null.fileno())
        assert not nobody_reads(file.fileno())
        closed = file.fileno()
    assert nobody_reads(closed)
