"""The queue: what goes in comes out, to every sink, in order, once; or it is counted."""

import errno
import os
import random
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.batch import MARK
from audisp_pyaudit.delivery.cursor import Cursor, Slice
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from tests.frames import frames, serials

KIB, MIB = 1024, 1024 * 1024
SINKS = ("kafka", "other")
# Log-ins go to `other` only.
RULES: list[Mapping[str, object]] = [{"name": "r", "match": {"record_type": ["user_login"]}, "route": ["other"]}]


class Disk:
    """A disk that can be full or broken."""

    def __init__(self) -> None:
        self.error = 0

    def write(self, fd: int, data: memoryview) -> int:
        """Write, unless it fails now."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Nothing to do."""


def queue(  # noqa: PLR0913  # what a test may want to differ
    folder: Path | None,
    *,
    memory: int = MIB,
    quota: int = 64 * MIB,
    when_full: str = "drop_oldest",
    disk: Disk | None = None,
    begun: bool = True,
) -> Queue:
    """A queue for two sinks; lossy without a folder."""
    about = {"sinks": list(SINKS), "version": "test"}

    def open_spool() -> Spool:
        assert folder is not None
        where = SpoolSettings(folder / "spool", quota, segment_bytes=64 * KIB, when_full=when_full)
        return Spool(where, about, disk or Disk())

    settings = QueueSettings(memory_bytes=memory, commit_bytes=16 * KIB, when_full=when_full, retry_seconds=0.0)
    made = Queue(settings, [Cursor(name, bit) for bit, name in enumerate(SINKS)], open_spool if folder else None)
    if begun:
        made.keep_house()
    return made


def put(target: Queue, first: int, count: int, keep: tuple[int, ...] = (), pad: int = 100) -> None:
    """Events with serials from `first` on, committed."""
    target.append(frames(range(first, first + count), keep=keep, sinks=SINKS, rules=RULES, pad=pad))
    target.commit()


def got(target: Queue, sink: str = "kafka", *, acknowledge: bool = True) -> list[int]:
    """What a sink is given now."""
    found: list[int] = []
    while (part := target.take(sink, 0.0)) is not None:
        found += serials(part.frames, part.wanted)
        if acknowledge:
            target.acknowledge(sink, [(part, which) for which in range(len(part.wanted))])
    return found


def closed(target: Queue, offered: int) -> Mapping[str, Any]:
    """That the ledger of each sink adds up, and what kafka's says."""
    for sink in SINKS:
        counts = target.counts(sink)
        assert counts.offered == offered
        assert min(counts.delivered, counts.filtered, counts.queued, *counts.lost.values(), 0) == 0
    counts = target.counts("kafka")
    return {
        "delivered": counts.delivered,
        "filtered": counts.filtered,
        "queued": counts.queued,
        "lost": dict(counts.lost),
    }


@pytest.mark.parametrize("lossless", [True, False])
def test_every_sink_gets_what_is_for_it(tmp_path: Path, *, lossless: bool) -> None:
    """Rules decide who gets what; what a sink is not to have is neither delivered nor lost."""
    target = queue(tmp_path if lossless else None)
    put(target, 1, 10, keep=(3, 7))
    assert got(target, "other") == list(range(1, 11))
    assert got(target) == [1, 2, 4, 5, 6, 8, 9, 10]
    assert closed(target, 10) == {"delivered": 8, "filtered": 2, "queued": 0, "lost": {}}


def test_without_a_disk_memory_is_given_back_when_everybody_has_it() -> None:
    """A host that loses nothing needs no memory for what was delivered long ago; what is not acknowledged stays."""
    target = queue(None)
    put(target, 1, 10)
    assert got(target, "other") == list(range(1, 11))
    part = target.take("kafka", 0.0)
    assert part is not None
    put(target, 11, 1)
    target.rewind("kafka")  # whatever was read and not acknowledged comes again
    again = target.take("kafka", 0.0)
    assert again is part
    assert len(target._ring) == 2
    target.acknowledge("kafka", [(part, which) for which in range(len(part.wanted))])
    assert got(target) == [11]
    assert got(target, "other") == [11]
    target.store()
    assert len(target._ring) == 0
    assert closed(target, 11) == {"delivered": 11, "filtered": 0, "queued": 0, "lost": {}}


def test_events_survive_the_process(tmp_path: Path) -> None:
    """A broker that is away over a restart gets everything afterwards, in order, before what is new."""
    for start in (1, 11, 21):
        target = queue(tmp_path)
        put(target, start, 10)
        target.close()
    target = queue(tmp_path)
    put(target, 31, 10)
    assert got(target) == list(range(1, 41))
    assert closed(target, 40)["queued"] == 0


def test_what_was_acknowledged_is_not_delivered_again(tmp_path: Path) -> None:
    """A restart in good order costs no duplicates."""
    target = queue(tmp_path)
    put(target, 1, 10)
    assert got(target) == list(range(1, 11))
    put(target, 11, 10)
    assert got(target, acknowledge=False) == list(range(11, 21))
    target.close()
    target = queue(tmp_path)
    assert target.counts("kafka").offered == 10
    assert got(target) == list(range(11, 21))


def test_nothing_is_delivered_while_another_process_does(tmp_path: Path) -> None:
    """At a reload, the new process waits until the old one has ended, and loses nothing by it."""
    old = queue(tmp_path)
    put(old, 1, 5)
    new = queue(tmp_path)
    put(new, 11, 5)
    assert got(new) == []
    put(old, 6, 5)
    old.close()
    new.keep_house()
    assert got(new) == [*range(1, 11), *range(11, 16)]
    assert closed(new, 15)["delivered"] == 15


def test_a_sink_that_is_behind_reads_the_disk(tmp_path: Path) -> None:
    """Memory stays small while a sink is away; it misses nothing, and order is kept between disk and memory."""
    target = queue(tmp_path, memory=32 * KIB)
    for start in range(1, 501, 10):
        put(target, start, 10, keep=(start + 4,), pad=500)
        if start == 201:
            assert got(target, "other") == list(range(1, 211))
    assert got(target, "other") == list(range(211, 501))
    assert len(got(target)) == 450
    assert closed(target, 500) == {"delivered": 450, "filtered": 50, "queued": 0, "lost": {}}


def test_room_is_given_back(tmp_path: Path) -> None:
    """What everybody has does not stay on disk."""
    target = queue(tmp_path, quota=2 * MIB)
    for start in range(1, 3001, 50):
        put(target, start, 50, pad=1000)
        got(target)
        got(target, "other")
        target.keep_house()
    assert sum(each.stat().st_size for each in tmp_path.rglob("*.seg")) < MIB
    assert closed(target, 3000)["delivered"] == 3000


def test_a_full_spool_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    """A broker away for too long costs the oldest events, log-ins last; the count is exact."""
    target = queue(tmp_path, quota=MIB, memory=64 * KIB)
    for start in range(1, 2001, 50):
        put(target, start, 50, keep=(start,), pad=1000)
    found = got(target, "other")
    lost = target.counts("other").lost["spool_full"]
    assert 0 < lost == 2000 - len(found)
    assert [each for each in range(1, 2001, 50) if each not in found] == []
    assert found == sorted(found)
    assert found[-50:] == list(range(1951, 2001))
    losses = [each for each in target.losses() if each.sink == "other"]
    assert sum(each.frames for each in losses) == lost
    assert all(each.first_ms and each.last_ms and each.first_ms <= each.last_ms for each in losses)
    got(target)
    assert closed(target, 2000)["queued"] == 0
    assert sum(each.stat().st_size for each in tmp_path.rglob("*.seg")) <= MIB


def test_drop_newest_keeps_what_was_first(tmp_path: Path) -> None:
    """Who wants the beginning of an incident rather than its end can have it."""
    target = queue(tmp_path, quota=MIB, memory=64 * KIB, when_full="drop_newest")
    for start in range(1, 2001, 50):
        put(target, start, 50, pad=1000)
    assert "full" in target.trouble
    found = got(target)
    assert found[:300] == list(range(1, 301))
    assert target.counts("kafka").lost == {"spool_full": 2000 - len(found)}
    got(target, "other")
    closed(target, 2000)


def test_block_asks_to_wait(tmp_path: Path) -> None:
    """Who prefers a waiting auditd to a lost event is asked to wait, and goes on when there is room."""
    target = queue(tmp_path, quota=MIB, memory=256 * KIB, when_full="block")
    start = 1
    while not target.blocked:
        put(target, start, 50, pad=1000)
        start += 50
    assert got(target) == got(target, "other") == list(range(1, start))
    target.keep_house()
    target.store()
    assert not target.blocked
    assert closed(target, start - 1)["lost"] == {}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_for_a_while_costs_nothing_that_memory_can_hold(tmp_path: Path, error: int) -> None:
    """Delivery goes on from memory, and the disk is used again as soon as it works."""
    disk = Disk()
    target = queue(tmp_path, disk=disk)
    put(target, 1, 10)
    disk.error = error
    put(target, 11, 10)
    assert target.trouble
    assert got(target) == list(range(1, 21))
    disk.error = 0
    put(target, 21, 10)
    assert target.trouble == ""
    target.close()
    target = queue(tmp_path)
    assert got(target, "other") == list(range(1, 31))


def test_a_disk_that_fails_for_long_costs_what_memory_cannot_hold(tmp_path: Path) -> None:
    """Memory stays bounded, and every event that it could not hold is counted."""
    disk = Disk()
    target = queue(tmp_path, disk=disk, memory=64 * KIB)
    disk.error = errno.EIO
    for start in range(1, 501, 50):
        put(target, start, 50, keep=(start,), pad=1000)
    found = got(target, "other")
    assert target.counts("other").lost == {"spool_failed": 500 - len(found)}
    assert [each for each in range(1, 501, 50) if each in found][-1] == 451
    got(target)
    assert closed(target, 500)["queued"] == 0


def test_a_spool_that_comes_late_is_used(tmp_path: Path) -> None:
    """A /var that is mounted after us costs nothing: delivery is from memory until then."""
    (tmp_path / "spool").write_text("in the way")
    target = queue(tmp_path)
    put(target, 1, 5)
    assert target.trouble
    assert got(target) == [1, 2, 3, 4, 5]
    (tmp_path / "spool").unlink()
    put(target, 6, 5)
    target.keep_house()
    assert (got(target), got(target, "other")) == ([6, 7, 8, 9, 10], list(range(1, 11)))
    assert closed(target, 10)["queued"] == 0


def test_damage_is_counted_and_the_rest_delivered(tmp_path: Path) -> None:
    """A flipped bit costs one commit, and says so."""
    target = queue(tmp_path)
    for start in (1, 11, 21):
        put(target, start, 10)
    target.close()
    path = next(iter((tmp_path / "spool").rglob("normal-*.seg")))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    target = queue(tmp_path)
    assert got(target) == [*range(1, 11), *range(21, 31)]
    assert target.counts("kafka").lost == {"damaged": 10}
    assert [(each.sink, each.reason, each.frames) for each in target.losses()] == [("kafka", "damaged", 10)]


def test_what_is_in_memory_only_is_counted_at_the_end() -> None:
    """Lossy is exact to the last event: what nobody took before the end is counted."""
    target = queue(None)
    put(target, 1, 10, keep=(2,))
    put(target, 11, 10)
    part = target.take("kafka", 0.0)
    assert part is not None
    target.acknowledge("kafka", [(part, which) for which in range(4)])
    target.close()
    assert closed(target, 20) == {"delivered": 4, "filtered": 1, "queued": 0, "lost": {"shutdown": 15}}


def test_a_rewind_gives_what_was_not_acknowledged(tmp_path: Path) -> None:
    """A connection that broke costs nothing, and nothing that was acknowledged is sent again."""
    target = queue(tmp_path)
    put(target, 1, 4)
    put(target, 5, 4)
    first, second = target.take("kafka", 0.0), target.take("kafka", 0.0)
    assert first is not None
    assert second is not None
    target.acknowledge("kafka", [(first, which) for which in range(4)])
    target.acknowledge("kafka", [(second, 1)])
    target.rewind("kafka")
    again = target.take("kafka", 0.0)
    assert again is second
    assert serials(again.frames, [again.wanted[which] for which in again.outstanding()]) == [5, 7, 8]
    target.give_up("kafka", again, 0, "refused")
    target.acknowledge("kafka", [(again, 2), (again, 3)])
    assert closed(target, 8) == {"delivered": 7, "filtered": 0, "queued": 0, "lost": {"refused": 1}}


class History:
    """A queue to which everything happens, and what came of it."""

    def __init__(self, folder: Path | None, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)  # noqa: S311  # a test that can be repeated
        self.disk = Disk()
        self.sent = 0
        self.wanted = dict.fromkeys(SINKS, 0)
        self.lost = dict.fromkeys(SINKS, 0)
        self.seen: dict[str, list[int]] = {sink: [] for sink in SINKS}
        self.in_flight: dict[str, list[Slice]] = {sink: [] for sink in SINKS}
        self.target = self.make()

    def make(self) -> Queue:
        """A process."""
        return queue(self.folder, memory=48 * KIB, quota=512 * KIB, disk=self.disk)

    def put(self) -> None:
        """Events come in."""
        count = self.random.randint(1, 60)
        keep = tuple(range(self.sent + 1, self.sent + count, 7))
        put(self.target, self.sent + 1, count, keep=keep, pad=self.random.randint(1, 800))
        self.sent += count
        self.wanted["kafka"] += count - len(keep)
        self.wanted["other"] += count

    def take(self) -> None:
        """A sink takes what there is, and sends it."""
        sink = self.random.choice(SINKS)
        if (part := self.target.take(sink, 0.0)) is not None:
            self.in_flight[sink].append(part)

    def acknowledge(self) -> None:
        """All that a sink sent has arrived."""
        sink = self.random.choice(SINKS)
        for part in self.in_flight[sink]:
            self.arrive(sink, part)
        self.in_flight[sink].clear()

    def arrive(self, sink: str, part: Slice) -> None:
        """What of a slice had not arrived before."""
        self.seen[sink] += serials(part.frames, [part.wanted[each] for each in part.outstanding()])
        self.target.acknowledge(sink, [(part, each) for each in part.outstanding()])

    def house(self) -> None:
        """A second goes by."""
        self.target.keep_house()

    def fault(self) -> None:
        """The disk fills up, breaks, or is mended."""
        self.disk.error = self.random.choice([0, 0, errno.ENOSPC, errno.EIO])

    def rewind(self) -> None:
        """A sink loses its connection."""
        sink = self.random.choice(SINKS)
        self.target.rewind(sink)
        self.in_flight[sink].clear()

    def restart(self) -> None:
        """The process ends, and another one begins; in lossy mode that would be another queue."""
        if self.folder is not None:
            self.target.close()
            for sink in SINKS:
                self.lost[sink] += self.target.counts(sink).lost.total()
                self.in_flight[sink].clear()
            self.target = self.make()

    def run(self) -> None:
        """Things happen, then everything is well and all is delivered."""
        happens = [self.put] * 3 + [self.take] * 2
        happens += [self.acknowledge, self.house, self.fault, self.rewind, self.restart]
        for _ in range(40):
            self.random.choice(happens)()
        self.disk.error = 0
        for sink in SINKS:
            self.target.rewind(sink)
            while (part := self.target.take(sink, 0.0)) is not None:
                self.arrive(sink, part)
            self.lost[sink] += self.target.counts(sink).lost.total()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), lossless=st.booleans())
def test_whatever_happens_the_ledger_is_exact(
    tmp_path_factory: pytest.TempPathFactory, seed: int, *, lossless: bool
) -> None:
    """Published and counted are together what was sent, in order, through full disks, slow sinks and restarts."""
    history = History(tmp_path_factory.mktemp("q") if lossless else None, seed)
    history.run()
    for sink in SINKS:
        assert history.seen[sink] == sorted(set(history.seen[sink]))
        assert len(history.seen[sink]) + history.lost[sink] == history.wanted[sink]
        assert history.target.counts(sink).queued == 0


def test_what_is_acknowledged_after_the_end_comes_again(tmp_path: Path) -> None:
    """A broker that answers in the last moment costs duplicates at most; nothing in between is skipped."""
    target = queue(tmp_path)
    put(target, 1, 10)
    part = target.take("kafka", 0.0)
    assert part is not None
    target.close()
    target.acknowledge("kafka", [(part, 0)])
    target.give_up("kafka", part, 1, "refused")
    assert target.take("kafka", 0.0) is None
    assert target.counts("kafka").queued == 10
    assert got(queue(tmp_path)) == list(range(1, 11))


def test_a_spool_that_comes_late_does_not_skip_what_is_under_way(tmp_path: Path) -> None:
    """What was sent from memory and never acknowledged is sent again by the next process."""
    (tmp_path / "spool").write_text("in the way")
    target = queue(tmp_path)
    put(target, 1, 5)
    assert got(target, acknowledge=False) == [1, 2, 3, 4, 5]
    (tmp_path / "spool").unlink()
    put(target, 6, 5)
    target.keep_house()
    target.close()
    assert got(queue(tmp_path)) == list(range(1, 11))


def test_a_disk_that_does_not_sync_costs_nothing(tmp_path: Path) -> None:
    """With `fsync = "always"`, what was written is there, for everybody but a power cut; that is told."""

    class Unsynced(Disk):
        def fsync(self, fd: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO), fd)

    def open_spool() -> Spool:
        return Spool(SpoolSettings(tmp_path / "spool", 64 * MIB, fsync="always"), {"sinks": list(SINKS)}, Unsynced())

    settings = QueueSettings(memory_bytes=64 * KIB, retry_seconds=0.0)
    target = Queue(settings, [Cursor(name, bit) for bit, name in enumerate(SINKS)], open_spool)
    target.keep_house()
    for first in range(1, 501, 50):
        put(target, first, 50, pad=500)
        assert "power cut" in target.trouble
    assert got(target) == got(target, "other") == list(range(1, 501))
    assert closed(target, 500) == {"delivered": 500, "filtered": 0, "queued": 0, "lost": {}}


def test_damage_behind_a_sink_is_not_its_loss(tmp_path: Path) -> None:
    """What was delivered before the disk broke it is not told as lost after a restart."""
    target = queue(tmp_path)
    for first in (1, 11, 21):
        put(target, first, 10)
    for _ in range(2):
        part = target.take("kafka", 0.0)
        assert part is not None
        target.acknowledge("kafka", [(part, which) for which in range(10)])
    target.close()
    (segment,) = (tmp_path / "spool" / "g0000000001").glob("normal-*.seg")
    content = bytearray(segment.read_bytes())
    batches = [found.start() for found in re.finditer(re.escape(MARK), content)]
    content[batches[3] - 100] ^= 1  # behind the segment's description, in the second of three
    segment.write_bytes(content)
    target = queue(tmp_path)
    assert got(target) == list(range(21, 31))
    assert target.counts("kafka").lost == {}
    assert target.counts("kafka").queued == 0
    assert target.counts("other").queued == 30


def test_half_a_commit_on_a_full_disk_is_counted_once(tmp_path: Path) -> None:
    """Log-ins that did not fit while the rest did: in the end each event is delivered or lost, never both."""

    class Small(Disk):
        room = 1 << 30

        def write(self, fd: int, data: memoryview) -> int:
            if len(data) > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= len(data)
            return os.write(fd, data)

    disk = Small()
    target = queue(tmp_path, memory=128 * KIB, disk=disk, when_full="drop_newest")
    put(target, 1, 5)
    disk.room = 40 * KIB
    for first in range(6, 506, 50):
        put(target, first, 50, keep=(first,), pad=500)
    disk.room = 1 << 30
    put(target, 506, 5)
    delivered = got(target), got(target, "other")
    target.keep_house()
    offered = 510
    counts = closed(target, offered)
    assert counts["queued"] == 0
    assert len(delivered[0]) == len(set(delivered[0])) == counts["delivered"]
    assert counts["delivered"] + counts["filtered"] + sum(counts["lost"].values()) == offered


def test_room_is_given_back_also_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others filled the disk: what everybody has is removed although the cursors cannot be saved."""
    first = queue(tmp_path)
    put(first, 1, 10)
    first.close()
    target = queue(tmp_path)
    assert got(target) == got(target, "other") == list(range(1, 11))

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("audisp_pyaudit.delivery.store.replace_file", full)
    with pytest.raises(OSError, match="No space"):
        target.keep_house()
    assert not (tmp_path / "spool" / "g0000000001").exists()


def test_a_commit_that_can_never_fit_costs_nothing_else(tmp_path: Path) -> None:
    """Monstrous events do not empty the spool to make room for themselves."""
    target = queue(tmp_path, quota=MIB)
    for first in range(1, 301, 50):
        put(target, first, 50, pad=300)
    put(target, 301, 30, pad=50_000)
    assert "full" in target.trouble
    assert got(target)[:300] == list(range(1, 301))
    assert target.counts("kafka").lost == {}


def test_what_an_elder_wrote_meanwhile_counts(tmp_path: Path) -> None:
    """The quota holds also after a restart during which the old process was still writing."""
    elder = queue(tmp_path)
    opened: list[Spool] = []

    def open_spool() -> Spool:
        opened.append(Spool(SpoolSettings(tmp_path / "spool", 64 * MIB), {"sinks": list(SINKS)}))
        return opened[-1]

    heir = Queue(QueueSettings(), [Cursor(name, bit) for bit, name in enumerate(SINKS)], open_spool)
    put(elder, 1, 100)
    elder.close()
    heir.keep_house()
    there = sum(each.stat().st_size for each in (tmp_path / "spool").rglob("*.seg"))
    assert opened[0].bytes == there > 0
    assert got(heir) == got(heir, "other") == list(range(1, 101))
    heir.keep_house()
    assert opened[0].bytes >= 0
