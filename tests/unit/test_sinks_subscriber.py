"""The queue of one subscriber."""

from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.sinks.base import SinkStats
from audisp_pyaudit.sinks.subscriber import Subscriber


def notice(frames: int, size: int) -> bytes:
    """A notice that a test can read."""
    return b"missing %d %d\n" % (frames, size)


def subscriber(limit: int) -> tuple[Subscriber, SinkStats]:
    """A queue and its ledger."""
    stats = SinkStats()
    return Subscriber("json-lines", limit, notice, stats), stats


def read(queue: Subscriber, count: int) -> bytes:
    """Read like a socket that takes `count` bytes."""
    got = b""
    while count and (data := queue.next_bytes()) is not None:
        part = bytes(data[:count])
        queue.sent(len(part))
        count -= len(part)
        got += part
    return got


def test_who_keeps_up_gets_everything() -> None:
    """The stream of a reader that reads is complete and in order."""
    queue, stats = subscriber(100)
    for number in range(20):
        queue.offer(b"event %d\n" % number, 1)
        assert read(queue, 100) == b"event %d\n" % number
    assert (stats.offered, stats.delivered, stats.queued) == (20, 20, 0)
    assert stats.closed


def test_who_falls_behind_is_told_where() -> None:
    """Exactly where events are missing stands how many, then the stream goes on."""
    queue, stats = subscriber(20)
    queue.offer(b"aaaa\nbbbb\ncccc\ndddd\neeee\n", 5)
    queue.offer(b"ffff\n", 1)
    assert read(queue, 5) == b"aaaa\n"
    queue.offer(b"gggg\n", 1)
    assert read(queue, 7) == b"bbbb\ncc"
    assert read(queue, 100) == b"cc\ndddd\nmissing 3 15\n"
    queue.offer(b"hhhh\n", 1)
    assert read(queue, 100) == b"hhhh\n"
    assert (stats.delivered, dict(stats.lost)) == (5, {"slow": 3})
    assert stats.closed


def test_how_long_events_took_to_be_read() -> None:
    """An event counts when its last byte is gone; the oldest that waits is known; a notice is none."""
    queue, stats = subscriber(20)
    latency = stats.latency
    assert queue.oldest_ms is None
    queue.offer(b"aaaa\nbbbb\n", 2, [1000, 2000])
    queue.offer(b"cccc\n", 1, [3000])
    assert queue.oldest_ms == 1000
    read(queue, 9)
    assert sum(latency.counts) == 0
    read(queue, 1)
    assert [sum(latency.counts), queue.oldest_ms] == [2, 3000]
    queue.offer(b"dddd\neeee\nffff\ngggg\nhhhh\n", 5, [4000])
    read(queue, 200)
    assert sum(latency.counts) == stats.delivered
    queue.offer(b"iiii\njjjj\n", 2, [5000])
    read(queue, 6)
    queue.leave("left")
    assert sum(latency.counts) == stats.delivered
    assert queue.oldest_ms is None


def test_an_event_larger_than_all_the_room() -> None:
    """A reader that keeps up gets every event, however large, and what comes before and after it in one go."""
    queue, stats = subscriber(10)
    huge = b"x" * 50 + b"\n"
    for _ in range(3):
        queue.offer(b"aaa\n" + huge + b"bbb\n", 3)
        assert read(queue, 100) == b"aaa\n" + huge + b"bbb\n"
    assert (stats.delivered, stats.queued, stats.lost.total()) == (9, 0, 0)
    assert stats.closed


def test_a_second_event_larger_than_all_the_room() -> None:
    """For a reader that does not read, one huge event may wait, not two: memory stays bounded."""
    queue, stats = subscriber(10)
    huge = b"x" * 50 + b"\n"
    queue.offer(huge, 1)
    queue.offer(huge, 1)
    assert read(queue, 200) == huge + b"missing 1 51\n"
    assert dict(stats.lost) == {"slow": 1}
    assert stats.closed


def test_who_leaves_loses_the_rest() -> None:
    """What was wholly sent is delivered, what waits is lost; a part of an event is no event."""
    queue, stats = subscriber(100)
    queue.offer(b"aaaa\nbbbb\ncccc\n", 3)
    queue.offer(b"dddd\n", 1)
    read(queue, 7)
    queue.leave("left")
    assert (stats.delivered, stats.queued, dict(stats.lost)) == (1, 0, {"left": 3})
    assert stats.closed
    assert queue.next_bytes() is None
    queue.leave("left")
    assert stats.closed


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("offer"), st.lists(st.integers(1, 30), min_size=1, max_size=5)),
            st.tuples(st.just("read"), st.integers(1, 80)),
        ),
        max_size=40,
    ),
    st.integers(4, 120),
)
def test_the_stream_is_complete_but_for_what_it_says(steps: list[tuple[str, list[int] | int]], limit: int) -> None:
    """However offers and reads interleave: what arrives, and what notices say is missing, is what was offered."""
    queue, stats = subscriber(limit)
    number, got, sent = 0, b"", b""
    for kind, what in steps:
        if isinstance(what, list):
            lines = []
            for length in what:
                lines.append(b"%d:" % number + b"x" * length + b"\n")
                number += 1
            blob = b"".join(lines)
            sent += blob
            queue.offer(blob, len(lines))
            assert queue._waiting <= limit + 40  # a notice may stand on top
        else:
            assert kind == "read"
            got += read(queue, what)
        assert stats.closed
    while (data := queue.next_bytes()) is not None:
        got += read(queue, len(data))
    expected = 0
    all_lines = sent.splitlines()
    for line in got.splitlines():
        if line.startswith(b"missing"):
            expected += int(line.split()[1])
        else:
            assert line == all_lines[expected]
            expected += 1
    assert expected == number
    assert stats.queued == 0
    assert stats.closed
