"""Where the project's own knowledge says that a field goes, read from its tables and not from the engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "src" / "knowledge" / "data"
IDS = frozenset({"uid", "gid"})


@dataclass(frozen=True)
class Known:
    """A row of fields.tsv or path_fields.tsv: how a value is read, and the path of its place in the document."""

    kind: str
    place: str

    @property
    def name_place(self) -> str:
        """Where the name of a user or group id stands."""
        if self.place.endswith(".id") and not self.place.startswith("auditd.data."):
            return self.place.removesuffix("id") + "name"
        return f"{self.place}_name"


def _rows(table: str) -> list[list[str]]:
    lines = (DATA / table).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")][1:]


def snake(field: str) -> str:
    """A field's name as a key of the document."""
    return field.replace("-", "_").lower()


@cache
def _fields() -> dict[tuple[str, str], Known]:
    fields = {}
    for record, field, kind, place in _rows("fields.tsv"):
        path = place
        if place == "data":
            path = f"auditd.data.{snake(field)}"
        elif kind in IDS:
            path = f"{place}.id"
        fields[record, field] = Known(kind, path)
    return fields


def field(record_type: str, name: str) -> Known | None:
    """What is known of a field of a record of this type (`SYSCALL`); None for a stranger."""
    return _fields().get((record_type, name)) or _fields().get(("*", name))


@cache
def path_fields() -> dict[str, Known]:
    """What is known of the fields of a PATH record; places are keys of an object of auditd.paths."""
    return {name: Known(kind, key) for name, kind, key in _rows("path_fields.tsv")}


@cache
def record_types() -> dict[int, str]:
    """Names of record types by number."""
    return {int(number): name for number, name, *_ in _rows("record_types.tsv")}
