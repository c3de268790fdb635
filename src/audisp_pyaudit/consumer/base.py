"""What all consumers have in common: iteration, duplicates, what is skipped and counted.

In: a source, which gives documents and problems in order. Out: documents, each once. What was handed out is told to the
source as finished when the next is asked for, or by `commit()`. Not thread-safe: one thread uses a consumer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from audisp_pyaudit.consumer.documents import Document, identity
from audisp_pyaudit.consumer.seen import Seen
from audisp_pyaudit.errors import ConsumerError

# Ids of a host that are remembered. A plugin that begins again sends at most the 10,000 messages that librdkafka held,
# and what it had delivered in the last second; the others are for who is given a partition a second time.
SEEN_IDS = 100_000
# How long a source may wait at a time: ^C is heard in between.
SLICE_SECONDS = 0.2


@dataclass
class Counts:
    """What came, and what became of it."""

    events: int = 0  # handed out
    duplicates: int = 0  # dropped: they had been handed out
    errors: int = 0  # messages that were no documents, skipped
    skipped: int = 0  # offsets that were not there any more: what had them is lost to this consumer
    troubles: int = 0  # times that the source was away or said that something is wrong


@dataclass(frozen=True)
class Problem:
    """Something that does not end the iteration.

    Args:
        error: what the user is told.
        counter: the name in `Counts` under which it is counted.
        count: how often.
    """

    error: ConsumerError
    counter: Literal["errors", "skipped", "troubles"] = "errors"
    count: int = 1


class EndOfEvents(Exception):  # noqa: N818  # no error: as StopIteration
    """A source has no more events, and never will."""


class Source(Protocol):
    """Where documents come from."""

    @property
    def where(self) -> str:
        """As errors name it."""

    def receive(self, seconds: float) -> Document | Problem | None:
        """The next; None if nothing came in so many seconds.

        Raises:
            EndOfEvents: there is no more.
            ConsumerError: it cannot be read any more.
        """

    def finish(self) -> None:
        """Note that everything that was received is finished with."""

    def commit(self) -> None:
        """Wait until what is finished is remembered outside this process.

        Raises:
            ConsumerError: it could not be.
        """

    def close(self) -> None:
        """Let go of everything."""


class Consumer:
    """Events, by iteration or one by one.

    Args:
        source: where they come from; it is closed with this.
        auto_commit: whether asking for the next event finishes those before it.
        deduplicate: ids of a host to remember; 0 for none.
        on_error: told of what does not end the iteration.
    """

    def __init__(
        self,
        source: Source,
        *,
        auto_commit: bool = True,
        deduplicate: int = SEEN_IDS,
        on_error: Callable[[ConsumerError], None] | None = None,
    ) -> None:
        self.counts = Counts()
        self.ended = False
        self._source = source
        self._auto_commit = auto_commit
        self._seen = Seen(deduplicate) if deduplicate else None
        self._on_error = on_error
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Document:
        document = self.poll(None)
        if document is None:
            raise StopIteration
        return document

    def poll(self, seconds: float | None) -> Document | None:
        """The next event.

        Args:
            seconds: how long to wait for one; None for as long as it takes.

        Returns:
            A document, or None: nothing came in time, or (see `ended`) nothing will.

        Raises:
            ConsumerError: events cannot be read any more.
        """
        if self._closed:
            raise ConsumerError(self._source.where, "the consumer was closed")
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.ended:
            if self._auto_commit:
                self._source.finish()
            left = SLICE_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                found = self._source.receive(min(left, SLICE_SECONDS))
            except EndOfEvents:
                self.ended = True
                break
            if isinstance(found, Problem):
                self._skip(found)
            elif found is not None:
                if not self._again(found):
                    self.counts.events += 1
                    return found
                self.counts.duplicates += 1
            elif deadline is not None and time.monotonic() >= deadline:
                break
        return None

    def commit(self) -> None:
        """All events that were handed out are finished with; wait until the brokers have noted it.

        Without a group, and for sockets and files, there is nothing to note.

        Raises:
            ConsumerError: the brokers did not; those events may come again.
        """
        self._source.finish()
        self._source.commit()

    def close(self) -> None:
        """Stop. With a group, what was finished is committed; the event in hand is not unless `commit()` said so."""
        if not self._closed:
            self._closed = True
            self._source.close()

    def _again(self, document: Document) -> bool:
        known = identity(document) if self._seen is not None else None
        return known is not None and self._seen is not None and self._seen.again(*known)

    def _skip(self, problem: Problem) -> None:
        setattr(self.counts, problem.counter, getattr(self.counts, problem.counter) + problem.count)
        if self._on_error is not None:
            self._on_error(problem.error)
