"""The documents of a stream of bytes: a socket's or a file's.

In: bytes, in any pieces. Out: documents, and what is said of those that are none. The first byte tells the framing:
JSON lines, msgpack, or msgpack with its length before it (`framing.py`). Nothing is read here. Where the end of a
document that is none is known, the next one is found; else the stream is of no more use.
"""

import struct
from collections.abc import Iterator
from typing import Any

from audisp_pyaudit.consumer.base import Problem
from audisp_pyaudit.consumer.documents import Document, decode
from audisp_pyaudit.errors import ConsumerError
from audisp_pyaudit.packing import unpacker

# No document is larger: an event holds 16 MiB of records, and bytes become at most six characters in JSON.
MAX_DOCUMENT_BYTES = 128 * 1024 * 1024
# Read at a time.
CHUNK_BYTES = 256 * 1024
_LENGTH = struct.Struct(">I")
# How maps begin in msgpack: up to 15 keys, up to 65,535, more.
_MAPS = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])


class Stream:
    """A stream.

    Args:
        where: what is read, for errors.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._framing = ""
        self._buffer = bytearray()
        self._searched = 0  # no newline in as many bytes of the buffer
        self._number = 0  # documents, and what should have been
        self._unpacker: Any = None
        self._fed = 0  # bytes, to the unpacker
        self._taken = 0  # of these, in whole documents

    def feed(self, chunk: bytes) -> Iterator[Document | Problem]:
        """What is complete with these bytes. Go through all of it before the next call.

        Raises:
            ConsumerError: it is no stream of events, or not any more.
        """
        if not self._framing and chunk:
            self._framing = self._recognised(chunk[0])
        if self._framing == "msgpack":
            yield from self._values(chunk)
            return
        self._buffer += chunk
        begin = 0
        while end := self._end(begin):
            skip = 0 if self._framing == "json-lines" else _LENGTH.size
            payload = bytes(self._buffer[begin + skip : end])
            begin = self._searched = end
            if payload.strip() or skip:
                yield self._decoded(payload)
        del self._buffer[:begin]
        self._searched = len(self._buffer)
        if len(self._buffer) > MAX_DOCUMENT_BYTES + _LENGTH.size:
            raise self._broken(f"no document ends within {MAX_DOCUMENT_BYTES} bytes")

    def end(self) -> Problem | None:
        """The stream has ended: whether that was within a document."""
        if not self._buffer and self._taken == self._fed:
            return None
        return Problem(ConsumerError(self._where, "the stream ended inside a document, which is lost"))

    def _recognised(self, first: int) -> str:
        if first == ord("{"):
            return "json-lines"
        if first in _MAPS:
            self._unpacker = unpacker(MAX_DOCUMENT_BYTES)
            return "msgpack"
        if first <= MAX_DOCUMENT_BYTES >> 24:
            return "msgpack-prefixed"
        raise self._broken("it is neither JSON lines nor msgpack")

    def _end(self, begin: int) -> int:
        """Where the frame that begins at `begin` ends; 0 if it is not complete."""
        if self._framing == "json-lines":
            return self._buffer.find(b"\n", max(begin, self._searched)) + 1
        if len(self._buffer) - begin < _LENGTH.size:
            return 0
        length: int = _LENGTH.unpack_from(self._buffer, begin)[0]
        if length > MAX_DOCUMENT_BYTES:
            raise self._broken(f"a document of {length} bytes cannot be, it is not msgpack with lengths")
        end = begin + _LENGTH.size + length
        return end if end <= len(self._buffer) else 0

    def _decoded(self, payload: bytes) -> Document | Problem:
        self._number += 1
        try:
            return decode(payload)
        except ValueError as error:
            return Problem(ConsumerError(f"{self._where}: document {self._number}", str(error)))

    def _values(self, chunk: bytes) -> Iterator[Document]:
        """Of msgpack without lengths: where a value ends is known only to who reads it."""
        try:
            self._unpacker.feed(chunk)
            self._fed += len(chunk)
            for value in self._unpacker:
                if not isinstance(value, dict):
                    raise ValueError("a document is not a map")  # noqa: TRY004, TRY301  # as msgpack's own
                self._number += 1
                self._taken = self._unpacker.tell()
                yield value
        except Exception as error:  # noqa: BLE001  # ValueError, and msgpack's BufferFull, which is not imported here
            text = f"document {self._number + 1} is none, and where the next one begins cannot be known: {error}"
            raise self._broken(text) from None

    def _broken(self, why: str) -> ConsumerError:
        return ConsumerError(self._where, f"what comes is no stream of events: {why}")
