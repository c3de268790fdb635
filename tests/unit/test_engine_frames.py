"""Batches of frames as sinks and the spool take them: many frames in one call."""

import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames, crc32
from tests.frames import TIME, frames, serials


def test_parts_are_those_of_the_frames() -> None:
    """A sink that takes a whole slice at once sends what it would send one by one."""
    batch = frames(range(1, 6))
    expected = [(batch[each].json, batch[each].id.encode(), batch[each].host.encode()) for each in (4, 0)]
    assert batch.parts([4, 0], "json") == expected
    assert [document for document, _, _ in batch.parts([1, 2], "msgpack")] == [None, None]


def test_what_is_not_there_is_refused() -> None:
    """A slip of ours is an error, not an event of somebody else."""
    batch = frames([1])
    with pytest.raises(IndexError, match="there is no such frame"):
        batch.parts([1], "json")
    with pytest.raises(ValueError, match='there is no encoding "xml"'):
        batch.parts([0], "xml")
    with pytest.raises(ValueError, match='there is no class "other"'):
        batch.packed("other")


def test_a_class_is_packed_with_what_is_said_of_it() -> None:
    """What a segment lost can be counted and dated without reading its frames."""
    batch = Frames.joined([frames(range(1, 6), keep=[2, 4])], 1)
    packed, count, routes, span = batch.packed("keep")
    assert serials(Frames.unpacked([packed])) == [2, 4]
    assert (count, routes, span) == (2, {1: 2}, ((TIME + 2) * 1000, (TIME + 4) * 1000))
    assert frames([1]).packed("keep") == (b"", 0, {}, None)


@given(st.binary(max_size=5000))
def test_the_checksum_is_the_usual_one(data: bytes) -> None:
    """A spool can be checked with any tool, and those of earlier versions are read."""
    assert crc32(data) == zlib.crc32(data)
