"""Commits in memory, bounded in bytes.

In lossy mode they are all there is. In lossless mode they are what the disk has not taken yet, and beside it the newest
that it has, so that a sink that keeps up never reads the disk. Not safe for threads: the queue holds its lock.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from audisp_pyaudit._engine import Frames


@dataclass
class Commit:
    """Frames with sequences from `first` up to `last`, which is not among them.

    `stored`: they are on disk, so that memory may forget them.
    """

    first: int
    last: int
    frames: Frames
    stored: bool = False

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return self.frames.size


class Ring:
    """Commits in order of their sequences.

    Args:
        limit: bytes that it may hold.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._commits: list[Commit] = []

    def __len__(self) -> int:
        return len(self._commits)

    def append(self, commit: Commit) -> None:
        """Add the newest."""
        self._commits.append(commit)
        self.size += commit.size

    def at(self, sequence: int) -> Commit | None:
        """The commit that holds a sequence, or the next one behind it."""
        index = bisect_right(self._commits, sequence, key=lambda each: each.last)
        return self._commits[index] if index < len(self._commits) else None

    def unstored(self) -> Iterator[Commit]:
        """What the disk does not have, oldest first."""
        return (each for each in self._commits if not each.stored)

    @property
    def unstored_bytes(self) -> int:
        """Bytes that the disk does not have."""
        return sum(each.size for each in self._commits if not each.stored)

    def forget_stored(self) -> None:
        """Forget what the disk has or had."""
        self._commits = [each for each in self._commits if not each.stored]
        self.size = sum(each.size for each in self._commits)

    def forget(self) -> None:
        """Forget everything: nobody asks any more."""
        self._commits, self.size = [], 0

    def forget_before(self, read: int, done: int = 0) -> None:
        """Forget what the disk has and everybody has read, and what nobody needs any more.

        Args:
            read: what is before this sequence everybody has read.
            done: what is before this one everybody has acknowledged.
        """
        while self._commits and self._commits[0].last <= (read if self._commits[0].stored else done):
            self.size -= self._commits.pop(0).size

    def shrink(self, spare: Callable[[Commit], bool] = lambda _commit: False) -> list[Frames]:
        """Make room until the limit is kept: what was forgotten and is nowhere else.

        What the disk has goes first. Then the oldest frames that are of no class, then the oldest of all; the newest
        commit stays whatever its size.

        Args:
            spare: what is not forgotten, as somebody holds it anyway.
        """
        # What is spared is held by somebody else; it must not cost the others their room.
        limit = self.limit + sum(each.size for each in self._commits if not each.stored and spare(each))
        while self.size > limit and len(self._commits) > 1 and self._commits[0].stored:
            self.size -= self._commits.pop(0).size
        lost: list[Frames] = []
        for keep in (True, False):
            for index, commit in enumerate(self._commits[:-1]):
                if self.size <= limit:
                    break
                if commit.stored or spare(commit):
                    continue
                gone = commit.frames.of_class("normal") if keep else commit.frames
                if len(gone):
                    lost.append(gone)
                kept = commit.frames.of_class("keep") if keep else Frames.unpacked([])
                self._commits[index] = rest = Commit(commit.first, commit.last, kept)
                self.size -= commit.size - rest.size
            self._commits = [each for each in self._commits if len(each.frames)]
        return lost
