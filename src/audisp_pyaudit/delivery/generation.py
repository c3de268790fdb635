"""A generation: what one process put into the spool, in a folder of its own, a line of segments for each class.

In: commits, which are frames with sequences in a row. Out: the same commits, in order, from any sequence on; where
something is damaged, how many frames are missing. Only one process writes a generation, and only once.

Frames that are to be kept longest have segments of their own, so that room can be made by removing whole files. Both
batches of a commit name its sequences, by which a reader puts them together again.
"""

import contextlib
import os
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.batch import END, FRAMES, HEADER, Batch, prefix
from audisp_pyaudit.delivery.segment import Damage, Files, SegmentReader, SegmentWriter

# In the order in which room is made.
CLASSES = ("normal", "keep")
# Full segments that wait to be synced; more are closed as they are.
_MAX_ROLLED = 4
_SEGMENT = re.compile(r"(normal|keep)-(\d{20})-(\d{20})\.(seg|gone)\Z")


@dataclass(frozen=True, order=True)
class Segment:
    """A segment's file: `first` sequence that may be in it, `index`: frames of its class before it.

    `gone`: it was removed to make room, and whoever had not read it knows; the file is there and empty.
    """

    klass: str
    first: int
    index: int
    path: Path = field(compare=False)
    gone: bool = field(default=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes of the file; 0 if it was removed in this moment."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0


def segments_of(folder: Path, klass: str) -> list[Segment]:
    """Segments of a class in a generation's folder, oldest first; empty if there is no such folder."""
    with contextlib.suppress(FileNotFoundError):
        found = (_SEGMENT.match(name) for name in os.listdir(folder))  # noqa: PTH208  # names are all that is needed
        return sorted(
            Segment(klass, int(each[2]), int(each[3]), folder / each[0], each[4] == "gone")
            for each in found
            if each and each[1] == klass
        )
    return []


class GenerationWriter:
    """Appends commits.

    Args:
        folder: the generation's folder, empty.
        about: what stands in the head of each segment.
        segment_bytes: a segment that has as much is the last but one.
        files: the system calls to use.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], segment_bytes: int, files: Files = os) -> None:
        self.folder = folder
        # The sequence behind the last commit that is whole on disk, and frames of each class before it. Replaced as
        # one, so that readers on other threads see both of the same moment.
        self.mark: tuple[int, Mapping[str, int]] = (0, dict.fromkeys(CLASSES, 0))
        self.bytes = 0
        self._about = about
        self._segment_bytes = segment_bytes
        self._files = files
        self._writers: dict[str, SegmentWriter] = {}
        self._rolled: deque[SegmentWriter] = deque()  # full; to be synced by whoever calls `sync`, and closed
        self._renew: set[str] = set()
        self._indexes = dict.fromkeys(CLASSES, 0)
        self._written = dict.fromkeys(CLASSES, 0)  # the sequence behind the last batch of each class

    def append(self, frames: Frames, first: int, last: int, meta: Mapping[str, Any]) -> None:
        """Append a commit; after an error append it again, with the same arguments, before any other.

        Args:
            frames: its frames.
            first: its first sequence.
            last: the sequence behind its last.
            meta: what stands beside it, in one batch of it.

        Raises:
            OSError: the disk did not take it, or not all of it.
        """
        # A try before this one may have got as far as one of them.
        parts = {klass: frames.packed(klass) for klass in CLASSES if self._written[klass] < last}
        speaks = max((klass for klass, part in parts.items() if part[1]), key=CLASSES.index, default="")
        for klass, (packed, count, routes, span) in parts.items():
            if count:
                # Beside those that stay longest: that says enough.
                about = {**(meta if klass == speaks else {}), "routes": routes, "span": span}
                before = prefix(FRAMES, first, last, self._indexes[klass], count, about, packed)
                self._writer(klass, first, self._indexes[klass]).append(before, packed)
                self._indexes[klass] += count
                self.bytes += len(before) + len(packed)
            self._written[klass] = last
        self.mark = (last, dict(self._indexes))

    def has(self, klass: str, last: int) -> bool:
        """Whether the frames of a class of the commit that ends before `last` are on disk."""
        return self._written[klass] >= last

    @property
    def committed(self) -> int:
        """The sequence behind the last commit that is whole on disk."""
        return self.mark[0]

    def _writer(self, klass: str, first: int, index: int) -> SegmentWriter:
        """The segment to append to; a new one where there is none, or where the last is full or unusable."""
        writer = self._writers.get(klass)
        path = self.folder / f"{klass}-{first:020d}-{index:020d}.seg"
        old = klass in self._renew and writer is not None and writer.path != path
        if writer is not None and writer.usable and writer.size < self._segment_bytes and not old:
            return writer
        if writer is not None:
            self._rolled.append(writer)
            while len(self._rolled) > _MAX_ROLLED:  # nobody syncs: that is what was chosen
                self._rolled.popleft().close()
            del self._writers[klass]
        writer = SegmentWriter(path, self._files)
        try:
            head = prefix(HEADER, first, first, index, 0, dict(self._about), b"")
            writer.append(head)
        except OSError:
            writer.close()
            path.unlink(missing_ok=True)
            raise
        self.bytes += len(head)
        self._writers[klass] = writer
        self._renew.discard(klass)
        return writer

    def sync(self) -> None:
        """Have the disk take all that was appended.

        Raises:
            OSError: it did not.
        """
        while self._rolled:
            writer = self._rolled.popleft()
            try:
                writer.sync()
            finally:
                writer.close()
        for writer in list(self._writers.values()):
            writer.sync()

    def current(self) -> list[Path]:
        """The segments that are still appended to."""
        return [writer.path for writer in self._writers.values()]

    def renew(self) -> None:
        """Begin new segments with what comes next, since their heads say something else (`about` has changed)."""
        self._renew.update(self._writers)

    def roll(self) -> bool:
        """Begin new segments with what comes next, so that those of now can be removed; False if there are none."""
        found = bool(self._writers)
        self.close()
        return found

    def end(self, meta: Mapping[str, Any]) -> None:
        """Say that this generation was closed as it should be.

        Raises:
            OSError: that could not be written.
        """
        index = self._indexes["normal"]
        data = prefix(END, self.committed, self.committed, index, 0, {**meta, "frames": self._indexes}, b"")
        self._writer("normal", self.committed, index).append(data)

    def close(self) -> None:
        """Let go of the files."""
        for writer in (*self._rolled, *self._writers.values()):
            writer.close()
        self._rolled.clear()
        self._writers.clear()


@dataclass(frozen=True)
class Missing:
    """Frames that should be there and are not.

    Args:
        frames: how many.
        damages: the places where they should be.
    """

    frames: int
    damages: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class Read:
    """A commit as it was read; `frames` is None if all of it is missing."""

    first: int
    last: int
    frames: Frames | None
    meta: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    missing: Missing = Missing(0)


def added(missing: Iterable[Missing]) -> Missing:
    """All of it together."""
    everything = list(missing)
    return Missing(sum(each.frames for each in everything), tuple(each for one in everything for each in one.damages))


class _ClassReader:
    """One class's batches, in order, from a sequence on."""

    def __init__(self, folder: Path, klass: str, sequence: int) -> None:
        self._folder = folder
        self._klass = klass
        self._sequence = sequence
        self._reader: SegmentReader | None = None
        self._segment: Segment | None = None
        self._begins = True
        self._expected: int | None = None
        self._batch: Batch | None = None
        self._damages: list[Damage] = []
        self.about: Mapping[str, Any] = {}
        self.end: Mapping[str, Any] | None = None

    def peek(self) -> Batch | None:
        """The next batch that holds something at or behind the sequence; None if there is none yet.

        Raises:
            OSError: the disk cannot be read.
        """
        while self._batch is None:
            following = self._following()
            found = self._reader.next() if self._reader else None
            if found is None:
                if following is None:
                    return None
                self._open(following)
            elif isinstance(found, Damage):
                self._damages.append(found)
            elif found.head.kind == HEADER:
                self.about = found.meta
            elif found.head.kind == END:
                self.end = found.meta
            elif found.head.last > self._sequence:
                self._batch = found
            else:
                self._expected = found.head.index + found.head.count
                self._damages.clear()  # before where we begin: of no concern to us
        return self._batch

    @property
    def place(self) -> tuple[Path, int]:
        """The segment that is read, and where in it."""
        return (self._reader.path, self._reader.offset) if self._reader else (self._folder, 0)

    def take(self) -> tuple[Batch, Missing]:
        """The batch that `peek` found, and what is missing before it."""
        batch = self._batch
        if batch is None:
            raise RuntimeError("peek found nothing")
        if self._begins and batch.head.first <= self._sequence:  # what is damaged before it we had
            self._expected = None
            self._damages.clear()
        self._begins = False
        expected = batch.head.index if self._expected is None else self._expected
        missing = Missing(max(0, batch.head.index - expected), tuple(self._damages))
        self._damages = []
        self._batch = None
        self._expected = batch.head.index + batch.head.count
        self._sequence = batch.head.last
        return batch, missing

    def rest(self, total: int | None, *, ended: bool) -> Missing:
        """What is missing behind the last batch, if there are `total` frames of this class in all.

        Args:
            total: how many; None if that is not known.
            ended: nobody writes any more, so that a batch that breaks off stays so.
        """
        torn = self._reader.torn() if ended and self._reader else None
        damages, self._damages = (*self._damages, *([torn] if torn else [])), []
        frames = 0 if total is None or self._expected is None else max(0, total - self._expected)
        if total is not None:
            self._expected = total
        return Missing(frames, damages)

    def _following(self) -> Segment | None:
        """The segment to go to when this one has no more. Asked before reading: the writer makes it after its last."""
        segments = segments_of(self._folder, self._klass)
        if self._segment is not None:
            later = [each for each in segments if each > self._segment]
            return later[0] if later else None
        before = [each for each in segments if each.first <= self._sequence]
        return before[-1] if before else (segments[0] if segments else None)

    def _open(self, segment: Segment) -> None:
        self.close()
        self._segment = segment
        if segment.gone:
            self._expected = None
            return
        if self._expected is None:
            self._expected = segment.index
        try:
            self._reader = SegmentReader(segment.path)
        except FileNotFoundError:
            self._reader = None  # removed in this moment

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class GenerationReader:
    """Reads a generation's commits from a sequence on.

    Args:
        folder: its folder.
        sequence: where to begin.
        epoch: what the caller remembers it by.
    """

    def __init__(self, folder: Path, sequence: int = 0, epoch: int = 0) -> None:
        self.folder = folder
        self.sequence = sequence  # where it stands
        self.epoch = epoch
        self._classes = {klass: _ClassReader(folder, klass, sequence) for klass in CLASSES}

    def next(self, limit: int | None = None) -> Read | None:
        """The next commit, or None if there is none yet.

        Args:
            limit: the sequence behind the last commit that is whole; None if nobody writes any more.

        Raises:
            OSError: the disk cannot be read.
        """
        batches = {klass: reader.peek() for klass, reader in self._classes.items()}
        there = [batch for batch in batches.values() if batch is not None]
        if not there:
            return None
        first = min(batch.head.first for batch in there)
        last = min(batch.head.last for batch in there if batch.head.first == first)
        if limit is not None and last > limit:
            return None
        taken: list[Batch] = []
        places: list[tuple[Path, int]] = []
        missing: list[Missing] = []
        about: Mapping[str, Any] = {}
        for klass, batch in batches.items():
            if batch is not None and batch.head.first == first:
                reader = self._classes[klass]
                read, gone = reader.take()
                about = reader.about or about
                taken.append(read)
                places.append(reader.place)
                missing.append(gone)
        lost = added(missing)
        self.sequence = last
        try:
            frames = Frames.unpacked([batch.body for batch in taken])
        except ValueError as error:  # the checksum was right: written by a bug of ours
            count = sum(batch.head.count for batch in taken)
            damages = [
                Damage(path, at, batch.head.size, str(error)) for batch, (path, at) in zip(taken, places, strict=True)
            ]
            return Read(first, last, None, {}, about, Missing(lost.frames + count, (*lost.damages, *damages)))
        return Read(first, last, frames, taken[0].meta, about, lost)

    def rest(self, totals: Mapping[str, int] | None = None) -> Missing:
        """What is missing behind the last commit, once `next` gives None.

        Args:
            totals: frames of each class that should be there; None if nobody writes any more. Then the generation's
                end says it, which it has if it was closed as it should be.
        """
        ended = totals is None
        if totals is None:
            end = next((reader.end for reader in self._classes.values() if reader.end is not None), None)
            totals = {} if end is None else end.get("frames", {})
        return added(reader.rest(totals.get(klass), ended=ended) for klass, reader in self._classes.items())

    def close(self) -> None:
        """Let go of the files."""
        for reader in self._classes.values():
            reader.close()
