"""The spool: generations of segments in a folder, within a quota.

In: commits of this process. Out: room, when it is needed. Which process may deliver is decided by a lock; each process
writes into a generation of its own from its first commit on, so that an old and a new one never wait for each other.

    spool/delivery.lock
    spool/cursors/SINK.json
    spool/g0000000001/normal-….seg, keep-….seg, told (that it ended uncleanly)
    spool/damaged/g0000000001-normal-….seg
"""

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from audisp_pyaudit.delivery.aside import Aside
from audisp_pyaudit.delivery.cursor import Position
from audisp_pyaudit.delivery.generation import CLASSES, GenerationWriter, Segment, segments_of
from audisp_pyaudit.delivery.held import Ending, ending_of
from audisp_pyaudit.delivery.ring import Commit
from audisp_pyaudit.delivery.segment import Files

_GENERATION = re.compile(r"g(\d{10})\Z")
# A segment is at most this part of the quota: room is made by segments.
_PARTS = 16
_MIN_SEGMENT_BYTES = 64 * 1024
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class SpoolSettings:
    """Where the spool is and how large it may become; `share` is of the file system's size, from 0 to 1."""

    folder: Path
    quota_bytes: int
    share: float = 1.0
    segment_bytes: int = 64 * 1024 * 1024
    when_full: str = "drop_oldest"
    fsync: str = "interval"


@dataclass(frozen=True)
class Dropped:
    """A segment that was removed although not everybody had it."""

    generation: int
    segment: Segment


@dataclass(frozen=True)
class Unclean:
    """A generation whose process did not say that it was whole."""

    generation: int
    ending: Ending


class Spool:
    """What this process writes, and what it and others before it wrote.

    Args:
        settings: where and how much.
        about: what stands in the head of each segment of this process.
        files: the system calls to use.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, settings: SpoolSettings, about: Mapping[str, Any], files: Files = os) -> None:
        self.settings = settings
        self._lock_fd = -1
        self._own_fd = -1
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (settings.folder / "cursors").mkdir(mode=0o700, exist_ok=True)
        self.generation = self._make_generation()
        self._limit = self._quota()
        size = max(_MIN_SEGMENT_BYTES, min(settings.segment_bytes, self._limit // _PARTS))
        self.writer = GenerationWriter(self.folder_of(self.generation), about, size, files)
        self.aside = Aside(settings.folder / "damaged", self._limit // _PARTS)
        self._older_bytes = self._aside_bytes = 0
        self.recount()

    def _make_generation(self) -> int:
        while True:
            number = max(self.generations(), default=0) + 1
            folder = self.folder_of(number)
            with contextlib.suppress(FileExistsError):  # of a process that starts at the same moment
                folder.mkdir(mode=0o700)
                self._own_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(self._own_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # tells that its writer lives
                return number

    def _quota(self) -> int:
        there = os.statvfs(self.settings.folder)
        return min(self.settings.quota_bytes, int(there.f_blocks * there.f_frsize * self.settings.share))

    def folder_of(self, generation: int) -> Path:
        """A generation's folder."""
        return self.settings.folder / f"g{generation:010d}"

    def cursor_of(self, sink: str) -> Path:
        """The file of a sink's cursor."""
        return self.settings.folder / "cursors" / f"{sink}.json"

    def cursors(self) -> list[Path]:
        """The files of all cursors that there are."""
        return sorted((self.settings.folder / "cursors").glob("*.json"))

    def configure(self, settings: SpoolSettings) -> None:
        """Go on with other settings, in the same folder; segments stay as large as they are."""
        self.settings = replace(settings, folder=self.settings.folder)
        with contextlib.suppress(OSError):  # then as much as before
            self._limit = self._quota()

    def generations(self) -> list[int]:
        """Numbers of the generations that are there, oldest first."""
        found = (_GENERATION.match(name) for name in os.listdir(self.settings.folder))  # noqa: PTH208  # names only
        return sorted(int(each[1]) for each in found if each)

    def segments(self, generation: int) -> list[Segment]:
        """Segments of a generation, in the order in which room is made."""
        folder = self.folder_of(generation)
        return [segment for klass in CLASSES for segment in segments_of(folder, klass)]

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self._older_bytes + self.writer.bytes + self._aside_bytes

    @property
    def limit(self) -> int:
        """Bytes that may be on disk."""
        return self._limit

    # --- writing ------------------------------------------------------------------------------------------------------

    def store(self, commit: Commit, meta: Mapping[str, Any]) -> None:
        """Append a commit.

        Raises:
            OSError: the disk did not take it; try again with the same.
        """
        self.writer.append(commit.frames, commit.first, commit.last, meta)

    def recount(self) -> None:
        """Look how much others before this process have left; one of them may have been writing until now."""
        older = [each for each in self.generations() if each < self.generation]
        self._older_bytes = sum(each.size for number in older for each in self.segments(number))
        self._aside_bytes = self.aside.bytes

    def is_full_for(self, size: int) -> bool:
        """Whether so many bytes more are too many."""
        return self.bytes + size > self._limit

    # --- room ---------------------------------------------------------------------------------------------------------

    def oldest(self, spare: Callable[[Position, Position], bool] = lambda _begin, _end: False) -> Dropped | None:
        """The segment to remove when room has to be made: the oldest of no class, then the oldest there is.

        Those that are still written to are spared; the writer begins new ones soon enough.

        Args:
            spare: whether what lies between two positions has to stay.
        """
        current = set(self.writer.current())
        for klass in CLASSES:
            for generation in self.generations():
                segments = segments_of(self.folder_of(generation), klass)
                for segment, following in zip_longest(segments, segments[1:]):
                    end = Position(generation, following.first) if following else Position(generation + 1, 0)
                    if segment.path in current or segment.gone or spare(Position(generation, segment.first), end):
                        continue
                    return Dropped(generation, segment)
        return None

    def retire(self, dropped: Dropped) -> Dropped:
        """Say of a segment that not everybody had that it is gone; it can be read until it is emptied.

        Raises:
            OSError: it could not be.
        """
        gone = dropped.segment.path.with_suffix(".gone")
        dropped.segment.path.rename(gone)
        return Dropped(dropped.generation, replace(dropped.segment, path=gone))

    def empty(self, dropped: Dropped) -> None:
        """Give back the space of a segment that is gone; an empty file stays in its place. It works on a full disk.

        Raises:
            OSError: it could not be emptied.
        """
        path, size = dropped.segment.path, dropped.segment.size
        if path.stat().st_nlink > 1:  # it was set aside, and stays there
            path.unlink()
            with contextlib.suppress(OSError):  # without it, a hole is seen, and told
                path.touch(mode=0o600)
        else:
            os.truncate(path, 0)
        self._count(dropped.generation, -size)

    def _remove(self, generation: int, segment: Segment) -> None:
        size = segment.size
        segment.path.unlink(missing_ok=True)
        self._count(generation, -size)

    def _count(self, generation: int, size: int) -> None:
        if generation == self.generation:
            self.writer.bytes += size
        else:
            self._older_bytes += size
        self._aside_bytes = self.aside.bytes  # where it was set aside, only the name went

    def reclaim(self, generation: int, sequence: int) -> None:
        """Give back what lies before a position that everybody is past.

        Raises:
            OSError: something could not be removed.
        """
        self._aside_bytes = self.aside.bytes
        for number in self.generations():
            if number > generation:
                return
            for klass in CLASSES:
                segments = segments_of(self.folder_of(number), klass)
                current = set(self.writer.current()) if number == self.generation else set()
                for segment, following in zip_longest(segments, segments[1:]):
                    end = following.first if following else None
                    done = number < generation or (end is not None and end <= sequence)
                    if done and segment.path not in current:
                        self._remove(number, segment)
            if number < generation:
                with contextlib.suppress(OSError):
                    self._told_of(number).unlink(missing_ok=True)
                    self.folder_of(number).rmdir()

    # --- who may deliver ----------------------------------------------------------------------------------------------

    def take_lock(self) -> bool:
        """Take the right to deliver, if no other process has it; never waits."""
        if self._lock_fd >= 0:
            return True
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.settings.folder / "delivery.lock", flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def leave_lock(self) -> None:
        """Let another process deliver."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def has_living_elders(self) -> bool:
        """Whether a process that began before this one still writes its generation.

        Raises:
            OSError: a folder does not work.
        """
        return any(_is_locked(self.folder_of(each)) for each in self.generations() if each < self.generation)

    # --- how others ended ---------------------------------------------------------------------------------------------

    def unclean(self) -> list[Unclean]:
        """Processes before this one that were killed or crashed, and of which nobody was told yet.

        Raises:
            OSError: the folder does not work.
        """
        found: list[Unclean] = []
        for number in self.generations():
            if number < self.generation and not self._told_of(number).exists():
                ending = ending_of(self.folder_of(number))
                if not ending.whole:
                    found.append(Unclean(number, ending))
        return found

    def told_of(self, generation: int) -> None:
        """Remember that its unclean end was told.

        Raises:
            OSError: that could not be written.
        """
        self._told_of(generation).touch(mode=0o600)

    def _told_of(self, generation: int) -> Path:
        return self.folder_of(generation) / "told"

    def close(self) -> None:
        """Let go of everything."""
        self.writer.close()
        for fd in (self._own_fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._own_fd = self._lock_fd = -1


def _is_locked(folder: Path) -> bool:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
