"""How far a sink may fall behind that others do not wait for."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery import lag
from audisp_pyaudit.delivery.cursor import Cursor, Position, Slice
from audisp_pyaudit.delivery.lag import between, place_within
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from tests.frames import frames, serials

KIB = 1024


def queue(folder: Path, made: list[Spool], lag: int = 200 * KIB) -> Queue:
    """A queue for a sink that data is held for, and one that may fall behind."""

    def opened() -> Spool:
        settings = SpoolSettings(folder / "spool", 1 << 30, segment_bytes=64 * KIB)
        made.append(Spool(settings, {"sinks": ["kafka", "slow"]}))
        return made[-1]

    sinks = [Cursor("kafka", 0), Cursor("slow", 1, max_lag_bytes=lag)]
    target = Queue(QueueSettings(memory_bytes=64 * KIB), sinks, opened)
    target.keep_house()
    return target


def put(target: Queue, first: int, count: int, keep: tuple[int, ...] = ()) -> None:
    """Events of a kilobyte and more, a commit for every ten."""
    for start in range(first, first + count, 10):
        target.append(frames(range(start, start + 10), keep=keep, sinks=("kafka", "slow"), pad=1000))
        target.commit()


def got(target: Queue, sink: str, *, acknowledge: bool = True) -> list[int]:
    """What a sink is given now."""
    found: list[int] = []
    while (part := target.take(sink, 0.0)) is not None:
        found += serials(part.frames, part.wanted)
        if acknowledge:
            target.acknowledge(sink, [(part, which) for which in range(len(part.wanted))])
    return found


def test_who_keeps_up_costs_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at every second's end must not read a segment of 64 MiB through, on a host where nobody is behind."""
    made: list[Spool] = []
    target = queue(tmp_path, made, lag=1 << 20)
    put(target, 1, 100)

    def unexpected(_path: Path) -> None:
        raise AssertionError("nothing has to be read")

    monkeypatch.setattr(lag, "batches_of", unexpected)
    assert place_within(made[0], 1 << 20, Position(1, 95)) is None
    monkeypatch.undo()
    assert place_within(made[0], 1, Position(1, 1)) is not None


@pytest.mark.parametrize("in_flight", [0, 3])
def test_who_is_not_waited_for_loses_the_oldest_and_it_is_counted(tmp_path: Path, in_flight: int) -> None:
    """A collector that is off for a month costs its own events only, and the disk is given back."""
    made: list[Spool] = []
    target = queue(tmp_path, made)
    put(target, 1, 20, keep=(5, 15))
    given = [target.take("slow", 0.0) for _ in range(in_flight)]
    put(target, 21, 980, keep=(500, 900))
    assert got(target, "kafka") == list(range(1, 1001))
    target.keep_house()
    assert made[0].bytes < 400 * KIB
    rest = got(target, "slow")
    assert rest == list(range(rest[0], 1001))
    assert 20 < len(rest) < 300
    counts = target.counts("slow")
    assert (dict(counts.lost), counts.queued) == ({"lag": 1000 - len(rest)}, 0)
    for part in given:  # acknowledged too late: it was counted as lost
        if part is not None:
            target.acknowledge("slow", [(part, which) for which in range(len(part.wanted))])
    assert target.counts("slow") == counts
    assert target.counts("kafka").lost == {}
    target.close()


def test_who_keeps_up_loses_nothing(tmp_path: Path) -> None:
    """The limit is of what waits, not of what there was."""
    target = queue(tmp_path, [])
    for first in range(1, 1001, 100):
        put(target, first, 100)
        assert got(target, "slow") == list(range(first, first + 100))
        target.keep_house()
    assert target.counts("slow").lost == {}
    target.close()


def test_a_place_is_found_across_processes(tmp_path: Path) -> None:
    """What processes before this one left counts, too."""
    made: list[Spool] = []
    for first in (1, 201, 401):
        target = queue(tmp_path, made, lag=1 << 30)
        put(target, first, 200)
        target.close()
    spool = Spool(SpoolSettings(tmp_path / "spool", 1 << 30), {})
    begin = Position(1, 0)
    assert place_within(spool, 1 << 30, begin) is None
    place = place_within(spool, 100 * KIB, begin)
    assert place is not None
    assert place.generation == 3
    passed = sum(found.routed for found in between(spool, begin, place, "slow"))
    left = sum(found.routed for found in between(spool, place, Position(4, 0), "slow"))
    assert (passed + left, left < 150) == (600, True)
    spool.close()


def test_what_was_read_of_a_segment_does_not_count(tmp_path: Path) -> None:
    """A sink that is a little behind loses nothing when the spool begins a new segment."""
    target = queue(tmp_path, [], lag=100 * KIB)
    behind: list[Slice] = []
    for first in range(1, 2001, 10):
        put(target, first, 10)
        part = target.take("slow", 0.0)
        assert part is not None
        behind.append(part)
        if len(behind) > 1:
            done = behind.pop(0)
            target.acknowledge("slow", [(done, which) for which in range(len(done.wanted))])
        target.keep_house()
    assert target.counts("slow").lost == {}
    target.close()
