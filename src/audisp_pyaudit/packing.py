"""msgpack, typed, and loaded only when somebody asks for it.

In: documents or bytes. Out: the other. Documents are maps with text keys, without extension types and without `bin`.
"""

from collections.abc import Iterator, Mapping
from typing import Any


def _msgpack() -> Any:  # noqa: ANN401  # msgpack carries no types
    import msgpack  # type: ignore[import-untyped]  # noqa: PLC0415  # JSON does without it

    return msgpack


def pack(document: Mapping[str, object]) -> bytes:
    """One document as msgpack."""
    packed: bytes = _msgpack().packb(document)
    return packed


def unpack(packed: bytes) -> object:
    """One msgpack value.

    Raises:
        ValueError: it is not exactly one.
    """
    value: object = _msgpack().unpackb(packed)
    return value


def unpacker(limit: int) -> Any:  # noqa: ANN401  # msgpack carries no types
    """Takes bytes in pieces (`feed`), gives the values that are complete (iteration); it holds at most `limit` bytes.

    Both raise ValueError, or msgpack's BufferFull, for what is no msgpack or too large.
    """
    return _msgpack().Unpacker(max_buffer_size=limit)


def ends(packed: bytes) -> Iterator[int]:
    """Where each of several msgpack values ends, in bytes from the beginning of the first."""
    values = unpacker(0)
    values.feed(packed)
    while values.tell() < len(packed):
        values.skip()
        yield values.tell()
