"""Events from a file, to its end.

In: a path. Out: its documents, in order. It is what a sink of the type `file` writes, or what `decode` printed.
"""

import contextlib
from collections.abc import Iterator
from typing import IO

from audisp_pyaudit.consumer.address import FileAddress
from audisp_pyaudit.consumer.base import EndOfEvents, Problem
from audisp_pyaudit.consumer.documents import Document
from audisp_pyaudit.consumer.stream import CHUNK_BYTES, Stream
from audisp_pyaudit.errors import ConsumerError


class FileSource:
    """A file.

    Args:
        address: where it is.

    Raises:
        ConsumerError: it cannot be opened.
    """

    def __init__(self, address: FileAddress) -> None:
        self.where = address.where
        try:
            self._file: IO[bytes] = open(address.path, "rb", buffering=0)  # noqa: SIM115, PTH123  # closed by close()
        except (OSError, ValueError) as error:
            raise ConsumerError(self.where, getattr(error, "strerror", None) or str(error)) from None
        self._found = self._all()

    def receive(self, seconds: float) -> Document | Problem:  # noqa: ARG002  # a file does not make anybody wait
        """The next document."""
        for each in self._found:
            return each
        raise EndOfEvents

    def finish(self) -> None:
        """Nothing is remembered: a file is read from its beginning."""

    def commit(self) -> None:
        """As finish."""

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _all(self) -> Iterator[Document | Problem]:
        stream = Stream(self.where)
        while chunk := self._read():
            yield from stream.feed(chunk)
        rest = stream.end()
        if rest is not None:
            yield rest

    def _read(self) -> bytes:
        try:
            return self._file.read(CHUNK_BYTES)
        except OSError as error:
            raise ConsumerError(self.where, error.strerror or str(error)) from None
