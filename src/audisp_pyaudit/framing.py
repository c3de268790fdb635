"""How documents follow each other in a stream of bytes, and where one ends.

The framings are the engine's: `json-lines` (a document and a newline), `msgpack` (documents one after the other),
`json-prefixed` and `msgpack-prefixed` (length as u32, big endian, and the document). Sinks lose and count whole frames
only, so they ask here where a frame ends. Nothing here decodes a document.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from audisp_pyaudit import packing

_LENGTH = struct.Struct(">I")


class Frame(Protocol):
    """One encoded event with its header; see the seam."""

    @property
    def id(self) -> str:
        """The event's id."""

    @property
    def routes(self) -> int:
        """Bit n is set if the frame goes to sink n."""

    @property
    def json(self) -> bytes | None:
        """The document as JSON, if that was asked for."""

    @property
    def msgpack(self) -> bytes | None:
        """The document as msgpack, if that was asked for."""


class Frames(Protocol):
    """Encoded events, as the engine gives them."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Frame: ...

    def blob(self, framing: str, sink: int | None = None) -> bytes:
        """The frames of one sink (all, if None), framed."""

    def count_for(self, sink: int, /) -> int:
        """How many of the frames go to a sink."""

    def heads(self) -> "Frames":
        """The same frames without their documents."""


class FrameList:
    """Single frames, in the shape in which the engine gives its own."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Frame:
        return self._frames[index]

    def blob(self, framing: str, sink: int | None = None) -> bytes:
        """The frames of one sink (all, if None), framed."""
        name = "json" if framing.startswith("json") else "msgpack"
        chosen = (each for each in self._frames if sink is None or each.routes >> sink & 1)
        return b"".join(frame(getattr(each, name), framing) for each in chosen)

    def count_for(self, sink: int) -> int:
        """How many of the frames go to a sink."""
        return sum(each.routes >> sink & 1 for each in self._frames)

    def heads(self) -> "FrameList":
        """The frames themselves: they are few."""
        return self


def stream_framing(form: str) -> str:
    """The framing of a file or a pipe for a format (`json`, `msgpack`)."""
    return "json-lines" if form == "json" else "msgpack"


def socket_framing(form: str) -> Literal["json-lines", "msgpack-prefixed"]:
    """The framing of a socket: msgpack with its length, so that a reader knows how much to wait for."""
    return "json-lines" if form == "json" else "msgpack-prefixed"


def frame(document: bytes, framing: str) -> bytes:
    """One document, framed."""
    if framing == "json-lines":
        return document + b"\n"
    return document if framing == "msgpack" else _LENGTH.pack(len(document)) + document


def document_of(frame: Frame, form: str) -> bytes:
    """A frame's document in a format; made from the other where a spool was written for sinks that had only that."""
    if form == "json":
        return frame.json if frame.json is not None else _as_json(frame.msgpack or b"\x80")
    return frame.msgpack if frame.msgpack is not None else packing.pack(json.loads(frame.json or b"{}"))


def _as_json(packed: bytes) -> bytes:
    return json.dumps(packing.unpack(packed), ensure_ascii=False, separators=(",", ":")).encode()


def fit(blob: bytes, framing: str, room: int) -> tuple[int, int]:
    """How much of a blob goes into `room` bytes in whole frames: (bytes, frames)."""
    end = count = 0
    for frame_end in ends(blob, framing):
        if frame_end > room:
            break
        end = frame_end
        count += 1
    return end, count


def ends(blob: bytes, framing: str) -> Iterator[int]:
    """Where each frame of a blob ends, in bytes from its beginning."""
    if framing == "json-lines":
        end = blob.find(b"\n") + 1
        while end:
            yield end
            end = blob.find(b"\n", end) + 1
    elif framing == "msgpack":
        yield from packing.ends(blob)
    else:
        end = 0
        while end < len(blob):
            end += _LENGTH.size + _LENGTH.unpack_from(blob, end)[0]
            yield end
