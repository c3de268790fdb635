"""What a document holds, to be taken out fact by fact: nothing can prove two facts, and what is left was in no record.

A fact is a value at a place of the document, an item of `tags` or of `process.args`, a field in `auditd.records`;
names in `auditd.unset` prove as many facts as there are.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.differential import places

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]

CONTEXT = ("user", "role", "domain", "level", "category")
SOCKET = "auditd.data.socket"


def exact(holder: dict[str, Any], key: str) -> bytes | None:
    """The bytes of a text or number of an object of the document; None if there is none."""
    if f"{key}_bytes" in holder:
        return base64.b64decode(holder[f"{key}_bytes"])
    return None if key not in holder else str(holder[key]).encode()


def exact_list(holder: dict[str, Any], key: str) -> list[bytes | None]:
    """The bytes of the items of a list of the document; None where it holds null."""
    texts = [None if text is None else str(text).encode() for text in holder.get(key, [])]
    lossy = [None if text is None else base64.b64decode(text) for text in holder.get(f"{key}_bytes", [])]
    return [text if exact is None else exact for text, exact in zip(texts, lossy or texts, strict=True)]


def _leaves(holder: dict[str, Any], path: str = "") -> dict[str, bytes]:
    leaves: dict[str, bytes] = {}
    for key, value in holder.items():
        if isinstance(value, dict):
            leaves |= _leaves(value, f"{path}{key}.")
        elif not isinstance(value, list) and not key.endswith("_bytes"):
            leaves[path + key] = exact(holder, key) or b""
    return leaves


def _context(values: dict[str, bytes], prefix: str) -> bytes | None:
    """Take the parts of a security context out of `values`, joined."""
    parts = [values.pop(f"{prefix}{part}", None) for part in CONTEXT]
    present = [part for part in parts if part is not None]
    return b":".join(present) if present else None


def _words(joined: bytes | None) -> list[bytes]:
    return [] if joined is None else joined.split(b"|")


@dataclass
class Rest:
    """One field of auditd.records."""

    record_type: str
    name: bytes
    value: bytes
    # What stands beside it of what it means.
    meaning: list[bytes] = field(default_factory=list, compare=False)


@dataclass
class Held:
    """A document, and what of it has not been taken out yet."""

    document: Document
    places: dict[str, bytes] = field(init=False)
    tags: Counter[bytes] = field(init=False)
    rest: list[Rest] = field(init=False)
    # Of each object of auditd.paths: values by key.
    paths: list[dict[str, bytes]] = field(init=False)
    args: dict[int, bytes] = field(init=False)
    unset: frozenset[bytes] = field(init=False)
    truncated: frozenset[bytes] = field(init=False)
    record_types: list[str] = field(init=False)
    # What values of auditd.data mean, by key.
    meanings: dict[str, list[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        auditd = self.document["auditd"]
        self.places = _leaves(self.document)
        context = _context(self.places, "user.selinux.") or self.places.pop("auditd.data.subj", None)
        if context is not None:
            self.places["user.selinux"] = context
        self.tags = Counter(tag for tag in exact_list(self.document, "tags") if tag is not None)
        self.rest = [
            Rest(record["type"], exact(row, "name") or b"", exact(row, "value") or b"", _words(exact(row, "decoded")))
            for record in auditd.get("records", [])
            for row in record["fields"]
        ]
        self.paths = []
        for path in auditd.get("paths", []):
            values = _leaves(path)
            context = _context(values, "obj_")
            self.paths.append(values if context is None else values | {"obj": context})
        arguments = exact_list(self.document.get("process", {}), "args")
        self.args = {index: argument for index, argument in enumerate(arguments) if argument is not None}
        self.unset = frozenset(name for name in exact_list(auditd, "unset") if name)
        self.truncated = frozenset(name for name in exact_list(auditd, "truncated") if name)
        self.record_types = auditd["record_types"]
        said = auditd.get("decoded", {})
        self.meanings = {
            key: [word or b"" for word in exact_list(said, key)] for key in said if not key.endswith("_bytes")
        }

    @property
    def lines(self) -> bytes:
        """The records, as they were read."""
        return b"\n".join(line or b"" for line in exact_list(self.document["event"], "original"))

    def take_rest(self, record_type: str, name: bytes, value: bytes) -> Rest | None:
        """Take a field of auditd.records out; None if it is not there."""
        sought = Rest(record_type, name, value)
        for index, row in enumerate(self.rest):
            if row == sought:
                return self.rest.pop(index)
        return None

    def take_place(self, place: str, value: bytes) -> bool:
        """Take the value of a place out; False if there is none or another."""
        if place == "tags":
            if self.tags[value] == 0:
                return False
            self.tags[value] -= 1
            return True
        if self.places.get(place) != value:
            return False
        del self.places[place]
        return True

    def take_socket(self) -> dict[str, bytes]:
        """Take all of a socket address out, by the last part of its places."""
        start = f"{SOCKET}."
        return {key[len(start) :]: self.places.pop(key) for key in list(self.places) if key.startswith(start)}

    def take_remains(self, record_type: str, name: bytes, place: str | None) -> bytes:
        """Take out what may be this field's value, now that all that agree are gone; empty if nothing is left."""
        for row in self.rest:
            if (row.record_type, row.name) == (record_type, name):
                self.rest.remove(row)
                return row.value
        if place == SOCKET:
            return b" ".join(key.encode() + b"=" + value for key, value in self.take_socket().items())
        if place == "tags" and +self.tags:
            tag = next(iter(+self.tags))
            self.tags[tag] -= 1
            return tag
        return self.places.pop(place or "", b"")

    def left(self) -> Iterator[tuple[str, str, bytes]]:
        """What was not taken out: record type (empty if it is not said), field or place, value."""
        yield from ((row.record_type, row.name.decode(errors="backslashreplace"), row.value) for row in self.rest)
        yield from (("", f"auditd.decoded.{key}", b"|".join(words)) for key, words in self.meanings.items())
        yield from (("", place, value) for place, value in self.places.items() if places.recorded(place))
        yield from (("", "tags", tag) for tag in (+self.tags).elements())
        values_of_paths = [item for values in self.paths for item in values.items() if not item[0].endswith("_decoded")]
        yield from (("path", key, value) for key, value in values_of_paths)
        yield from (("execve", f"a{index}", argument) for index, argument in self.args.items())
