"""What rules and dashboards compare, our documents say: under that name, of that type, in those words."""

import ipaddress
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.vectors import golden

HERE = Path(__file__).resolve().parent
TEMPLATE = golden.ROOT / "docs" / "index-template.json"
EPOCH = 1970
_PLACE = re.compile(r"(.+)\[(\d+)\]\Z")


def rows(table: str) -> list[dict[str, str]]:
    """Rows of a table."""
    lines = (HERE / table).read_text(encoding="utf-8").splitlines()
    columns, *body = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [dict(zip(columns, row, strict=True)) for row in body]


FIELDS, ABSENT = rows("fields.tsv"), rows("absent.tsv")


@cache
def documents(vector: str) -> list[golden.Document]:
    """What the engine makes of a vector."""
    return golden.run([golden.load(vector).log], golden.load(vector).options).documents


def values(document: Any, field: str) -> Iterator[Any]:  # noqa: ANN401 - a document is any JSON
    """Values of a field, also within each object of a list."""
    place = _PLACE.match(field)
    if place:
        lists = list(values(document, place[1]))
        yield from (each[int(place[2])] for each in lists if len(each) > int(place[2]))
        return
    if not field:
        yield document
    elif isinstance(document, list):
        for each in document:
            yield from values(each, field)
    elif isinstance(document, dict):
        name, _, rest = field.partition(".")
        if name in document:
            yield from values(document[name], rest)


def is_address(value: object) -> bool:
    """Whether a value is what an index takes as `ip`."""
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def is_date(value: object) -> bool:
    """Whether a value is an ISO time in UTC."""
    return isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value).year >= EPOCH


TYPES: dict[str, Callable[[Any], bool]] = {
    "keyword": lambda value: isinstance(value, str),
    "keyword[]": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "wildcard": lambda value: isinstance(value, str),
    "long": lambda value: type(value) is int,
    "ip": is_address,
    "date": is_date,
}


def says(document: golden.Document, field: str, value: str) -> bool:
    """Whether one of a document's values of a field is the one asked for."""
    found = [each for held in values(document, field) for each in (held if isinstance(held, list) else [held])]
    return bool(found) if value == "*" else any(str(each) == value for each in found)


def name_of(row: dict[str, str]) -> str:
    """A row as the name of a test."""
    return f"{row['asked_by']}-{row['field']}={row['value']}-{row['with']}"


@pytest.mark.parametrize("row", FIELDS, ids=name_of)
def test_the_document_says_what_is_asked_for(row: dict[str, str]) -> None:
    """A rule or a dashboard made for auditbeat's documents, or by way of them, finds in ours what it looks for."""
    wanted = [pair.partition("=")[::2] for pair in row["with"].split(",")] if row["with"] != "-" else []
    wanted.append((row["field"], row["value"]))
    matching = [each for each in documents(row["vector"]) if all(says(each, *pair) for pair in wanted)]
    assert matching, f"no document of {row['vector']} says {wanted}"


@pytest.mark.parametrize("field", sorted({(row["field"], row["type"]) for row in FIELDS}), ids="=".join)
def test_the_type_is_that_of_the_consumers_index(field: tuple[str, str]) -> None:
    """No document is refused for a type: in no vector does the field hold anything else."""
    name, kind = field
    for vector in golden.names():
        for document in documents(vector):
            for value in values(document, name):
                if name.startswith("process.args") and isinstance(value, list):
                    value = [each for each in value if each is not None]  # noqa: PLW2901 - null: an argument that was lost
                if value is not None:
                    assert TYPES[kind](value), f"{vector}: {name} is {value!r}, not {kind}"


@pytest.mark.parametrize("field", sorted({(row["field"], row["type"]) for row in FIELDS}), ids="=".join)
def test_our_index_template_has_the_type(field: tuple[str, str]) -> None:
    """Who loads our template can run these rules without naming a type."""
    name, kind = _PLACE.sub(r"\1", field[0]), field[1].removesuffix("[]")
    node = json.loads(TEMPLATE.read_text(encoding="utf-8"))["template"]["mappings"]
    for part in name.split("."):
        if node.get("type") == "flattened":
            break
        node = node["properties"][part]
    # Elasticsearch counts both as the family `keyword`: the same queries run on either.
    same = {"keyword": {"keyword", "flattened"}, "wildcard": {"wildcard", "keyword"}}.get(kind, {kind})
    assert node["type"] in same, node


@pytest.mark.parametrize("row", ABSENT, ids=lambda row: row["prefix"])
def test_what_is_said_to_be_absent_is(row: dict[str, str]) -> None:
    """The list of what rules cannot find is true: a field that comes to be filled moves to the other table."""
    assert row["reason"]
    field = row["prefix"].removesuffix(".")
    for vector in golden.names():
        assert not [each for document in documents(vector) for each in values(document, field)], vector
    assert not [each["field"] for each in FIELDS if each["field"].startswith(row["prefix"])]


def test_a_row_that_nothing_says_is_found_out() -> None:
    """The table proves something: a value that no document holds fails."""
    document = documents("consumers-network")[0]
    assert not says(document, "auditd.data.socket.family", "39")
    assert says(document, "auditd.data.socket.family", "38")
    assert not TYPES["long"]("38")
    assert not TYPES["ip"]("/run/docker.sock")
    assert not TYPES["date"]("yesterday")
