"""Where frames end in a stream of bytes."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit import packing
from audisp_pyaudit.framing import FrameList, ends, fit, frame, socket_framing, stream_framing

FRAMINGS = ("json-lines", "msgpack", "json-prefixed", "msgpack-prefixed")


def document(framing: str, text: str) -> bytes:
    """A document in the encoding of a framing."""
    return packing.pack({"a": text}) if framing.startswith("msgpack") else b'{"a":%d}' % len(text)


@pytest.mark.parametrize("framing", FRAMINGS)
@given(texts=st.lists(st.text(max_size=40), max_size=8), room=st.integers(0, 400))
def test_frames_end_where_they_were_joined(framing: str, texts: list[str], room: int) -> None:
    """A sink that has to drop or count knows every frame's end, in every framing."""
    pieces = [frame(document(framing, text), framing) for text in texts]
    blob = b"".join(pieces)
    expected = list(itertools.accumulate(len(piece) for piece in pieces))
    assert list(ends(blob, framing)) == expected
    size, count = fit(blob, framing, room)
    assert count == sum(end <= room for end in expected)
    assert size == ([0, *expected])[count]


def test_each_place_has_its_framing() -> None:
    """A socket's reader is told how long a msgpack document is; JSON is a line everywhere."""
    assert (stream_framing("json"), socket_framing("json")) == ("json-lines", "json-lines")
    assert (stream_framing("msgpack"), socket_framing("msgpack")) == ("msgpack", "msgpack-prefixed")


def test_frame_list_routes_like_the_engine(frames: Callable[..., FrameList]) -> None:
    """Single frames reach the sinks they are routed to, and no other."""
    both, second = frames("a")[0], frames("b", routes=0b10)[0]
    mixed = FrameList([both, second])
    assert len(mixed) == 2
    assert (mixed.count_for(0), mixed.count_for(1)) == (1, 2)
    assert mixed.blob("json-lines", 0).count(b"\n") == 1
    assert mixed.blob("json-lines").count(b"\n") == 2
    assert list(ends(mixed.blob("msgpack-prefixed", 1), "msgpack-prefixed"))[-1] == len(
        mixed.blob("msgpack-prefixed", 1)
    )
