"""Standard error that never makes us wait."""

import os
import time
from collections.abc import Iterator

import pytest

from audisp_pyaudit.logs import make_log
from audisp_pyaudit.stderr import Stderr


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: where to read and where to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def fill(fd: int) -> None:
    """Make a pipe full."""
    stderr = Stderr(fd)
    while stderr.say("x" * 4095 + "\n"):
        pass


def test_a_pipe_that_nobody_reads_costs_lines_only(pipe: tuple[int, int]) -> None:
    """A log reader that hangs does not stop the events; when it reads again, it learns how much is missing."""
    reader, writer = pipe
    fill(writer)
    stderr = Stderr(writer)
    begin = time.monotonic()
    for _ in range(100):
        assert not stderr.say("lost\n")
    assert time.monotonic() - begin < 5
    assert stderr.dropped == 100
    assert os.get_blocking(writer)
    assert os.read(reader, 1 << 20).endswith(b"x\n")
    assert stderr.say("back\n")
    assert stderr.say("again\n")
    got = os.read(reader, 1 << 20).decode().splitlines()
    assert "lines=100" in got[0]
    assert got[1:] == ["back", "again"]


def test_a_torn_line_does_not_spoil_the_next(pipe: tuple[int, int]) -> None:
    """A long line that stopped half-way ends before the next one begins."""
    reader, writer = pipe
    stderr = Stderr(writer)
    assert not stderr.say("y" * 1_000_000 + "\n")
    os.read(reader, 1 << 20)
    stderr.say("next\n")
    assert os.read(reader, 1 << 20).decode().splitlines()[-1] == "next"


def test_patience_is_bounded(pipe: tuple[int, int]) -> None:
    """What is said last waits for a reader for a moment, not for ever."""
    fill(pipe[1])
    begin = time.monotonic()
    assert not Stderr(pipe[1]).say("end\n", 0.1)
    assert 0.05 < time.monotonic() - begin < 5


def test_nowhere_and_full() -> None:
    """Without a standard error, or with one on a full disk, nothing fails."""
    assert Stderr(None).say("x\n")
    assert not Stderr(None).isatty()
    full = os.open("/dev/full", os.O_WRONLY)
    assert not Stderr(full).say("x\n")
    os.close(full)


def test_the_log_goes_through_it(pipe: tuple[int, int]) -> None:
    """The plugin's own log is written a line at a time, and a full pipe does not stop it."""
    reader, writer = pipe
    with os.fdopen(os.dup(writer), "w") as stream:
        log = make_log(stream)
        log.info("one")
        assert os.read(reader, 1 << 20).endswith(b"level=info event=one\n")
        fill(writer)
        log.info("two")
