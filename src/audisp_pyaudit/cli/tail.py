"""`audisp-pyaudit tail`: watch the events that a running plugin offers on a Unix socket."""

import contextlib
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import click

from audisp_pyaudit.cli.output import Output, chosen, format_option, say, until_closed
from audisp_pyaudit.packing import unpack

# No document is larger: an event holds 16 MiB of records, and bytes become at most six characters in JSON.
MAX_DOCUMENT_BYTES = 128 * 1024 * 1024
_LENGTH = struct.Struct(">I")


@click.command()
@click.argument("path", metavar="SOCKET")
@format_option
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N events.")
def tail(path: str, form: str | None, count: int | None) -> None:
    """Print the events of a running plugin as they come.

    SOCKET is the path of a sink of type unix, /run/audisp-pyaudit/events.sock unless configured otherwise.
    """
    output = Output(chosen(form), socket.gethostname())
    with contextlib.closing(_connected(path)) as connection, until_closed():
        try:
            for number, document in enumerate(_documents(connection), 1):
                output.document(document)
                output.flush()
                if number == count:
                    return
        except ValueError as error:
            raise click.ClickException(f"{path}: {error}") from None
    say(f"audisp-pyaudit tail: {path}: the plugin has ended")


def _connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except ConnectionRefusedError:
        connection.close()
        raise click.ClickException(f"{path}: nobody listens there; is the plugin running?") from None
    except OSError as error:
        connection.close()
        raise click.ClickException(f"{path}: {error.strerror or error}") from None
    return connection


def _documents(connection: socket.socket) -> Iterator[Mapping[str, Any]]:
    """The documents of a stream, JSON lines or msgpack with lengths.

    Raises:
        ValueError: it is neither, or it broke off.
    """
    buffer = bytearray()
    while chunk := _received(connection):
        buffer += chunk
        start = 0
        while end := _end(buffer, start):
            yield _document(buffer, start, end)
            start = end
        del buffer[:start]
        if len(buffer) > MAX_DOCUMENT_BYTES:
            raise ValueError("what comes is no stream of events: no document ends")
    if buffer:
        raise ValueError("the stream ended inside a document")


def _received(connection: socket.socket) -> bytes:
    """The next bytes; an error here is the plugin's end of the stream, never standard output."""
    try:
        return connection.recv(256 * 1024)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None


def _is_json(buffer: bytearray, start: int) -> bool:
    return buffer[start] == ord("{")


def _end(buffer: bytearray, start: int) -> int:
    """Where the document that begins at `start` ends; 0 if it is not complete."""
    if len(buffer) - start < _LENGTH.size:
        return 0
    if _is_json(buffer, start):
        return buffer.find(b"\n", start) + 1
    length: int = _LENGTH.unpack_from(buffer, start)[0]
    if length > MAX_DOCUMENT_BYTES:
        raise ValueError("what comes is neither JSON lines nor msgpack with lengths")
    end = start + _LENGTH.size + length
    return end if end <= len(buffer) else 0


def _document(buffer: bytearray, start: int, end: int) -> Mapping[str, Any]:
    if _is_json(buffer, start):
        document = json.loads(buffer[start:end])
    else:
        document = unpack(bytes(buffer[start + _LENGTH.size : end]))
    if not isinstance(document, Mapping):
        raise ValueError("what comes is no stream of events: a document is not a map")  # noqa: TRY004  # as the others
    return document
