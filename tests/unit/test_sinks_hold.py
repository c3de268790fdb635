"""The place in the queue for sinks that are not known."""

import time

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.sinks.hold import HoldSink


def test_it_takes_nothing() -> None:
    """What comes while the configuration is wrong stays in the queue, counted."""
    queue = Queue(QueueSettings(), [Cursor(HOLD, 0)])
    sink = HoldSink(HOLD, queue)
    sink.start()
    frames = Frames.single(identity="a", host="h", time_ms=1, routes=1, json=b"{}")
    queue.append(frames)
    queue.commit()
    sink.deliver(frames)
    time.sleep(0.1)
    stats = sink.stats()
    assert (stats.offered, stats.queued, stats.delivered) == (1, 1, 0)
    sink.close(time.monotonic())
    queue.close()
