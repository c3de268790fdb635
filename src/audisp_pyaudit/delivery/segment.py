"""Segments: files of batches that are only ever appended to.

In: batches, as bytes. Out: the same batches, in order; in place of what is damaged, a `Damage` that says how much was
passed over. The end of a file is no damage: more may come, or the process died there.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audisp_pyaudit.delivery.batch import (
    HEAD_BYTES,
    MARK,
    BadBatchError,
    Batch,
    Head,
    OtherFormatError,
    read_head,
    read_meta,
    read_rest,
)

# How often it is tried to read what the disk does not give, before the rest of the segment counts as damaged.
_READ_TRIES = 10
# What is searched at a time for the next batch behind a damage.
_SEARCH_BYTES = 1024 * 1024


class Files(Protocol):
    """The system calls that a disk can fail; tests put others in their place."""

    def write(self, fd: int, data: memoryview, /) -> int: ...  # noqa: D102  # as in `os`
    def fsync(self, fd: int, /) -> None: ...  # noqa: D102


class SegmentWriter:
    """Appends to a segment that it makes.

    Args:
        path: the file, which must not be there yet.
        files: the system calls to use.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, files: Files = os) -> None:
        self.path = path
        self.size = 0
        self._files = files
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._unsynced = False

    def append(self, *parts: bytes) -> None:
        """Append a batch, all of its parts or nothing.

        Raises:
            OSError: it could not be written, and nothing of it is there. If not even that can be had, the segment
                is closed: `usable` says so, and a reader finds a torn batch at its end.
        """
        done = 0
        try:
            for part in parts:  # not joined: that would copy them
                rest = memoryview(part)
                while rest:
                    written = self._files.write(self._fd, rest)
                    done, rest = done + written, rest[written:]
        except OSError:
            if done:
                self._cut()
            raise
        self.size += done
        self._unsynced = True

    def _cut(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self.close()

    def sync(self) -> None:
        """Have the disk take what was appended.

        Raises:
            OSError: it did not.
        """
        if not self._unsynced or not self.usable:
            return
        self._unsynced = False  # before: another thread may append meanwhile
        try:
            self._files.fsync(self._fd)
        except OSError:
            self._unsynced = True
            raise

    @property
    def usable(self) -> bool:
        """Whether more can be appended."""
        return self._fd >= 0

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True)
class Damage:
    """Bytes of a segment that are no batch."""

    path: Path
    offset: int
    size: int
    why: str


class SegmentReader:
    """Reads a segment from an offset on.

    Args:
        path: the file.
        offset: where a batch begins.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self._tries = 0
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self) -> None:
        """Let go of the file; a segment that was removed takes up its space until then."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def next(self, *, with_body: bool = True) -> Batch | Damage | None:  # noqa: PLR0911  # each is another end
        """The next batch, what is damaged before it, or None at the end of what is there.

        Args:
            with_body: read and check the frames too; without, only the head is checked, and the batch has none.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            head = self._head()
            if head is None:
                return None
            if not with_body:
                if os.fstat(self._fd).st_size < self.offset + head.size:
                    return None
                batch = Batch(head, read_meta(head, self._read(head.meta_bytes, self.offset + HEAD_BYTES)))
            else:
                rest = self._read(head.meta_bytes + head.body_bytes, self.offset + HEAD_BYTES)
                if len(rest) < head.meta_bytes + head.body_bytes:
                    return None
                batch = read_rest(head, rest)
        except OtherFormatError as error:
            size = os.fstat(self._fd).st_size - self.offset
            damage = Damage(self.path, self.offset, size, str(error))
            self.offset += size
            return damage
        except BadBatchError as error:
            return self._pass_over(str(error))
        except OSError as error:  # a bad sector stays one
            self._tries += 1
            if self._tries < _READ_TRIES:
                raise
            size = os.fstat(self._fd).st_size - self.offset
            damage = Damage(self.path, self.offset, size, f"it cannot be read: {error.strerror}")
            self.offset += size
            return damage
        self._tries = 0
        self.offset += head.size
        return batch

    def torn(self) -> Damage | None:
        """What lies behind the last whole batch of a file that nobody writes any more; None if it is nothing."""
        size = os.fstat(self._fd).st_size - self.offset
        return Damage(self.path, self.offset, size, "a batch breaks off") if size > 0 else None

    def _head(self) -> Head | None:
        data = self._read(HEAD_BYTES, self.offset)
        if len(data) < HEAD_BYTES:
            return None
        return read_head(data)

    def _read(self, size: int, offset: int) -> bytes:
        data = os.pread(self._fd, size, offset)
        while 0 < len(data) < size:  # a signal, or more than 2 GiB
            more = os.pread(self._fd, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def _pass_over(self, why: str) -> Damage | None:
        """Go to the next place where a batch with a right head begins; to the end if there is none."""
        start, at = self.offset, self.offset + 1
        end = os.fstat(self._fd).st_size
        while at < end:
            data = self._read(_SEARCH_BYTES + HEAD_BYTES, at)
            found = data.find(MARK)
            while 0 <= found < _SEARCH_BYTES:
                head = data[found : found + HEAD_BYTES]
                if _is_head(head):
                    self.offset = at + found
                    return Damage(self.path, start, self.offset - start, why)
                found = data.find(MARK, found + 1)
            at += _SEARCH_BYTES
        self.offset = end
        return Damage(self.path, start, end - start, why)


def _is_head(data: bytes) -> bool:
    try:
        return len(data) == HEAD_BYTES and bool(read_head(data))
    except OtherFormatError:
        return True
    except BadBatchError:
        return False
