"""The pipeline's end of the queue: frames of any origin go in, and once a second its house is looked after.

In: frames, from the pipeline's thread. Out: what the log and the consumers have to be told.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audisp_pyaudit._engine import Frame as EngineFrame
from audisp_pyaudit._engine import Frames as EngineFrames
from audisp_pyaudit.delivery.queue import Queue
from audisp_pyaudit.framing import Frame, Frames
from audisp_pyaudit.logs import Log

# How often what was written is synced to the disk with `fsync = "interval"`.
SYNC_SECONDS = 1.0


class Feed:
    """Feeds the queue.

    Args:
        queue: the queue.
        encodings: of the engine's frames; frames that are made here get the same.
    """

    def __init__(self, queue: Queue, encodings: Sequence[str]) -> None:
        self._queue = queue
        self._encodings = encodings
        self._trouble = ""
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
        documents = {name: getattr(frame, name) for name in self._encodings}
        host, time_ms = getattr(frame, "host", ""), getattr(frame, "time_ms", 0)
        return EngineFrames.single(identity=frame.id, host=host, time_ms=time_ms, routes=frame.routes, **documents)

    def due(self, wait: float) -> float:
        """How long the pipeline may wait at most."""
        due = self._queue.due
        return wait if due is None else min(wait, due)

    @property
    def blocked(self) -> bool:
        """Whether nothing more should come, since it would be lost."""
        return self._queue.blocked

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

    def losses(self) -> Iterator[Mapping[str, object]]:
        """What sinks never get since the last call, by sink and reason."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for each in self._queue.losses():
            entry = found.setdefault((each.sink, each.reason), {"reason": each.reason, "sink": each.sink, "frames": 0})
            entry["frames"] += each.frames
            if each.first_ms is not None and each.last_ms is not None:
                entry["first"] = min(entry.get("first", each.first_ms), each.first_ms)
                entry["last"] = max(entry.get("last", each.last_ms), each.last_ms)
        yield from found.values()

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
