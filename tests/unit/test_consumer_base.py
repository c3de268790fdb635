"""What all consumers have in common."""

import time
from typing import Any

import pytest

from audisp_pyaudit.consumer.base import Consumer, Counts, EndOfEvents, Problem
from audisp_pyaudit.consumer.documents import Document, identity
from audisp_pyaudit.errors import ConsumerError


def event(number: int, host: str = "h") -> Document:
    """An event."""
    return {"event": {"id": f"{host}:{number}"}, "host": {"id": host}}


class FakeSource:
    """Gives what a test says, and notes what it is told."""

    where = "fake"

    def __init__(self, *items: Document | Problem | Exception | None) -> None:
        self.items = list(items)
        self.told: list[Any] = []
        self.closed = 0

    def receive(self, seconds: float) -> Document | Problem | None:
        """The next of a test's items."""
        if not self.items:
            raise EndOfEvents
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        if item is None:
            time.sleep(min(seconds, 0.005))
        self.told.append(identity(item) and item["event"]["id"] if isinstance(item, dict) else type(item).__name__)
        return item

    def finish(self) -> None:
        """Note it."""
        self.told.append("finish")

    def commit(self) -> None:
        """Note it."""
        self.told.append("commit")

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def problem() -> Problem:
    """A message that is no document."""
    return Problem(ConsumerError("fake, offset 5", "it is empty"))


def ids(consumer: Consumer) -> list[str]:
    """Ids of all that comes."""
    return [each["event"]["id"] for each in consumer]


def test_every_event_once_in_order() -> None:
    """A consumer's loop sees each event once, whatever its source repeats, and the count says how many were dropped."""
    consumer = Consumer(FakeSource(event(1), event(2), event(1), event(1, "i"), event(2), event(3)))
    assert ids(consumer) == ["h:1", "h:2", "i:1", "h:3"]
    assert consumer.counts == Counts(events=4, duplicates=2)
    assert consumer.ended


def test_duplicates_can_be_had() -> None:
    """Who overwrites by id anyway need not pay for it; maps without an id are never duplicates."""
    assert ids(Consumer(FakeSource(event(1), event(1)), deduplicate=0)) == ["h:1", "h:1"]
    assert len(list(Consumer(FakeSource({"a": 1}, {"a": 1})))) == 2


def test_an_event_is_finished_when_the_next_is_asked_for() -> None:
    """A program that is killed while it works on an event gets it again: nothing says before that it is done."""
    source = FakeSource(event(1), event(1), event(2), event(3))
    consumer = Consumer(source)
    next(consumer)
    assert source.told == ["finish", "h:1"]
    next(consumer)
    assert source.told[2:] == ["finish", "h:1", "finish", "h:2"]
    consumer.close()
    assert source.told[-1] == "h:2", "the event in hand is not finished by leaving"


def test_only_a_commit_finishes_where_that_is_wanted() -> None:
    """A program that works on many events at a time says itself when they are done."""
    source = FakeSource(event(1), problem(), event(2), event(3))
    consumer = Consumer(source, auto_commit=False)
    next(consumer)
    next(consumer)
    assert source.told == ["h:1", "Problem", "h:2"]
    consumer.commit()
    assert source.told[3:] == ["finish", "commit"]


def test_what_is_no_document_ends_nothing() -> None:
    """One message of a stranger costs itself: it is counted and told, and the next event comes."""
    told: list[ConsumerError] = []
    items = (event(1), problem(), Problem(ConsumerError("fake", "gone"), "skipped", 7), event(2))
    consumer = Consumer(FakeSource(*items), on_error=told.append)
    assert ids(consumer) == ["h:1", "h:2"]
    assert consumer.counts == Counts(events=2, errors=1, skipped=7)
    assert [str(each) for each in told] == ["fake, offset 5: it is empty", "fake: gone"]
    assert ids(Consumer(FakeSource(*items))) == ["h:1", "h:2"], "nobody has to listen"


def test_who_is_told_may_stop() -> None:
    """A program that must not miss anything stops at the message, and comes back to it."""

    def stop(error: ConsumerError) -> None:
        raise error

    source = FakeSource(event(1), problem(), event(2))
    consumer = Consumer(source, on_error=stop)
    next(consumer)
    with pytest.raises(ConsumerError, match="it is empty"):
        next(consumer)
    assert source.told == ["finish", "h:1", "finish", "Problem"]


def test_waiting_has_an_end() -> None:
    """A program with other work to do gets None when nothing came in time, and can tell that from the end."""
    consumer = Consumer(FakeSource(None, None, event(1), *[None] * 1000))
    assert consumer.poll(10) == event(1)
    start = time.monotonic()
    assert consumer.poll(0.02) is None
    assert 0.02 <= time.monotonic() - start < 5
    assert not consumer.ended
    consumer = Consumer(FakeSource())
    assert consumer.poll(10) is None
    assert consumer.ended
    assert consumer.poll(None) is None


def test_errors_pass_and_closing_is_once() -> None:
    """What cannot be read any more is an error of one type; leaving the block lets go of everything."""
    source = FakeSource(ConsumerError("fake", "broken"))
    with Consumer(source) as consumer, pytest.raises(ConsumerError, match="fake: broken"):
        next(consumer)
    consumer.close()
    assert source.closed == 1
    with pytest.raises(ConsumerError, match="was closed"):
        consumer.poll(0)
