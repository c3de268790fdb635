"""The pipeline's end of the queue: frames of any origin, losses in few words."""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.feed import Feed
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from audisp_pyaudit.framing import FrameList
from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.notices import NoticeFrame, Notices
from tests.frames import TIME, frames, serials


class FakeLog:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def info(self, event: str, **_fields: object) -> None:
        """Remember."""
        self.told.append(event)

    warning = error = info


def queue(memory: int = 1 << 20, spool: Callable[[], Spool] | None = None) -> Queue:
    """A queue for one sink."""
    return Queue(QueueSettings(memory_bytes=memory, commit_seconds=0.0, retry_seconds=0.0), [Cursor("kafka", 0)], spool)


def test_frames_of_every_origin_are_delivered() -> None:
    """The engine's events, what a replay brought to light, and our own notices reach the same topic in order."""
    made = queue()
    feed = Feed(made, ["json"])
    batch = frames([1, 2, 3])
    feed.append(batch)
    feed.append(FrameList([batch[1]]))
    notice = Notices(HostFacts("lab", "1" * 32, (), "", ""), 5).loss("records-dropped", {"reason": "panic"})
    feed.append(FrameList([NoticeFrame(notice)]))
    assert feed.due(1.0) == 0.0
    feed.commit_if_due()
    part = made.take("kafka", 0.0)
    assert part is not None
    assert serials(part.frames) == [1, 2, 3, 2]
    last = part.frames[4]
    assert (last.id, last.host, last.klass, last.records) == (notice["event"]["id"], "lab", "keep", 0)  # type: ignore[index]
    assert last.time_ms > TIME * 1000
    assert feed.due(1.0) == 1.0
    feed.close()


def test_losses_are_told_by_sink_and_reason() -> None:
    """An outage of a day is one line with a count and a time range, not a million."""
    made = queue(memory=20_000)
    feed = Feed(made, ["json"])
    for first in range(1, 101, 10):
        feed.append(frames(range(first, first + 10)))
        feed.commit()
    (lost,) = feed.losses()
    count = made.counts("kafka").lost["memory_full"]
    assert lost == {
        "reason": "memory_full",
        "sink": "kafka",
        "frames": count,
        "first": (TIME + 1) * 1000,
        "last": (TIME + count) * 1000,
    }
    assert list(feed.losses()) == []
    feed.close()


def test_a_spool_that_does_not_work_is_told_once(tmp_path: Path) -> None:
    """Who reads the log learns when it began and when it ended."""
    where = tmp_path / "spool"
    where.write_text("in the way")
    made = queue(spool=lambda: Spool(SpoolSettings(where, 1 << 30), {"sinks": ["kafka"]}))
    feed, log = Feed(made, ["json"]), FakeLog()
    feed.keep_house(log, remind=False)
    feed.keep_house(log, remind=False)
    where.unlink()
    feed.keep_house(log, remind=False)
    assert log.told == ["spool does not work; holding events in memory", "spool works again"]
    feed.close()
