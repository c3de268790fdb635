"""The log never hurts."""

import io

import pytest

from audisp_pyaudit.logs import make_log


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
