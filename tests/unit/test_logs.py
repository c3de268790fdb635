"""The log never hurts."""

import io
import socket
import time
from pathlib import Path

import pytest

from audisp_pyaudit import logs
from audisp_pyaudit.logs import make_log
from audisp_pyaudit.system_log import SystemLog


def test_logfmt_where_no_person_reads() -> None:
    """Other programs can read the log: key=value, a line each, whatever the values hold."""
    stream = io.StringIO()
    make_log(stream).warning("sink cannot deliver", sink="a", why="no\nspace\x1b[2J")
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert 'level=warning event="sink cannot deliver" sink=a' in line
    assert "\x1b" not in line
    assert line.startswith("timestamp=2")


def test_a_terminal_gets_a_readable_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person at a terminal reads a line, not logfmt."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    make_log(stream).info("reading", sinks="a\x1b[2J")
    assert "reading" in stream.getvalue()
    assert "level=" not in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()


class _Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_stream_that_fails() -> None:
    """A full or closed standard error costs the line, nothing else."""
    make_log(_Full()).error("x")
    closed = io.StringIO()
    log = make_log(closed)
    closed.close()
    log.error("x")


def test_errors_keep_their_traceback() -> None:
    """A bug is told with where it is."""
    stream = io.StringIO()
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        make_log(stream).exception("bug")
    assert "ZeroDivisionError" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_under_auditd_it_goes_to_the_systems_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Auditd gives its plugins /dev/null; who administrates the host finds what is wrong in the journal."""
    monkeypatch.setattr(logs, "nobody_reads", lambda: True)
    system = SystemLog(str(tmp_path / "log"))
    monkeypatch.setattr(logs, "SystemLog", lambda: system)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(10)
        log = make_log()
        log.warning("sink cannot deliver", sink="a", why="no\nspace")
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            log.exception("bug")
        found = [daemon.recv(10_000).decode() for _ in range(2)]
    system.close()
    assert found[0].startswith("<28>")
    assert found[0].endswith(r': event="sink cannot deliver" sink=a why=no\nspace')
    assert found[1].startswith("<27>")
    assert "ZeroDivisionError" in found[1]


def test_what_is_said_again_and_again_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that flaps for a night does not fill the journal; how much was left out is said."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    log = make_log(stream)
    for _ in range(50):
        log.warning("sink cannot deliver", sink="a")
        log.info("another thing", sink="a")
    assert stream.getvalue().count("cannot deliver") == 10
    assert stream.getvalue().count("another thing") == 10
    now[0] += 61
    log.warning("sink cannot deliver", sink="a")
    assert stream.getvalue().splitlines()[-1].endswith("sink=a left_out=40")
    for number in range(5000):
        log.info("many", sink=str(number))
    assert stream.getvalue().count("many") == 5000


def test_each_mistake_and_each_answer_is_told() -> None:
    """Many mistakes in one file are not one thing said too often; and a reload by hand is answered each time."""
    stream = io.StringIO()
    log = make_log(stream)
    for number in range(30):
        log.error("configuration is wrong", problem=f"key{number}: unknown key")
        log.info("configuration unchanged", config="/etc/a.toml")
    told = stream.getvalue()
    assert told.count("unknown key") == 30
    assert told.count("configuration unchanged") == 30
