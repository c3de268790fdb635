"""Signals are noted, and reading goes on."""

import os
import signal
from collections.abc import Iterator

import pytest

from audisp_pyaudit.signals import WakeUp


@pytest.fixture
def wake() -> Iterator[WakeUp]:
    """A wake-up pipe; the process' own signal handling is put back afterwards."""
    numbers = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM]
    numbers += [signal.SIGPIPE, signal.SIGTTOU]
    before = {number: signal.getsignal(number) for number in numbers}
    pipe = WakeUp()
    yield pipe
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
    pipe.close()


def test_blocked_signals_are_unblocked(wake: WakeUp) -> None:
    """A plugin that auditd starts again is started with TERM and HUP blocked; both arrive all the same."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    wake.install()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == set()


def test_term_hup_and_int_are_noted(wake: WakeUp) -> None:
    """A stop of auditd reaches us as SIGTERM before the last records; it does not end us."""
    wake.install()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(os.getpid(), number)
    assert wake.drain() == [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
    assert wake.drain() == []


def test_others_are_ignored(wake: WakeUp) -> None:
    """A stray USR1 or USR2 would end the process by default."""
    wake.install()
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert wake.drain() == []


def test_ring_from_a_thread(wake: WakeUp) -> None:
    """Other threads end the reader's waiting; ringing never blocks, however often."""
    for _ in range(100_000):
        wake.ring()
    assert set(wake.drain()) == {0}
