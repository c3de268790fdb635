"""One batch of a spool's segment as bytes: a head with a checksum over all of it, what it says of itself, frames.

In: frames as the engine packs them. Out: bytes to append; and from bytes back, or the reason why not.

The head is 60 bytes, little-endian:

| bytes | what |
|---|---|
| 8 | mark |
| 1, 1, 2 | version of the format, kind, nothing |
| 4, 4 | length of the meta data (JSON), of the frames |
| 8, 8 | first sequence of the commit it belongs to, and the one behind the last |
| 8, 4 | frames of this class before it in this generation, frames in it |
| 4, 4, 4 | CRC-32 of all that is before, of the meta data, of the frames |

A head with a checksum of its own lets a reader trust the lengths, so that damage to the frames costs one batch only;
meta data with one of their own can be read without the frames.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audisp_pyaudit._engine import crc32

VERSION = 2
MARK = b"\x93PYAUDIT"

# Kinds of batches: the segment's own description, frames, and the end of a generation that was closed as it should.
HEADER, FRAMES, END = 0, 1, 2

_HEAD = struct.Struct("<8sBBHIIQQQI")
_CRC = struct.Struct("<III")
HEAD_BYTES = _HEAD.size + _CRC.size
# A commit is some 256 KiB; one event is at most some hundred MiB. More than this is a damaged length.
MAX_BYTES = 1 << 30


class BadBatchError(ValueError):
    """Bytes that are no whole, undamaged batch of a version that is known."""


class OtherFormatError(BadBatchError):
    """A batch that another version of this plugin wrote."""


@dataclass(frozen=True)
class Head:
    """What stands before a batch.

    Args:
        kind: HEADER, FRAMES or END.
        first: first sequence of the commit.
        last: the sequence behind its last.
        index: frames of this class before this batch in the generation.
        count: frames in it.
        meta_bytes: length of the meta data.
        body_bytes: length of the frames.
        meta_check: CRC-32 of the meta data.
        body_check: CRC-32 of the frames.
    """

    kind: int
    first: int
    last: int
    index: int
    count: int
    meta_bytes: int
    body_bytes: int
    meta_check: int
    body_check: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return HEAD_BYTES + self.meta_bytes + self.body_bytes


@dataclass(frozen=True)
class Batch:
    """A batch that was read: its head, its meta data, and the packed frames."""

    head: Head
    meta: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""


def prefix(kind: int, first: int, last: int, index: int, count: int, meta: Mapping[str, Any], body: bytes) -> bytes:  # noqa: PLR0913, PLR0917  # the fields of the head
    """What stands before the frames of a batch: its head and its meta data. `body` follows them as it is."""
    described = json.dumps(meta, separators=(",", ":")).encode()
    head = _HEAD.pack(MARK, VERSION, kind, 0, len(described), len(body), first, last, index, count)
    return b"".join((head, _CRC.pack(crc32(head), crc32(described), crc32(body)), described))


def read_head(data: bytes) -> Head:
    """The head that begins `data`, which has at least HEAD_BYTES.

    Raises:
        OtherFormatError: another version wrote it.
        BadBatchError: it is none.
    """
    mark, version, kind, _, meta_bytes, body_bytes, first, last, index, count = _HEAD.unpack_from(data)
    own, meta_check, body_check = _CRC.unpack_from(data, _HEAD.size)
    if mark != MARK or own != crc32(data[: _HEAD.size]):
        raise BadBatchError("no batch begins here")
    if version != VERSION:
        age = "newer" if version > VERSION else "older"
        raise OtherFormatError(f"format {version} is {age} than {VERSION}, which this version reads")
    if meta_bytes + body_bytes > MAX_BYTES:
        raise BadBatchError("a batch cannot be that long")
    return Head(kind, first, last, index, count, meta_bytes, body_bytes, meta_check, body_check)


def read_meta(head: Head, data: bytes) -> Mapping[str, Any]:
    """The meta data behind a head.

    Raises:
        BadBatchError: they are damaged.
    """
    if len(data) != head.meta_bytes or crc32(data) != head.meta_check:
        raise BadBatchError("the checksum of the meta data is wrong")
    try:
        meta: Mapping[str, Any] = json.loads(data)
    except ValueError:
        raise BadBatchError("the meta data are no JSON") from None
    return meta


def read_rest(head: Head, rest: bytes) -> Batch:
    """The batch whose head was read and whose `size - HEAD_BYTES` further bytes are `rest`.

    Raises:
        BadBatchError: it is damaged.
    """
    meta, body = read_meta(head, rest[: head.meta_bytes]), rest[head.meta_bytes :]
    if len(body) != head.body_bytes or crc32(body) != head.body_check:
        raise BadBatchError("the checksum of the frames is wrong")
    return Batch(head, meta, body)
