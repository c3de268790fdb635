"""The Rust engine, held so that a bug in it costs one line and not the process.

In: chunks of bytes, time, names. Out: frames. A Rust panic is a bug; it is caught here, counted and reported, and a
fresh engine takes over: it is built from the last snapshot, what was fed since is fed again (frames that were delivered
already are thrown away), and the chunk that broke the old one is fed line by line. The line that breaks it
again is published unparsed. If the engine breaks on the same call time and again, it starts without what it held;
those records are counted as `records_lost_panic`.

Nothing else is caught here: a wrong argument is an error of ours and has to be seen.
"""

import contextlib
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from audisp_pyaudit.framing import Frame, FrameList, Frames

# What may have to be fed again after a panic, and how many calls. What they gave is kept too, some four times as much.
# A snapshot costs one copy of what the engine holds.
REPLAY_BYTES = 1024 * 1024
REPLAY_CALLS = 4096
_GIVE_FRAMES = ("feed", "feed_unparsed", "tick", "end", "close")
# The same call breaks this often in a row: what the engine holds is what breaks it.
MAX_STREAK = 3
MAX_REPORTS = 10
# A line that long is fed in pieces; the engine's own limit cuts it.
MAX_TAIL_BYTES = 1024 * 1024


class RawEngine(Protocol):
    """The seam: what `audisp_pyaudit._engine.Engine` offers."""

    def feed(self, chunk: bytes, /) -> Frames: ...  # noqa: D102  # documented in the seam
    def feed_unparsed(self, line: bytes, /) -> Frames: ...  # noqa: D102
    def tick(self, now_ms: int, /) -> Frames: ...  # noqa: D102
    def wants(self) -> list[tuple[str, str]]: ...  # noqa: D102
    def tell(self, kind: str, key: str, value: str | None, /) -> None: ...  # noqa: D102
    def state(self) -> bytes: ...  # noqa: D102
    def end(self) -> Frames: ...  # noqa: D102
    def close(self) -> Frames: ...  # noqa: D102
    def stats(self) -> dict[str, int]: ...  # noqa: D102


Build = Callable[[dict[str, object], bytes | None], RawEngine]


def build_raw(options: dict[str, object], state: bytes | None) -> RawEngine:
    """The real engine.

    Raises:
        ValueError: options or state are of no use.
    """
    from audisp_pyaudit._engine import Engine as RustEngine  # noqa: PLC0415  # intake starts before it is loaded

    return cast("RawEngine", RustEngine(options, state))


def is_panic(error: BaseException) -> bool:
    """Whether an exception is a Rust panic (PyO3's class for it cannot be imported)."""
    return type(error).__name__ == "PanicException"


@dataclass(frozen=True)
class _Call:
    """What the engine was called with since the snapshot, and what it gave."""

    name: str
    arguments: tuple[object, ...]
    result: object

    def frames(self) -> Iterator[Frame]:
        if self.name in _GIVE_FRAMES:
            frames = cast("Frames", self.result)
            yield from (frames[index] for index in range(len(frames)))


class Engine:
    """The engine behind its guard.

    Args:
        options: the seam's options, see `Config.engine_options`.
        state: what an earlier engine's `state` gave.
        report_folder: where lines that broke the engine are kept, None for nowhere.
        build: makes the raw engine.

    Raises:
        ValueError: options or state are of no use.
    """

    def __init__(
        self,
        options: dict[str, object],
        state: bytes | None = None,
        report_folder: Path | None = None,
        build: Build = build_raw,
    ) -> None:
        self._options = options
        self._build = build
        self._report_folder = report_folder
        self._tail = b""
        self._streak: dict[str, int] = {}
        self._calls: list[_Call] = []
        self._call_bytes = 0
        self.panics = 0
        self.last_panic = ""
        self._found: list[Frame] = []  # frames that came to light in a replay
        self._lost_held = 0
        self._lost_lines = 0
        self._raw = build(options, state)
        self._now = self._raw.stats()
        self._before: dict[str, int] = {}  # what the engines before this one counted
        self._snapshot = state
        restored = self._now.get("records_restored", 0)
        self._snapshot_totals = {"records_held": restored, "records_restored": restored}

    def feed(self, chunk: bytes) -> Iterator[Frames]:
        """Feed bytes as they come; a line's end may come with a later chunk. Use the iterator up."""
        lines = self._whole_lines(chunk)
        if not lines:
            return
        panics = self.panics
        yield from self._frames("feed", lines)
        if self.panics == panics:
            return
        for line in _split(lines):
            panics = self.panics
            yield from self._frames("feed", line)
            if self.panics > panics:
                yield from self._unparsed(line)

    def _unparsed(self, line: bytes) -> Iterator[Frames]:
        """Publish the line that broke the engine, without having it read."""
        self._report(line)
        panics = self.panics
        yield from self._frames("feed_unparsed", line.rstrip(b"\n"))
        self._lost_lines += self.panics > panics

    def tick(self, now_ms: int) -> Iterator[Frames]:
        """Tell the time, in monotonic milliseconds; gives what was idle for long enough."""
        yield from self._frames("tick", now_ms)

    def wants(self) -> list[tuple[str, str]]:
        """The names events wait for, each once."""
        return cast("list[tuple[str, str]]", self._guarded("wants") or [])

    def tell(self, kind: str, key: str, value: str | None) -> None:
        """Answer a want; frames it releases come with the next `feed` or `tick`."""
        self._guarded("tell", kind, key, value)

    def end(self) -> Iterator[Frames]:
        """Give what is held, but for events that wait for names: answer `wants`, `tick`, and then `close`."""
        if self._tail:
            tail, self._tail = self._tail + b"\n", b""
            yield from self.feed(tail)
        yield from self._frames("end")

    def close(self) -> Iterator[Frames]:
        """Give everything that is held, incomplete or not."""
        if self._tail:
            tail, self._tail = self._tail + b"\n", b""
            yield from self.feed(tail)
        for _ in range(MAX_STREAK + 1):
            panics = self.panics
            yield from self._frames("close")
            if self.panics == panics:
                return

    def state(self) -> bytes:
        """What the next engine needs to go on; also what a panic from now on falls back to."""
        self._take_snapshot()
        return self._snapshot or b""

    def reconfigure(self, options: dict[str, object]) -> None:
        """Go on with other options, from where the engine stands: nothing that it holds is lost.

        Args:
            options: as for a new one; `process_start_ms` is left as it was.

        Raises:
            ValueError: they are of no use; everything is as before.
        """
        self._take_snapshot()
        start = cast("int", self._options.get("process_start_ms", 0)) + 1  # ids of its own events begin anew
        options = {**options, "process_start_ms": start}
        try:
            raw = self._build({**options, "process_start_ms": start + self.panics, "replay": True}, self._snapshot)
        except BaseException as error:
            if not is_panic(error):
                raise
            self._count("reconfigure", error)
            raise ValueError("the engine broke on them") from None
        self._options, self._raw = options, raw
        self._continue_from(self._snapshot_totals)
        self._take_snapshot()

    def _continue_from(self, before: dict[str, int]) -> None:
        """Count on, behind an engine whose snapshot ours was built from."""
        now = self._now = self._raw.stats()
        # What the snapshot held was taken in once already; the fresh engine counts it as restored.
        restored = now.get("records_restored", 0)
        self._before = before | {"records_held": 0, "events_held": 0}
        self._before["records_restored"] = self._before.get("records_restored", 0) - restored
        self._lost_held += before.get("records_held", 0) - restored

    @property
    def holds(self) -> bool:
        """Whether events wait for records, time or names, so that `tick` has something to do."""
        return self._now.get("events_held", 0) > 0

    def stats(self) -> dict[str, int]:
        """The seam's counters over all engines of this process, with `panics` and `records_lost_panic`."""
        totals = self._totals()
        totals["panics"] = self.panics
        totals["records_in"] = totals.get("records_in", 0) + self._lost_lines
        totals["records_lost_panic"] = self._lost_held + self._lost_lines
        return totals

    # --- the guard ----------------------------------------------------------------------------------------------------

    def _frames(self, name: str, *arguments: object) -> Iterator[Frames]:
        """Call the raw engine for frames; none if it broke, but for what the replay brought to light."""
        frames = self._guarded(name, *arguments)
        if frames is not None:
            yield cast("Frames", frames)
        if self._found:
            found, self._found = self._found, []
            yield FrameList(found)

    def _guarded(self, name: str, *arguments: object) -> object:
        """Call the raw engine; None if it broke, in which case a fresh one is in its place already."""
        try:
            result: object = getattr(self._raw, name)(*arguments)
        except BaseException as error:
            if not is_panic(error):
                raise
            self._count(name, error)
            self._streak[name] = self._streak.get(name, 0) + 1
            if self._streak[name] >= MAX_STREAK or not self._replay():
                self._start_afresh()
            self._take_snapshot()
            return None
        self._streak.pop(name, None)
        if name != "wants":  # which counts nothing
            self._now = self._raw.stats()
        if name != "wants" or result:
            # Of frames only the ids are of use in a replay; the documents' memory is of use to the next ones.
            kept = cast("Frames", result).heads() if name in _GIVE_FRAMES else result
            self._calls.append(_Call(name, arguments, kept))
        if arguments and isinstance(arguments[0], bytes):
            self._call_bytes += len(arguments[0])
        if self._call_bytes > REPLAY_BYTES or len(self._calls) > REPLAY_CALLS:
            self._take_snapshot()
        return True if result is None else result

    def _count(self, name: str, error: BaseException) -> None:
        self.panics += 1
        self.last_panic = f"{name}: {error}"

    def _take_snapshot(self) -> None:
        """Remember where the engine stands; an engine that cannot say so is of no further use."""
        try:
            self._snapshot = self._raw.state()
        except BaseException as error:
            if not is_panic(error):
                raise
            self._count("state", error)
            self._start_afresh()
        self._snapshot_totals = self._totals()
        self._calls.clear()
        self._call_bytes = 0

    def _fresh(self, state: bytes | None) -> None:
        """Another raw engine. The ids of its own events must not be those of the engine before."""
        start = cast("int", self._options.get("process_start_ms", 0))
        self._raw = self._build(self._options | {"process_start_ms": start + self.panics, "replay": True}, state)
        self._now = self._raw.stats()

    def _replay(self) -> bool:
        """Bring a fresh engine to where the broken one stood; False if it does not get there."""
        found: list[Frame] = []
        published = {frame.id for call in self._calls for frame in call.frames()}
        try:
            self._fresh(self._snapshot)
            for call in self._calls:
                again = _Call(call.name, (), getattr(self._raw, call.name)(*call.arguments))
                found += [frame for frame in again.frames() if frame.id not in published and not self._is_own(frame)]
            self._continue_from(self._snapshot_totals)
        except BaseException as error:
            if not (is_panic(error) or isinstance(error, ValueError)):
                raise
            return False
        self._found += found
        return True

    def _is_own(self, frame: Frame) -> bool:
        """Whether it is an event of the engine's own (a gap, an unparsed line), which is never held back."""
        return f":p{cast('int', self._options.get('process_start_ms', 0)) + self.panics}-" in frame.id

    def _start_afresh(self) -> None:
        """A fresh engine that knows nothing; what the old one held is lost and counted."""
        totals = self._totals()
        self._lost_held += totals.get("records_held", 0)
        self._fresh(None)
        self._before = totals | {"records_held": 0, "events_held": 0}
        self._snapshot = None
        self._streak.clear()

    def _totals(self) -> dict[str, int]:
        return self._before | {key: self._before.get(key, 0) + value for key, value in self._now.items()}

    def _whole_lines(self, chunk: bytes) -> bytes:
        """What is complete of the tail and this chunk; the rest stays. So an engine is never replaced mid-line."""
        end = chunk.rfind(b"\n") + 1
        if not end and len(self._tail) + len(chunk) < MAX_TAIL_BYTES:
            self._tail += chunk
            return b""
        if not end:
            end = len(chunk)
        lines, self._tail = self._tail + chunk[:end] if self._tail else chunk[:end], chunk[end:]
        return lines

    def _report(self, line: bytes) -> None:
        """Keep the line for whoever mends the engine. It holds audit data: for its owner only, and ten at most."""
        if self._report_folder is None:
            return
        head = (
            f"The engine broke on the line at the end of this file; it was published unparsed.\n"
            f"{self.last_panic}\npython {platform.python_version()} {platform.machine()}\n\n"
        )
        for number in range(1, MAX_REPORTS + 1):
            name = self._report_folder / f"panic-{number}.txt"
            try:
                handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            except OSError:
                return
            with os.fdopen(handle, "wb") as stream, contextlib.suppress(OSError):
                stream.write(head.encode(errors="replace") + line)
            return


def _split(lines: bytes) -> list[bytes]:
    """Lines with their ends; `bytes.splitlines` would also split at a carriage return."""
    parts = lines.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
