"""Documents on standard output, in the format the user asked for.

In: frames of the engine, or single documents. Out: bytes, through one buffer. A reader that has had enough (`head`) is
no error: `until_closed` ends quietly. A standard output that cannot be written is one, said in a sentence.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import click

from audisp_pyaudit.framing import Frames
from audisp_pyaudit.packing import pack
from audisp_pyaudit.text import render

FORMATS = ("json", "msgpack", "text")


def format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--format`, the same for every command."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="text is a readable line per event; it is the default on a terminal, json elsewhere.",
    )(command)


def chosen(form: str | None) -> str:
    """The format, where none was asked for."""
    if sys.stdout is None:
        raise click.ClickException("there is no standard output to write to")
    if form is not None:
        return form
    return "text" if sys.stdout.isatty() else "json"


class Output:
    """Writes documents.

    Args:
        form: one of `FORMATS`.
        local_host: the host that text does not name.
    """

    def __init__(self, form: str, local_host: str) -> None:
        self._form = form
        self._local_host = local_host
        self._write = sys.stdout.buffer.write

    @property
    def encoding(self) -> str:
        """What the engine has to encode for this."""
        return "msgpack" if self._form == "msgpack" else "json"

    def frames(self, frames: Frames) -> None:
        """Write the engine's frames."""
        if self._form == "json":
            self._write(frames.blob("json-lines"))
        elif self._form == "msgpack":
            self._write(frames.blob("msgpack"))
        else:
            for line in frames.blob("json-lines").splitlines():
                self._text(json.loads(line))

    def document(self, document: Mapping[str, Any]) -> None:
        """Write one document."""
        if self._form == "json":
            self._write(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        elif self._form == "msgpack":
            self._write(pack(document))
        else:
            self._text(document)

    def flush(self) -> None:
        """Let the reader have everything."""
        sys.stdout.buffer.flush()

    def _text(self, document: Mapping[str, Any]) -> None:
        self._write(render(document, self._local_host).encode(errors="backslashreplace") + b"\n")


def discard(stream: IO[Any] | None) -> None:
    """What is left in a stream's buffer has nowhere to go; without this, Python would complain about it at exit."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def say(text: str) -> None:
    """A line on standard error, if it can be written; the work does not depend on it."""
    try:
        click.echo(text, err=True)
    except OSError:
        discard(sys.stderr)


@contextlib.contextmanager
def until_closed() -> Iterator[None]:
    """End quietly when standard output is closed by its reader, or by ^C."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        raise SystemExit(0) from None
    except OSError as error:
        discard(sys.stdout)
        say(f"audisp-pyaudit: standard output: {error.strerror or error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
