"""`audisp-pyaudit decode`: audit logs in, documents out."""

import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

import click

from audisp_pyaudit.cli.output import Output, chosen, format_option, say, until_closed
from audisp_pyaudit.config import Config, Decode
from audisp_pyaudit.engine import Engine
from audisp_pyaudit.framing import Frames
from audisp_pyaudit.host import HostFacts, host_facts
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.names import look_up

READ_BYTES = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # zlib's word for: gzip, with the largest window


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@format_option
@click.option("--resolve", is_flag=True, help="Look users and groups up on this host; else only the log's own names.")
@click.option("--host", metavar="NAME", help="The host the log is from, if it is not this one.")
@click.option("--ledger", is_flag=True, help="Say at the end what came in and where it went, on standard error.")
def decode(files: tuple[str, ...], form: str | None, resolve: bool, host: str | None, ledger: bool) -> None:  # noqa: FBT001  # click's way
    """Read audit logs, plain or gzip, and print one document per event.

    Give the files oldest first. FILE may be -, standard input, which is also read without a FILE.
    """
    if not files:
        if sys.stdin is None or sys.stdin.isatty():
            raise click.UsageError("which log? For instance: audisp-pyaudit decode /var/log/audit/audit.log")
        files = ("-",)
    if host is not None and not host.strip():
        raise click.UsageError("--host: expected the name of a host, found an empty one")
    facts = host_facts() if host is None else HostFacts(host, host, ())
    output = Output(chosen(form), facts.name)
    options = Config(decode=Decode(names=resolve)).engine_options(facts, time.time_ns() // 1_000_000)
    engine = Engine(options | {"encodings": [output.encoding], "sinks": []})
    failures: list[str] = []
    with until_closed():
        _run(engine, output, _chunks(files, failures), resolve=resolve)
    if ledger:
        stats = engine.stats()
        for line in Ledger(stats, frames=stats["events_published"]).lines():
            say(line)
    if failures:
        raise SystemExit(1)


def _run(engine: Engine, output: Output, chunks: Iterable[bytes], *, resolve: bool) -> None:
    for chunk in chunks:
        _write(output, engine.feed(chunk))
        if resolve:
            _resolve(engine, output)
        output.flush()
    _write(output, engine.end())
    if resolve:
        _resolve(engine, output)
    _write(output, engine.close())


def _resolve(engine: Engine, output: Output) -> None:
    # A name may be wanted by many events, and only the first of them that waits asks.
    while wants := engine.wants():
        for kind, key in wants:
            engine.tell(kind, key, _name(kind, key))
        _write(output, engine.tick(0))  # time stands still: nothing is idle in a file


def _name(kind: str, key: str) -> str | None:
    """A name, as far as it can be had now; a file is not read twice."""
    try:
        return look_up(kind, key)
    except OSError:
        return None


def _write(output: Output, batches: Iterable[Frames]) -> None:
    for frames in batches:
        output.frames(frames)


def _chunks(files: Iterable[str], failures: list[str]) -> Iterator[bytes]:
    """The bytes of all files. What cannot be read is said, and the next file is read."""
    for file in files:
        last = b""
        try:
            with open(0 if file == "-" else file, "rb", buffering=0, closefd=file != "-") as stream:
                for chunk in _plain(stream):
                    last = chunk
                    yield chunk
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or str(error)
            failures.append(file)
            say(f"audisp-pyaudit decode: {file}: {why}")
        if last and not last.endswith(b"\n"):
            yield b"\n"


def _plain(stream: IO[bytes]) -> Iterator[bytes]:
    """The content of a stream; gzip is known by its first bytes, whatever the file is called.

    Raises:
        EOFError, zlib.error: the gzip file is cut off or damaged; what came before was given.
    """
    chunk = stream.read(READ_BYTES)
    while chunk and len(chunk) < len(_GZIP_MAGIC) and (more := stream.read(READ_BYTES)):
        chunk += more  # a pipe may give a single byte
    if not chunk.startswith(_GZIP_MAGIC):
        while chunk:
            yield chunk
            chunk = stream.read(READ_BYTES)
        return
    unzip = zlib.decompressobj(wbits=_GZIP_WBITS)
    while chunk:
        content = unzip.decompress(chunk, READ_BYTES)
        if content:
            yield content
        chunk = unzip.unconsumed_tail or unzip.unused_data or stream.read(READ_BYTES)
        if unzip.eof and chunk.strip(b"\0"):  # another member; zeros are padding
            unzip = zlib.decompressobj(wbits=_GZIP_WBITS)
        elif unzip.eof:
            return
    raise EOFError("the gzip file is cut off")
