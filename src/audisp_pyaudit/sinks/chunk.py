"""Chunks of the Fluent forward protocol, and what a peer says to them. Bytes only, no socket.

In: documents in msgpack; the bytes that a peer sent. Out: a message in the mode PackedForward; ids of chunks that were
acknowledged.

    message  [tag, entries, {"chunk": id, "size": number of entries}]     `chunk` only where an answer is wanted
    entries  bin, the entries one after the other
    entry    [time, document]
    time     ext type 0, seconds and nanoseconds as u32 each (EventTime)
    answer   {"ack": id}

PackedForward and not Forward: fluentd's in_unix converts the times of Forward, also those that are an EventTime; those
of PackedForward nobody touches. Documents are put in as they are, never decoded.
"""

import base64
import os
import struct
from collections.abc import Iterator, Sequence

from audisp_pyaudit.packing import pack, unpacker

# An answer has some 35 bytes; what is much longer is none.
_MAX_ANSWER_BYTES = 64 * 1024
# array of 2, ext of 8 bytes, its type 0, seconds, nanoseconds
_ENTRY = struct.Struct(">BBBII")
_ARRAY_2, _ARRAY_3, _EXT_8, _STR_8, _BIN_32 = 0x92, 0x93, 0xD7, 0xD9, 0xC6
_LAST_SECOND = 2**32 - 1


def new_id() -> str:
    """An id that no other chunk has."""
    return base64.b64encode(os.urandom(16)).decode()


def entry(time_ms: int, document: bytes) -> bytes:
    """An entry.

    Args:
        time_ms: milliseconds since 1970. What does not fit (before 1970, after 2106) becomes the nearest that does:
            the document has the exact time, and who forges one must not make a message that no peer reads.
        document: a map in msgpack.
    """
    seconds, milliseconds = divmod(time_ms, 1000)
    if not 0 <= seconds <= _LAST_SECOND:
        seconds, milliseconds = (0, 0) if seconds < 0 else (_LAST_SECOND, 0)
    return _ENTRY.pack(_ARRAY_2, _EXT_8, 0, seconds, milliseconds * 1_000_000) + document


def message(tag: str, entries: Sequence[bytes], chunk: str | None) -> bytes:
    """A message.

    Args:
        tag: at most 255 bytes.
        entries: as `entry` makes them.
        chunk: an id, if the peer is to acknowledge it.
    """
    name = tag.encode()
    size = sum(map(len, entries))
    head = struct.pack(f">BBB{len(name)}sBI", _ARRAY_3, _STR_8, len(name), name, _BIN_32, size)
    option: dict[str, object] = {"size": len(entries)}
    if chunk is not None:
        option["chunk"] = chunk
    return b"".join((head, *entries, pack(option)))


class Answers:
    """What one connection's peer says."""

    def __init__(self) -> None:
        self._unpacker = unpacker(_MAX_ANSWER_BYTES)

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes; ids of the chunks that they acknowledge.

        Raises:
            ValueError: they are no acknowledgement; says what they are.
        """
        try:
            self._unpacker.feed(data)
            answers = list(self._unpacker)
        except Exception as error:  # msgpack has a family of them, with several parents
            raise ValueError("answers what is no msgpack; is it a forward input, without TLS?") from error
        for answer in answers:
            match answer:
                case {"ack": str(chunk)}:
                    yield chunk
                case ["HELO", *_]:
                    raise ValueError("wants authentication (HELO), which is not supported")
                case dict() if not answer:  # Vector's way
                    raise ValueError("refuses a chunk")
                case _:
                    raise ValueError("answers what is no acknowledgement; is it a forward input?")
