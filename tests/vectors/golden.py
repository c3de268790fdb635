"""Vectors and their goldens: NAME.log is input, NAME.json what has to come out and where the input is from.

A golden is a JSON object:

- `provenance`: `capture` (file of our own), `lines` (of it, 1-based: `1-4,9`), `kernel`, `auditd`, `what` (one
  sentence), and `changed` if the lines are not as they were captured;
- `checked`: facts that were compared with `ausearch -i` of the same event, in plain words;
- `options`: engine options that differ from `OPTIONS`, if any;
- `documents`: what the engine publishes, in order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audisp_pyaudit._engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audisp_pyaudit._engine import Frames

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# The same host for every vector, no clock and no name service, so that the same bytes give the same documents.
OPTIONS: dict[str, object] = {
    "host": {"name": "lab", "id": "1" * 32, "nodes": []},
    "process_start_ms": 0,
    "encodings": ["json", "msgpack"],
    "sinks": ["all"],
    "names": "off",
}

Document = dict[str, Any]


@dataclass
class Golden:
    """NAME.json."""

    name: str
    provenance: dict[str, str]
    checked: list[str]
    documents: list[Document]
    options: dict[str, object] = field(default_factory=dict)

    @property
    def log(self) -> bytes:
        """The input."""
        return (HERE / f"{self.name}.log").read_bytes()


@dataclass
class Run:
    """What came of feeding bytes to an engine and closing it."""

    documents: list[Document]
    json: bytes
    msgpack: bytes
    stats: dict[str, int]

    @property
    def balanced(self) -> bool:
        """Whether every record is accounted for."""
        stats = self.stats
        taken = stats["records_in"] + stats["records_restored"]
        named = stats["records_held"] + stats["records_end_of_event"] + stats["records_filtered"]
        return taken == stats["records_published"] + named


def names() -> list[str]:
    """Names of all vectors."""
    return sorted(path.stem for path in HERE.glob("*.log"))


def load(name: str) -> Golden:
    """Read NAME.json."""
    return Golden(name=name, **json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")))


def save(golden: Golden) -> None:
    """Write NAME.json."""
    content: dict[str, object] = {"provenance": golden.provenance, "checked": golden.checked}
    if golden.options:
        content["options"] = golden.options
    content["documents"] = golden.documents
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    (HERE / f"{golden.name}.json").write_text(text, encoding="utf-8")


def run(chunks: Iterable[bytes], options: dict[str, object] | None = None) -> Run:
    """Feed chunks to an engine of its own, and close it.

    Args:
        chunks: the bytes, in pieces of any size.
        options: engine options that differ from `OPTIONS`.
    """
    engine = Engine(OPTIONS | (options or {}))
    outputs: list[Frames] = [engine.feed(chunk) for chunk in chunks]
    outputs.append(engine.close())
    as_json = b"".join(frames.blob("json-lines") for frames in outputs)
    return Run(
        # A document is one line: JSON text of ours holds no newline.
        documents=[json.loads(line) for line in as_json.split(b"\n") if line],
        json=as_json,
        msgpack=b"".join(frames.blob("msgpack") for frames in outputs),
        stats=engine.stats(),
    )
