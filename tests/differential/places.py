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


def rows(table: str) -> list[list[str]]:
    """The rows of a table of the knowledge, without its head."""
    lines = (DATA / table).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")][1:]


def snake(field: str) -> str:
    """A field's name as a key of the document."""
    return field.replace("-", "_").lower()


@cache
def _fields() -> dict[tuple[str, str], Known]:
    fields = {}
    for record, field, kind, place in rows("fields.tsv"):
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


def recorded(place: str) -> bool:
    """Whether a place is filled from a field of a record; all others the engine fills from these, or by itself."""
    return place.startswith("auditd.data.") or place in _filled()


@cache
def _filled() -> frozenset[str]:
    known = _fields().values()
    return frozenset(row.place for row in known) | frozenset(row.name_place for row in known if row.kind in IDS)


def is_group(record_type: str, name: str) -> bool:
    """Whether a field of a record of this type, PATH included, holds the id of a group."""
    known = (path_fields().get(name) if record_type == "PATH" else None) or field(record_type, name)
    return known is not None and known.kind == "gid"


@cache
def path_fields() -> dict[str, Known]:
    """What is known of the fields of a PATH record; places are keys of an object of auditd.paths."""
    return {name: Known(kind, key) for name, kind, key in rows("path_fields.tsv")}


@cache
def record_types() -> dict[int, str]:
    """Names of record types by number."""
    return {int(number): name for number, name, *_ in rows("record_types.tsv")}
