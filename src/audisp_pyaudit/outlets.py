"""The outlets: the sinks there are and those there were, and the queue that some of them take from.

In: frames from the pipeline's thread; sinks that come, go or follow another one when the configuration changes. Out:
frames to every sink, and one account for each name, whichever sinks had it one after another. A sink that is replaced
ends beside the one that follows, so that neither the pipeline nor a subscriber of another sink waits for it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from audisp_pyaudit.delivery.feed import Feed
from audisp_pyaudit.framing import Frames
from audisp_pyaudit.sinks.base import Sink, SinkStats
from audisp_pyaudit.sinks.queued import QueuedSink
from audisp_pyaudit.sinks.unix import UnixSink

# What a subscriber gets to take what waits for it, when its sink is replaced.
PARTING_SECONDS = 0.5


class Outlets:
    """Where frames go.

    Args:
        sinks: the sinks, which know their bits in a frame's routes themselves.
        feed: the queue that sinks which acknowledge take frames from; None if there is no such sink.
        failed: told of a sink that raises, which is a bug, the first time that it does.
    """

    def __init__(
        self,
        sinks: Iterable[Sink],
        feed: Feed | None = None,
        failed: Callable[[str, Exception], None] = lambda _name, _error: None,
    ) -> None:
        self._sinks = {sink.name: sink for sink in sinks}
        self._failed = failed
        self._broken: set[Sink] = set()
        self._gone: dict[str, list[Sink]] = {}
        self._folded: dict[str, SinkStats] = {}  # of those of them whose numbers do not change any more
        self._absent: dict[str, int] = {}  # frames that were published while no sink had the name
        self._gone_since: dict[str, int] = {}  # frames that had been published by then
        self._parting: list[threading.Thread] = []
        self.feed = feed
        self.frames = 0  # published to all

    @property
    def sinks(self) -> Sequence[Sink]:
        """Those there are."""
        return list(self._sinks.values())

    def get(self, name: str) -> Sink:
        """The sink that has a name now."""
        return self._sinks[name]

    def publish(self, frames: Frames) -> None:
        """Give frames to everybody."""
        if not len(frames):
            return
        self.frames += len(frames)
        if self.feed is not None:
            self.feed.append(frames)
        for sink in self._sinks.values():
            self._deliver(sink, frames)

    def _deliver(self, sink: Sink, frames: Frames) -> None:
        """Sinks do not raise; one with a bug costs what it does not deliver, and its ledger shows it."""
        try:
            sink.deliver(frames)
        except Exception as error:  # noqa: BLE001  # see above
            if sink not in self._broken:
                self._failed(sink.name, error)
            self._broken.add(sink)

    # --- changes ------------------------------------------------------------------------------------------------------

    def add(self, sink: Sink) -> None:
        """A sink comes."""
        name = sink.name
        self._absent[name] = self._absent.get(name, 0) + self.frames - self._gone_since.pop(name, 0)
        before = [each for each in self._gone.get(name, []) if isinstance(each, QueuedSink)]
        if before and isinstance(sink, QueuedSink) and before[-1].queue is sink.queue:
            sink.follow(before[-1])  # the account of its place in the queue goes on
            self._gone[name].remove(before[-1])
        self._sinks[name] = sink
        sink.start()

    def remove(self, name: str) -> None:
        """A sink goes."""
        sink = self._sinks.pop(name)
        self._gone.setdefault(name, []).append(sink)
        self._gone_since[name] = self.frames
        self._part(sink)

    def replace(self, sink: Sink) -> None:
        """A sink takes the place of the one that has its name."""
        before = self._sinks[sink.name]
        if isinstance(before, QueuedSink) and isinstance(sink, QueuedSink):
            before.close(time.monotonic())
            sink.follow(before)
            sink.start()
        else:
            # The name of a socket means one of the two at any time; a file is finished before another one has it.
            overlap = isinstance(before, UnixSink) and isinstance(sink, UnixSink)
            if overlap:
                sink.start()
            self._gone.setdefault(sink.name, []).append(before)
            self._part(before)
            if not overlap:
                sink.start()
        self._sinks[sink.name] = sink

    def _part(self, sink: Sink) -> None:
        """Have a sink end; one that waits for its readers does so on a thread of its own."""
        if isinstance(sink, UnixSink):
            deadline = time.monotonic() + PARTING_SECONDS
            thread = threading.Thread(target=sink.close, args=(deadline,), name=f"end of {sink.name}", daemon=True)
            thread.start()
            self._parting = [each for each in self._parting if each.is_alive()] + [thread]
        else:
            sink.close(time.monotonic())
        self._fold()  # not before: a sink that ends may have something to give up yet

    def _fold(self) -> None:
        """Keep the numbers of sinks that have ended, not the sinks: there may be a reload a minute, for years."""
        for name, sinks in self._gone.items():
            for sink in [each for each in sinks if self._has_ended(each)]:
                self._folded[name] = self._folded.get(name, SinkStats()) + sink.stats()
                sinks.remove(sink)

    def _has_ended(self, sink: Sink) -> bool:
        if isinstance(sink, QueuedSink):  # one that comes again takes its place in the same queue
            return self.feed is None or not self.feed.is_of(sink.queue)
        return not (isinstance(sink, UnixSink) and sink.alive)

    # --- the end, and the account -------------------------------------------------------------------------------------

    def close(self, deadline: float) -> None:
        """Let all sinks go: those that take from the queue, the queue, then those that wait for their readers."""
        queued = [sink for sink in self._sinks.values() if isinstance(sink, QueuedSink)]
        for sink in queued:
            sink.close(deadline)
        # What is safe on disk is said to be before anybody's reader is waited for.
        if self.feed is not None:
            self.feed.close()
        for each in self._sinks.values():
            if each not in queued:
                each.close(deadline)
        for thread in self._parting:
            thread.join(max(0.0, deadline - time.monotonic()))

    def stats(self) -> dict[str, SinkStats]:
        """The account of every name, whether a sink has it now or not."""
        return {name: self._stats(name) for name in dict.fromkeys(chain(self._sinks, self._gone))}

    def _stats(self, name: str) -> SinkStats:
        now = self._sinks.get(name)
        total = self._folded.get(name, SinkStats()) + SinkStats()  # a copy
        for sink in (*self._gone.get(name, []), *([now] if now else [])):
            total += sink.stats()
        total.absent = self._absent.get(name, 0)
        if now is None:
            total.absent += self.frames - self._gone_since[name]
        return total
