"""The pipeline's end of the queue: frames of any origin go in, and once a second its house is looked after.

In: frames, from the pipeline's thread. Out: what the log and the consumers have to be told.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from audisp_pyaudit._engine import Frame as EngineFrame
from audisp_pyaudit._engine import Frames as EngineFrames
from audisp_pyaudit.delivery.accounts import Lost
from audisp_pyaudit.delivery.level import Level
from audisp_pyaudit.delivery.queue import Queue
from audisp_pyaudit.framing import Frame, Frames
from audisp_pyaudit.logs import Log
from audisp_pyaudit.notices import timestamp_of

# How often what was written is synced to the disk with `fsync = "interval"`.
SYNC_SECONDS = 1.0


class Feed:
    """Feeds the queue.

    Args:
        queue: the queue.
        encodings: of the engine's frames; frames that are made here get the same.
        waits_ms: how long an event may have waited for its end when one came after it was committed already. What a
            killed process held may be so much older than the last that it committed.
    """

    def __init__(self, queue: Queue, encodings: Sequence[str], waits_ms: int = 0) -> None:
        self._waits_ms = waits_ms
        self._queue = queue
        self.encodings = encodings
        self._trouble = ""
        self._totals: Counter[tuple[str, str]] = Counter()
        self._started_ms = time.time_ns() // 1_000_000
        self._end = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="spool sync", daemon=True)
        self._syncer.start()

    def append(self, frames: Frames | EngineFrames) -> None:
        """Take frames, the engine's or our own."""
        if isinstance(frames, EngineFrames):
            self._queue.append(frames)
            return
        for index in range(len(frames)):
            self._queue.append(self._as_engine(frames[index]))

    def _as_engine(self, frame: Frame) -> EngineFrames:
        if isinstance(frame, EngineFrame):
            return EngineFrames.collected([frame])
        documents = {name: getattr(frame, name) for name in self.encodings}
        host, time_ms = getattr(frame, "host", ""), getattr(frame, "time_ms", 0)
        return EngineFrames.single(identity=frame.id, host=host, time_ms=time_ms, routes=frame.routes, **documents)

    def due(self, wait: float) -> float:
        """How long the pipeline may wait at most."""
        due = self._queue.due
        return wait if due is None else min(wait, due)

    def is_of(self, queue: Queue) -> bool:
        """Whether that is what it feeds."""
        return queue is self._queue

    @property
    def blocked(self) -> bool:
        """Whether nothing more should come, since it would be lost."""
        return self._queue.blocked

    def level(self) -> Level:
        """How full the queue is."""
        return self._queue.level()

    def commit_if_due(self) -> None:
        """Commit what has waited for long enough."""
        if self._queue.due == 0.0:
            self._queue.commit()

    def commit(self) -> None:
        """Commit what waits."""
        self._queue.commit()

    def keep_house(self, log: Log, *, remind: bool) -> None:
        """What is due about every second; troubles are told when they begin and end, and again each minute."""
        self._queue.store()
        why = ""
        try:
            self._queue.keep_house()
        except OSError as error:
            why = f"{error.filename or 'spool'}: {error.strerror}"
        trouble = self._queue.trouble or why
        if trouble and (remind or trouble != self._trouble):
            log.warning("spool does not work; holding events in memory", why=trouble)
        elif self._trouble and not trouble:
            log.info("spool works again")
        self._trouble = trouble

    def announcements(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """What the consumers have to be told since the last call: `event.action`, and what stands in `auditd.lost`."""
        for lost in self._losses():
            yield "frames-dropped", lost
        for damage in self._queue.damages():
            where = f"{damage.path.parent.name}/{damage.path.name}, byte {damage.offset}"
            yield "spool-damaged", {"reason": "damaged", "bytes": damage.size, "where": where, "why": damage.why}
        for stop in self._queue.unclean_stops():
            last_ms = stop.ending.last_ms
            start = None if last_ms is None else timestamp_of(max(0, last_ms - self._waits_ms))
            span = {"start": start, "end": timestamp_of(self._started_ms)}
            yield "unclean-stop", {"reason": "unclean_stop", **span}

    def announced(self) -> None:
        """What `announcements` gave was taken; what must not be told twice is committed and remembered."""
        with contextlib.suppress(OSError):  # then it is told again by the next process
            self._queue.told()

    def _losses(self) -> Iterator[Mapping[str, object]]:
        """What sinks never get, by sink and reason."""
        for (sink, reason), group in groupby(sorted(self._queue.losses(), key=_whose), _whose):
            losses = list(group)
            frames = sum(each.frames for each in losses)
            self._totals[sink, reason] += frames
            starts = [each.first_ms for each in losses if each.first_ms is not None]
            ends = [each.last_ms for each in losses if each.last_ms is not None]
            yield {
                "reason": reason,
                "sink": sink,
                "frames": frames,
                # What tells of a loss may be lost itself; the next one that arrives says it all.
                "total": self._totals[sink, reason],
                "start": timestamp_of(min(starts, default=None)),
                "end": timestamp_of(max(ends, default=None)),
            }

    def _sync(self) -> None:
        while not self._end.wait(SYNC_SECONDS):
            try:
                self._queue.sync()
            except OSError:
                continue  # writing fails too, which is told

    def close(self) -> None:
        """Commit, and say that all was said."""
        self._end.set()
        self._queue.close()


def _whose(lost: Lost) -> tuple[str, str]:
    return lost.sink, lost.reason
