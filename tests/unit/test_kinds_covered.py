"""Every kind of value that the knowledge has is in a vector: what nobody ever saw decoded is a claim, not knowledge."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.differential import places
from tests.vectors import golden

DATA = Path(__file__).resolve().parents[2] / "src" / "knowledge" / "data"
_TYPE = re.compile(rb"type=(\S+) msg=audit\(")
_NAME = re.compile(rb"[ '(]([A-Za-z0-9_.\-]+)=(?=[^ ])")


def rows(table: str) -> list[dict[str, str]]:
    """Rows of a table of the knowledge."""
    lines = (DATA / table).read_text(encoding="utf-8").splitlines()
    columns, *body = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [dict(zip(columns, row, strict=True)) for row in body]


KINDS = {row["kind"]: row["reader"] for row in rows("kinds.tsv")}
BESIDE = {"values", "mode", "keystrokes"}


def arguments_of(document: dict[str, Any]) -> Iterator[str]:
    """Kinds of the arguments whose meaning the document says."""
    data, decoded = document["auditd"].get("data", {}), document["auditd"].get("decoded", {})
    done: set[str] = set()
    for conditional in (False, True):
        for row in _arguments().get(data.get("syscall", ""), []):
            at = f"a{row['argument']}"
            if (row["when"] != "-") != conditional or at in done or at not in decoded:
                continue
            argument, _, names = row["when"].partition(":")
            if conditional and not set(names.split(",")) & set(decoded.get(argument, [])):
                continue
            done.add(at)
            yield row["kind"]


@cache
def _arguments() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows("arguments.tsv"):
        found.setdefault(row["syscall"], []).append(row)
    return found


def fields_of(line: bytes) -> Iterator[tuple[str, str]]:
    """Kinds and names of the fields that a record holds."""
    kind = _TYPE.search(line)
    own = line.partition(b"\x1d")[0]
    for name in _NAME.findall(own.partition(b"): ")[2].join([b" ", b""])):
        field = name.decode()
        known = places.field(kind[1].decode("latin-1"), field) if kind else None
        if kind and kind[1] == b"PATH":
            known = places.path_fields().get(field, known)
        if known is not None:
            yield known.kind, field


@cache
def seen() -> dict[str, str]:
    """Kinds that vectors show, each with the name of one that does."""
    found: dict[str, str] = {}
    for name in golden.names():
        vector = golden.load(name)
        decoded: set[str] = set()
        for document in vector.documents:
            decoded |= document["auditd"].get("decoded", {}).keys()
            decoded |= {f"path {key}" for path in document["auditd"].get("paths", []) for key in path}
            for record in document["auditd"].get("records", []):
                decoded |= {each["name"] for each in record["fields"] if "decoded" in each}
            for kind in arguments_of(document):
                found.setdefault(kind, name)
        for line in vector.log.split(b"\n"):
            for kind, field in fields_of(line):
                told = {field.replace("-", "_"), field, f"path {field}_decoded"} & decoded
                if KINDS[kind] not in BESIDE or told:
                    found.setdefault(kind, name)
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_in_a_vector(kind: str) -> None:
    """Whoever relies on a decoded value finds a real record of that kind, and what came of it."""
    assert kind in seen(), f"no vector shows a value of kind {kind}"
