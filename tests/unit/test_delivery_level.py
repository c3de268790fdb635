"""How full the queue is, and how old what waits in it is."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.level import Level
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from tests.frames import TIME, frames


def spool_in(folder: Path) -> Spool:
    """A spool."""
    return Spool(SpoolSettings(folder / "spool", 64 * 1024 * 1024), {"sinks": ["kafka"], "encodings": ["json"]})


def lossless(folder: Path, memory_bytes: int = 8 * 1024 * 1024) -> Queue:
    """A queue with a spool that has begun."""
    settings = QueueSettings(memory_bytes=memory_bytes, commit_bytes=1)
    queue = Queue(settings, [Cursor("kafka", 0)], lambda: spool_in(folder))
    queue.keep_house()
    return queue


def seconds(milliseconds: int | None) -> int | None:
    """The serial of an event, by its time."""
    return None if milliseconds is None else milliseconds // 1000 - TIME


def test_how_full_it_is(tmp_path: Path) -> None:
    """Whoever watches sees what is in memory and on disk, and what may be."""
    queue = lossless(tmp_path)
    empty = queue.level()
    assert (empty.mode, empty.memory_bytes, empty.memory_limit_bytes) == ("lossless", 0, 8 * 1024 * 1024)
    queue.append(frames(range(1, 101)))
    full = queue.level()
    assert full.memory_bytes >= frames(range(1, 101)).size
    assert full.spool_bytes is not None
    assert full.spool_bytes == sum(each.stat().st_size for each in (tmp_path / "spool").rglob("*.seg"))
    assert full.spool_limit_bytes == 64 * 1024 * 1024
    assert (full.trouble, full.delivers) == ("", True)
    queue.close()


def test_without_a_spool() -> None:
    """In lossy mode there is no disk to speak of."""
    queue = Queue(QueueSettings(), [Cursor("kafka", 0)])
    queue.append(frames([1]))
    assert queue.level() == Level("lossy", frames([1]).size, 8 * 1024 * 1024, None, None, "", delivers=True)


def test_oldest_in_memory(tmp_path: Path) -> None:
    """The oldest event is the first that was not acknowledged, whether it was handed out or not."""
    queue = lossless(tmp_path)
    assert queue.oldest_ms("kafka") is None
    queue.append(frames(range(1, 4)))
    queue.append(frames(range(4, 6)))
    assert seconds(queue.oldest_ms("kafka")) == 1
    part = queue.take("kafka", 1)
    assert part is not None
    queue.acknowledge("kafka", [(part, 0)])
    assert seconds(queue.oldest_ms("kafka")) == 2
    queue.acknowledge("kafka", [(part, 1), (part, 2)])
    assert seconds(queue.oldest_ms("kafka")) == 4
    rest = queue.take("kafka", 1)
    assert rest is not None
    queue.acknowledge("kafka", [(rest, 0), (rest, 1)])
    assert queue.oldest_ms("kafka") is None
    queue.close()


def test_oldest_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What memory forgot is known from the spool; a log-in that is kept apart counts, too."""
    before = lossless(tmp_path)
    before.append(frames([5], keep=[5]))
    before.append(frames([6]))
    before.close()
    queue = lossless(tmp_path)
    assert seconds(queue.oldest_ms("kafka")) == 5
    part = queue.take("kafka", 1)
    assert part is not None
    queue.acknowledge("kafka", [(part, 0)])
    assert seconds(queue.oldest_ms("kafka")) == 5, "looked up again only after some seconds"
    now = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert seconds(queue.oldest_ms("kafka")) == 6
    queue.close()


def test_latency_of_what_was_acknowledged(tmp_path: Path) -> None:
    """The histogram counts each event once, when it is acknowledged for the first time."""
    queue = lossless(tmp_path)
    queue.append(frames(range(1, 11)))
    part = queue.take("kafka", 1)
    assert part is not None
    assert sum(queue.counts("kafka").latency.counts) == 0
    queue.acknowledge("kafka", [(part, each) for each in range(6)])
    queue.acknowledge("kafka", [(part, each) for each in range(10)])
    assert sum(queue.counts("kafka").latency.counts) == queue.counts("kafka").delivered == 10
    queue.give_up("kafka", part, 0, "refused")
    assert sum(queue.counts("kafka").latency.counts) == 10
    queue.close()
