"""What a stream says does not depend on what it said before: the engine remembers records that repeat."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
import pytest

from audisp_pyaudit._engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from audisp_pyaudit._engine import Frames

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
ROUNDS = 4
# Longer than anything is remembered about descriptors and serials.
_SECONDS = 1_000_000
_SERIALS = 10_000
_STAMP = re.compile(rb"msg=audit\((\d+)(\.\d+)?(?::(\d+))?\)")


def _again(log: bytes, number: int) -> bytes:
    """The log as it would be much later, all else the same."""

    def later(match: re.Match[bytes]) -> bytes:
        seconds = b"%d" % (int(match[1]) + number * _SECONDS)
        serial = b"" if match[3] is None else b":%d" % ((int(match[3]) + number * _SERIALS) % 2**32)
        return b"msg=audit(" + seconds + (match[2] or b"") + serial + b")"

    return _STAMP.sub(later, log)


def _said(engine: Engine, log: bytes) -> list[dict[str, Any]]:
    """The documents of a log, without what says when and which; the engine ends with it."""
    documents = []
    takes: list[Callable[[], Frames]] = [lambda: engine.feed(log), engine.close]
    for take in takes:
        frames = take()
        for kind, key in engine.wants():
            engine.tell(kind, key, f"{kind}-{key}")
        each = [frames[index] for index in range(len(frames))]
        as_json = [json.loads(frame.json or b"") for frame in each]
        assert as_json == [msgpack.unpackb(frame.msgpack or b"") for frame in each]
        documents += as_json
    said = []
    for document in documents:
        if document["event"]["kind"] == "pipeline_error" and document["event"]["action"] == "serial-gap":
            continue
        for key in ("id", "sequence", "original"):
            document["event"].pop(key, None)
        del document["@timestamp"]
        said.append(document)
    return sorted(said, key=json.dumps)


@pytest.mark.parametrize("log", sorted(VECTORS.glob("*.log")), ids=lambda path: path.stem)
def test_what_comes_again_is_decoded_as_it_was_the_first_time(log: Path) -> None:
    """A host that does the same thing a thousand times gets the same document a thousand times."""
    engine = Engine(
        {
            "host": {"name": "vm", "id": "0123456789abcdef", "architecture": "x86_64"},
            "encodings": ["json", "msgpack"],
            "names": "ask",
        }
    )
    content = log.read_bytes()
    # What has no time that could be changed stays one event over all rounds.
    content = b"".join(line for line in content.splitlines(keepends=True) if _STAMP.search(line))
    _said(engine, content)  # names are known from here on
    first = _said(engine, _again(content, 1))
    for number in range(2, ROUNDS + 1):
        assert _said(engine, _again(content, number)) == first
