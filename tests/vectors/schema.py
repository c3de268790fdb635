"""Holds documents against docs/event.schema.json, fast enough for tens of thousands."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from tests.vectors.golden import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

Shape = str | tuple[Any, ...]


@cache
def validator() -> Draft202012Validator:
    """The schema, ready to be used."""
    schema = json.loads((ROOT / "docs" / "event.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def shape(value: object, key: str = "") -> Shape:
    """What the schema can see of a value: keys and types, and the text where it has a pattern."""
    match value:
        case dict():
            return tuple((name, shape(item, name)) for name, item in value.items())
        case list():
            return tuple(sorted({repr(shape(item)) for item in value})) or ("[]",)
        case str() if key == "@timestamp":
            return value
        case _:
            return type(value).__name__


class Checker:
    """Validates every document whose shape it has not met before."""

    def __init__(self) -> None:
        self.known: set[Shape] = set()

    def errors(self, documents: Iterable[dict[str, Any]]) -> list[str]:
        """What is wrong with documents, one text for each error; empty if they are valid."""
        found: list[str] = []
        for document in documents:
            seen = shape(document | {"@timestamp": _masked(str(document.get("@timestamp")))})
            if seen in self.known:
                continue
            self.known.add(seen)
            for error in validator().iter_errors(document):
                where = ".".join(str(part) for part in error.absolute_path)
                found.append(f"{document['event']['id']}: {where}: {error.message[:200]}")
        return found


def _masked(text: str) -> str:
    """A text with every digit as 0: all that a pattern of a time asks for."""
    return "".join("0" if character.isdecimal() else character for character in text)
