"""Sinks that take from the queue: their thread, their ledger, and how they fail."""

import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.sinks import queued
from audisp_pyaudit.sinks.queued import Pause, QueuedSink
from tests.frames import frames, serials


class Flaky(QueuedSink):
    """Breaks on every third slice, once."""

    def __init__(self, queue: Queue, *, drains: bool = False) -> None:
        super().__init__("kafka", queue, drains=drains)
        self.got: list[int] = []
        self.troubles: list[str] = []
        self.let_gone = False
        self._steps = 0

    def step(self) -> None:
        """Deliver a slice."""
        part = self.queue.take(self.name, 0.01)
        if part is None:
            return
        self._steps += 1
        if self._steps % 3 == 0:
            raise OSError("broken")
        self.got += serials(part.frames, part.wanted)
        self.queue.acknowledge(self.name, [(part, which) for which in range(len(part.wanted))])

    def recover(self, why: object) -> None:
        """Take it again."""
        self.troubles.append(str(why))
        self.queue.rewind(self.name)

    def let_go(self) -> None:
        """Remember it."""
        self.let_gone = True


@pytest.mark.parametrize("drains", [True, False])
def test_a_failure_costs_no_event(*, drains: bool) -> None:
    """Whatever breaks within a sink, it goes on with what was not acknowledged, and its ledger closes."""
    queue = Queue(QueueSettings(), [Cursor("kafka", 0)])
    sink = Flaky(queue, drains=drains)
    sink.start()
    for first in range(1, 101, 10):
        batch = frames(range(first, first + 10))
        sink.deliver(batch)
        queue.append(batch)
        queue.commit()
    deadline = time.monotonic() + 10
    while not drains and queue.counts("kafka").queued and time.monotonic() < deadline:
        time.sleep(0.001)
    sink.close(deadline)
    assert sink.got == list(range(1, 101))
    assert "broken" in sink.troubles
    assert sink.let_gone
    stats = sink.stats()
    assert (stats.frames, stats.offered, stats.delivered, stats.closed) == (100, 100, 100, True)


def test_pauses_grow_and_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is hammered on, and what worked for long is tried again soon."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pause, waits = Pause(), []
    for _ in range(12):
        pause.begun()
        pause.failed()
        start = now[0]
        while not pause.over:
            now[0] += 0.05
        waits.append(round(now[0] - start, 1))
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == queued.LAST_PAUSE_SECONDS
    pause.begun()
    now[0] += queued.GOOD_SECONDS + 1
    pause.failed()
    now[0] += 0.11
    assert pause.over


class Stuck(Flaky):
    """Waits for the network, for ever."""

    def __init__(self, queue: Queue) -> None:
        super().__init__(queue)
        self.network = threading.Event()

    def step(self) -> None:
        """Wait."""
        self.network.wait()


def test_who_waits_for_the_network_does_not_hold_up_the_end() -> None:
    """Auditd kills a plugin that does not end; what the network does is of no concern then, and the ledger closes."""
    queue = Queue(QueueSettings(), [Cursor("kafka", 0)])
    sink = Stuck(queue)
    sink.start()
    queue.append(frames(range(1, 11)))
    queue.commit()
    sink.close(time.monotonic())
    assert not sink.let_gone
    assert sink.stats().queued == 10
    assert sink.stats().closed
    sink.network.set()


def test_the_end_is_heard_while_nothing_comes() -> None:
    """Who waits for events comes back at once when there will be none."""
    queue = Queue(QueueSettings(), [Cursor("kafka", 0), Cursor("other", 1)])
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(queue.take("kafka", 60.0)))
    waiting.start()
    queue.release("kafka")
    waiting.join(30)
    assert found == [None]
    queue.append(frames([1], sinks=("kafka", "other")))
    queue.commit()
    assert queue.take("kafka", 0.0) is None
    assert queue.take("other", 0.0) is not None  # others go on


def test_one_follows_another() -> None:
    """A sink that was replaced leaves nothing behind: the next one has its account, and what it did not deliver."""
    queue = Queue(QueueSettings(), [Cursor("kafka", 0)])
    first, second = Flaky(queue), Flaky(queue)
    first.start()
    for sink, serial in ((first, 1), (second, 2)):
        batch = frames([serial])
        sink.deliver(batch)
        if sink is first:
            first.cut = 3
            queue.append(batch)
            queue.commit()
            deadline = time.monotonic() + 10
            while not first.got and time.monotonic() < deadline:
                time.sleep(0.01)
            first.close(time.monotonic())
            second.follow(first)
            second.start()
        else:
            queue.append(batch)
            queue.commit()
    deadline = time.monotonic() + 10
    while not second.got and time.monotonic() < deadline:
        time.sleep(0.01)
    second.close(time.monotonic())
    assert (first.got, second.got) == ([1], [2])
    assert (second.stats().frames, second.stats().delivered, second.stats().cut) == (2, 2, 3)
