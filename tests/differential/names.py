"""The users and groups that both sides know, and the documents that the engine makes with them.

They are those of `passwd` and `group` beside this file, whatever the machine has. Their names are nobody's in the logs,
so a name that a record carries cannot be mistaken for one of these; some ids of the logs are left out, and stay without
a name.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audisp_pyaudit._engine import Engine
from tests.vectors.golden import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audisp_pyaudit._engine import Frames

HERE = Path(__file__).resolve().parent
FILES = {"uid": HERE / "passwd", "gid": HERE / "group"}
# A plugin reads as much at a time.
CHUNK = 65_536
SILENCE_MS = 60_000


@cache
def known(kind: str) -> dict[str, str]:
    """Names by number, of users (`uid`) or groups (`gid`)."""
    lines = FILES[kind].read_text(encoding="utf-8").splitlines()
    return {number: name for name, _, number, *_ in (line.split(":") for line in lines)}


def documents(log: bytes, options: dict[str, object]) -> list[dict[str, Any]]:
    """What an engine that is told these names publishes of a log, with every line that it read.

    Args:
        log: the bytes.
        options: engine options that differ from those of the vectors.
    """
    engine = Engine(OPTIONS | options | {"names": "ask", "include_raw": "always", "encodings": ["json"]})
    lines = b"".join(frames.blob("json-lines") for frames in _frames(engine, log)).split(b"\n")
    return [json.loads(line) for line in lines if line]


def _frames(engine: Engine, log: bytes) -> Iterator[Frames]:
    for at in range(0, len(log), CHUNK):
        yield engine.feed(log[at : at + CHUNK])
        yield from _answer(engine, 0)
    # When it closes it waits for no name, so what it still holds has to go out before, as after a long silence.
    yield engine.tick(0)
    yield engine.tick(SILENCE_MS)
    yield from _answer(engine, SILENCE_MS)
    yield engine.close()


def _answer(engine: Engine, now_ms: int) -> Iterator[Frames]:
    while wants := engine.wants():
        for kind, number in wants:
            engine.tell(kind, number, known(kind).get(number))
        # Time stands still: nothing is overdue in a file.
        yield engine.tick(now_ms)
