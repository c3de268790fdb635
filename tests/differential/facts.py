"""The facts test: whatever libauparse reads in a record has to be in the document of its event.

In: the vectors' lines as libauparse reads them, and the documents that the engine makes of the same lines. Out: how
many facts were compared, and every one that the document does not hold as libauparse says it, with what it holds
instead. What a document holds besides is a difference too, with nothing on libauparse's side: nothing is made up.

Compared are, for every record: its type, time, serial and node, and every field. The value has to be at the place that
the knowledge gives the field, or in `auditd.records` under the record's type, or be named in `auditd.unset`. For kinds
of fields that the document decodes, it has to be libauparse's interpretation; for the others, what stands in the
record.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.differential import places
from tests.differential.held import SOCKET, Held, exact_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.differential.held import Document
    from tests.differential.libauparse import Field, Record

SEPARATOR = b"\x1d"
UNSET_TEXTS = frozenset({b"(null)", b"(none)", b"?"})
UNSET_IDS = frozenset({b"4294967295", b"-1"})
UNSET_ID_KINDS = frozenset({"uid", "gid", "session", "number"})
RESULTS = {b"yes": b"success", b"success": b"success", b"no": b"fail", b"failed": b"fail"}
# Kinds whose value in the document is what libauparse says; all others hold what stands in the record.
INTERPRETED = frozenset(
    {"escaped", "account", "proctitle", "arch", "syscall", "signal", "seccomp", "filter_list", "key", "exit", "result"},
)
ARGUMENT = re.compile(rb"a(\d+)(?:\[(\d+)\])?")
ARGUMENT_LENGTH = re.compile(rb"a(\d+)_len")
SADDR = re.compile(rb"\{ saddr_fam=(\S+)(?: (.*?))? ?\}", re.DOTALL)
MAX_SHOWN = 300
SOCKET_KEYS = ("family", "addr", "port", "path", "pid", "groups", "saddr")
FAMILIES = {b"inet": b"ipv4", b"inet6": b"ipv6", b"local": b"unix", b"netlink": b"netlink"}


@dataclass(frozen=True, order=True)
class Difference:
    """A fact that the document does not hold as libauparse says it, or that libauparse does not show."""

    vector: str
    record_type: str
    field: str
    # What libauparse reads, and what the document holds instead, if anything; bytes that are no UTF-8 as \xNN.
    theirs: str
    ours: str


@dataclass
class Comparison:
    """What came of comparing documents with libauparse's reading."""

    records: int = 0
    compared: int = 0
    differences: Counter[Difference] = field(default_factory=Counter)

    def add(self, other: Comparison) -> None:
        """Add what came of other documents."""
        self.records += other.records
        self.compared += other.compared
        self.differences += other.differences


def shown(value: bytes) -> str:
    """Bytes as text."""
    return value.decode("utf-8", "backslashreplace")


def brief(value: bytes) -> str:
    """Bytes as text that can be written into a list of differences; of long ones both ends and the length."""
    text = shown(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:100]}…{text[-40:]} ({len(value)} bytes)"


def unquoted(raw: bytes) -> bytes:
    """A value without its quotes."""
    return raw[1:-1] if len(raw) > 1 and raw.startswith(b'"') and raw.endswith(b'"') else raw


def is_unset(kind: str, raw: bytes) -> bool:
    """Whether a value says that there is none."""
    return raw in UNSET_TEXTS or (kind in UNSET_ID_KINDS and raw in UNSET_IDS)


def expected(kind: str, fact: Field) -> bytes:
    """How the document has to spell a value that libauparse reads."""
    raw, said = fact.raw, fact.interpreted
    if kind not in INTERPRETED:
        return unquoted(raw)
    if kind == "exit":
        return said.split(b"(")[0] if raw.startswith(b"-") else raw
    if kind == "result":
        return RESULTS.get(said, unquoted(raw))
    if kind == "seccomp":
        return said.replace(b"-", b"_")
    return said


class Checker:
    """Compares the documents of one vector with what libauparse reads in its lines.

    Args:
        vector: its name.
        log: its lines.
        documents: of an engine that was told to include every line.
    """

    def __init__(self, vector: str, log: bytes, documents: Iterable[Document]) -> None:
        self.vector = vector
        self.lines = [line.rstrip(b"\0") for line in log.split(b"\n")]
        self.result = Comparison()
        self.documents: list[Held] = []
        # Where each line went: its document, and its position there.
        self.homes: dict[bytes, list[tuple[Held, int]]] = {}
        for document in documents:
            if document["event"]["kind"] != "event":
                continue
            held = Held(document)
            self.documents.append(held)
            for position, line in enumerate(exact_list(document["event"], "original")):
                self.homes.setdefault(line or b"", []).append((held, position))

    def check(self, records: Iterable[Record]) -> Comparison:
        """Compare every record."""
        events: dict[int, list[tuple[Record, Held, str]]] = {}
        for record in records:
            self.result.records += 1
            homes = self.homes.get(self.lines[record.line - 1])
            if not homes:
                if self.type_name(record) != "EOE":
                    self.differs("", "record", self.lines[record.line - 1], b"")
                continue
            held, position = homes.pop(0)
            kind = self.header(record, held, position)
            events.setdefault(id(held), []).append((record, held, kind))
        for event in events.values():
            self.event(event)
        for line, homes in self.homes.items():
            for _ in homes:
                self.differs("", "record", b"", line)
        for held in self.documents:
            for kind, name, value in held.left():
                self.differs(kind, name, b"", value)
        return self.result

    def type_name(self, record: Record) -> str:
        """A record's type as the knowledge names it, or as the line has it."""
        known = places.record_types().get(record.number)
        written = re.search(rb"type=(\S+)", self.lines[record.line - 1])
        return known or (shown(written[1]) if written else "")

    def differs(self, record_type: str, name: str, theirs: bytes, ours: bytes) -> None:
        """Note a fact that the document does not hold."""
        difference = Difference(self.vector, record_type, name, brief(theirs), brief(ours))
        self.result.differences[difference] += 1

    def header(self, record: Record, held: Held, position: int) -> str:
        """Compare type, time, serial and node; return the type as the document spells it."""
        document = held.document
        kind = self.type_name(record).lower()
        time = datetime.fromtimestamp(record.seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{record.millis:03}Z"
        facts = [
            ("(type)", kind, held.record_types[position]),
            ("(time)", time, document["@timestamp"]),
            ("(serial)", str(record.serial), str(document["event"]["sequence"])),
        ]
        if record.node is not None:
            facts.append(("(node)", shown(record.node), document["host"]["name"]))
        for name, theirs, ours in facts:
            self.result.compared += 1
            if theirs != ours:
                self.differs(kind, name, theirs.encode(), ours.encode())
        return held.record_types[position]

    def event(self, records: list[tuple[Record, Held, str]]) -> None:
        """Compare the fields of an event's records: first all that agree, so that they leave what does not."""
        open_facts: list[tuple[Held, str, Field, str | None]] = []
        arguments: list[tuple[Held, Field]] = []
        paths = 0
        for record, held, kind in records:
            is_path = record.number == 1302
            for fact in record.fields:
                self.result.compared += 1
                if record.number == 1309 and (ARGUMENT.fullmatch(fact.name) or ARGUMENT_LENGTH.fullmatch(fact.name)):
                    arguments.append((held, fact))
                    continue
                if is_path and paths < len(held.paths) and self.path(held, paths, fact, record):
                    continue
                known = places.field(kind.upper(), shown(fact.name))
                if not self.field(held, kind, fact, known, record):
                    open_facts.append((held, kind, fact, known.place if known else None))
            paths += is_path
        self.arguments(arguments)
        for held, kind, fact, place in open_facts:
            reading = fact.interpreted if place and fact.raw != fact.interpreted else fact.raw
            self.differs(kind, shown(fact.name), reading, held.take_remains(kind, fact.name, place))

    def field(self, held: Held, kind: str, fact: Field, known: places.Known | None, record: Record) -> bool:
        """Whether the document holds a field of a record."""
        if known is None:
            raw = unquoted(fact.raw)
            return held.take_rest(kind, fact.name, raw)
        if is_unset(known.kind, fact.raw) and fact.name in held.unset:
            return True
        if known.kind == "saddr":
            return self.saddr(held, fact)
        value = expected(known.kind, fact)
        if held.take_rest(kind, fact.name, value):
            where = None
        elif known.kind == "result" and held.take_rest(kind, fact.name, unquoted(fact.raw)):
            # A result that found its place taken is kept as it stands in the record.
            where = None
        elif held.take_place(known.place, value):
            where = known.name_place
        else:
            return False
        if known.kind in places.IDS:
            self.name(held, kind, fact, record, where)
        return True

    def enriched(self, record: Record, fact: Field) -> bytes | None:
        """The name that the record carries for a user or group id; None if it has none."""
        enriched = self.lines[record.line - 1].partition(SEPARATOR)[2]
        carried = re.search(rb"(?:^| )" + re.escape(fact.name.upper()) + rb"=", enriched)
        nameless = fact.interpreted.startswith((b"unknown(", b"unset"))
        return None if carried is None or nameless else fact.interpreted

    def name(self, held: Held, kind: str, fact: Field, record: Record, where: str | None) -> None:
        """Compare the name beside a user or group id; where none is carried, there must be none."""
        name = self.enriched(record, fact)
        if name is None:
            return
        self.result.compared += 1
        beside = fact.name + b"_name"
        taken = held.take_rest(kind, beside, name) if where is None else held.take_place(where, name)
        if not taken:
            self.differs(kind, f"{shown(fact.name)} (name)", name, held.take_remains(kind, beside, where))

    def path(self, held: Held, number: int, fact: Field, record: Record) -> bool:
        """Whether the object of the document that stands for a PATH record holds a field of it."""
        known = places.path_fields().get(shown(fact.name))
        if known is None:
            return False
        if is_unset(known.kind, fact.raw) and fact.name in held.unset:
            return True
        values = held.paths[number]
        if values.get(known.place) != expected(known.kind, fact):
            return False
        del values[known.place]
        if known.kind in places.IDS:
            name = self.enriched(record, fact)
            self.result.compared += name is not None
            ours = values.pop(known.name_place, None)
            if ours != name:
                self.differs("path", f"{shown(fact.name)} (name)", name or b"", ours or b"")
        return True

    def arguments(self, facts: list[tuple[Held, Field]]) -> None:
        """Compare the arguments of an event's EXECVE records: pieces are joined, in the order of their numbers."""
        pieces: dict[int, dict[int, Field]] = {}
        lengths: dict[int, bytes] = {}
        for _, fact in facts:
            if piece := ARGUMENT.fullmatch(fact.name):
                pieces.setdefault(int(piece[1]), {})[int(piece[2] or 0)] = fact
            elif of := ARGUMENT_LENGTH.fullmatch(fact.name):
                lengths[int(of[1])] = fact.raw
        for held in {id(held): held for held, _ in facts}.values():
            for index, parts in pieces.items():
                theirs = b"".join(parts[number].interpreted for number in sorted(parts))
                ours = held.args.pop(index, b"")
                if ours != theirs:
                    self.differs("execve", f"a{index}", theirs, ours)
            for index, length in lengths.items():
                name = b"a%d" % index
                written = sum(len(unquoted(part.raw)) for part in pieces.get(index, {}).values())
                said = int(length) == written or name in held.truncated
                if not said and not held.take_rest("execve", name + b"_len", length):
                    self.differs("execve", f"a{index}_len", length, str(written).encode())

    def saddr(self, held: Held, fact: Field) -> bool:
        """Whether the document holds a socket address; takes it out if it does."""
        ours = {key: held.places[f"{SOCKET}.{key}"] for key in SOCKET_KEYS if f"{SOCKET}.{key}" in held.places}
        if ours.get("saddr", fact.raw) != fact.raw or not self.same_address(ours, fact):
            return False
        held.take_socket()
        return True

    @staticmethod
    def same_address(ours: dict[str, bytes], fact: Field) -> bool:
        """Whether what the document says of a socket address is what libauparse reads."""
        said = SADDR.fullmatch(fact.interpreted)
        family = FAMILIES.get(said[1]) if said else None
        if said is None or family is None or ours.get("family") != family:
            # Not taken apart: then the bytes have to be there.
            return family is None and "saddr" in ours
        words = dict(word.split(b"=", 1) for word in (said[2] or b"").split(b" ") if b"=" in word)
        if family == b"unix":
            path = (said[2] or b"").removeprefix(b"path=")
            return ours.get("path") in {path, b"@" + path}
        if family == b"netlink":
            return ours.get("pid") == words.get(b"nlnk-pid")
        return (ours.get("addr"), ours.get("port")) == (words.get(b"laddr"), words.get(b"lport"))
