"""The format of a batch on disk: what is damaged is never taken for frames."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.delivery.batch import (
    FRAMES,
    HEAD_BYTES,
    VERSION,
    BadBatchError,
    Batch,
    Head,
    OtherFormatError,
    prefix,
    read_head,
    read_meta,
    read_rest,
)


def batch(body: bytes = b"frames", meta: dict[str, object] | None = None) -> bytes:
    """A batch of a commit from 7 to 9."""
    return prefix(FRAMES, 7, 9, 100, 2, meta or {"routes": {"1": 2}}, body) + body


def parse(data: bytes) -> tuple[Head, Batch]:
    """The head and the whole of a batch."""
    head = read_head(data[:HEAD_BYTES])
    return head, read_rest(head, data[HEAD_BYTES : head.size])


@given(body=st.binary(max_size=2000), first=st.integers(0, 2**63), count=st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(body: bytes, first: int, count: int) -> None:
    """Every event comes back from the disk as it was."""
    data = prefix(FRAMES, first, first + count, first, count, {"a": [1, None]}, body) + body
    head, found = parse(data)
    assert head.size == len(data)
    assert (head.kind, head.first, head.last, head.index, head.count) == (FRAMES, first, first + count, first, count)
    assert (found.meta, found.body) == ({"a": [1, None]}, body)


def test_every_flipped_bit_is_found() -> None:
    """A disk that changes a bit never makes an event say something else."""
    data = batch()
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            with pytest.raises(BadBatchError):
                parse(bytes(damaged))


def test_every_cut_is_found() -> None:
    """What a power cut left of a batch is not taken for a batch."""
    data = batch()
    head = read_head(data[:HEAD_BYTES])
    for end in range(HEAD_BYTES, len(data)):
        with pytest.raises(BadBatchError):
            read_rest(head, data[HEAD_BYTES:end])


def test_meta_data_can_be_read_alone() -> None:
    """What a segment holds is known without reading all of it."""
    data = batch(b"x" * 1000)
    head = read_head(data[:HEAD_BYTES])
    assert read_meta(head, data[HEAD_BYTES : HEAD_BYTES + head.meta_bytes]) == {"routes": {"1": 2}}


@pytest.mark.parametrize(("version", "age"), [(VERSION + 1, "newer"), (VERSION - 1, "older")])
def test_another_format_is_told_from_damage(version: int, age: str) -> None:
    """After an upgrade or a downgrade nobody calls a good spool broken."""
    data = bytearray(batch())
    data[8] = version
    data[48:52] = struct.pack("<I", zlib.crc32(data[:48]))
    with pytest.raises(OtherFormatError, match=f"format {version} is {age}"):
        read_head(bytes(data[:HEAD_BYTES]))
