"""The pipeline's end of the queue: frames of any origin, losses in few words."""

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.feed import Feed
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from audisp_pyaudit.framing import FrameList
from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.notices import NoticeFrame, Notices, timestamp
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
    ((action, lost),) = feed.announcements()
    count = made.counts("kafka").lost["memory_full"]
    assert lost == {
        "reason": "memory_full",
        "sink": "kafka",
        "frames": count,
        "total": count,
        "start": timestamp(datetime.fromtimestamp(TIME + 1, UTC)),
        "end": timestamp(datetime.fromtimestamp(TIME + count, UTC)),
    }
    assert action == "frames-dropped"
    assert list(feed.announcements()) == []
    feed.close()


def spooled(folder: Path) -> Queue:
    """A queue with a spool, which delivers."""
    made = queue(spool=lambda: Spool(SpoolSettings(folder / "spool", 1 << 30), {"sinks": ["kafka"]}))
    made.keep_house()
    return made


def test_a_kill_is_told_once(tmp_path: Path) -> None:
    """A consumer learns that events may be missing, and between which times; the next restart does not repeat it."""
    killed = spooled(tmp_path)
    killed.append(frames(range(1, 11)))
    killed.commit()
    killed._store.spool.close()  # type: ignore[union-attr]  # as the end of a process does, without a word
    told: list[tuple[str, Mapping[str, object]]] = []
    for _ in range(3):
        feed = Feed(spooled(tmp_path), ["json"], 2000)
        told += feed.announcements()
        feed.announced()
        feed.close()
    ((action, lost),) = told
    assert action == "unclean-stop"
    assert lost["reason"] == "unclean_stop"
    # Events wait for their end, and others overtake them.
    assert lost["start"] == timestamp(datetime.fromtimestamp(TIME + 10 - 2, UTC))
    assert str(lost["end"]) <= timestamp(datetime.fromtimestamp(time.time(), UTC))


def test_a_kill_that_was_not_told_of_is_told_by_the_next_process(tmp_path: Path) -> None:
    """Two kills within a second do not make one of them unknown."""
    for _ in range(2):
        killed = spooled(tmp_path)
        assert len(list(Feed(killed, ["json"]).announcements())) in {0, 1}
        killed._store.spool.close()  # type: ignore[union-attr]  # as above
    feed = Feed(spooled(tmp_path), ["json"])
    assert [action for action, _ in feed.announcements()] == ["unclean-stop"] * 2
    feed.close()


def test_damage_is_told_once_and_set_aside(tmp_path: Path) -> None:
    """Who reads the topic learns where the spool was damaged; the segment is kept for whoever wants to know why."""
    first = spooled(tmp_path)
    for start in (1, 11, 21):
        first.append(frames(range(start, start + 10)))
        first.commit()
    first.close()
    (segment,) = (tmp_path / "spool" / "g0000000001").glob("normal-*.seg")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    made = spooled(tmp_path)
    feed, got = Feed(made, ["json"]), []
    while (part := made.take("kafka", 0.0)) is not None:
        got += serials(part.frames, part.wanted)
        made.acknowledge("kafka", [(part, which) for which in range(len(part.wanted))])
    assert got == [*range(1, 11), *range(21, 31)]
    made.keep_house()  # everybody has it: it is given back before anybody was told
    assert not segment.exists()
    found = dict(feed.announcements())
    assert (found["frames-dropped"]["frames"], found["frames-dropped"]["reason"]) == (10, "damaged")
    assert str(found["spool-damaged"]["where"]).startswith(f"g0000000001/{segment.name}, byte ")
    assert dict(feed.announcements()) == {}
    (kept,) = (tmp_path / "spool" / "damaged").iterdir()
    assert kept.read_bytes() == content
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
