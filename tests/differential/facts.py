"""The facts test: whatever libauparse reads in a record has to be in the document of its event.

In: a log's lines as libauparse reads them, and the documents that the engine makes of the same lines. Out: how
many facts were compared, and every one that the document does not hold as libauparse says it, with what it holds
instead. What a document holds besides is a difference too, with nothing on libauparse's side: nothing is made up.

Compared are, for every record: its type, time, serial and node, and every field. The value has to be at the place that
the knowledge gives the field, or in `auditd.records` under the record's type, or be named in `auditd.unset`. For kinds
of fields that the document decodes, it has to be libauparse's interpretation; for the others, what stands in the
record.
"""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.differential import address, meanings, places, tables
from tests.differential.held import Held, exact_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.differential.held import Document
    from tests.differential.libauparse import Field, Record

UNSET_TEXTS = frozenset({b"(null)", b"(none)", b"?"})
UNSET_IDS = frozenset({b"4294967295", b"-1"})
UNSET_ID_KINDS = frozenset({"uid", "gid", "session", "number"})
RESULTS = {b"yes": b"success", b"success": b"success", b"no": b"fail", b"failed": b"fail"}
# Kinds whose value in the document is what libauparse says; all others hold what stands in the record.
INTERPRETED = frozenset(
    {"escaped", "account", "proctitle", "arch", "syscall", "uring_op", "signal", "seccomp", "filter_list", "key"}
    | {"exit", "result"},
)
ARGUMENT = re.compile(rb"a(?P<index>\d+)(?:\[(?P<piece>\d+)\]|(?P<length>_len))?")
HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
PATH = 1302
EXECVE = 1309
SYSCALL = 1300
MAX_SHOWN = 300


@dataclasses.dataclass(frozen=True, order=True)
class Difference:
    """A fact that the document does not hold as libauparse says it, or that libauparse does not show."""

    log: str
    record_type: str
    field: str
    # What libauparse reads, and what the document holds instead, if anything; bytes that are no UTF-8 as \xNN.
    theirs: str
    ours: str
    # The record; all those of its event, if it is not known which.
    line: bytes
    document: Document = dataclasses.field(compare=False, repr=False)

    def __str__(self) -> str:
        """What differs, in one line."""
        where = f"{self.log}: {self.record_type or '(any)'} {self.field}"
        return f"{where}: theirs {brief(self.theirs)!r}, ours {brief(self.ours)!r}"


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a record went: its document, the type that it has there, and its line."""

    held: Held
    kind: str
    record: Record
    line: bytes


@dataclasses.dataclass
class Comparison:
    """What came of comparing documents with libauparse's reading."""

    records: int = 0
    compared: int = 0
    # Of these, how many were about what a value means beyond its text.
    meanings: int = 0
    # Of these, those that libauparse does not have, compared with the tables of the knowledge.
    beyond: int = 0
    # Kinds, and the arguments (`openat a2`) or fields of which a meaning was compared with libauparse, or the tables.
    exercised: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    alone: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    differences: list[Difference] = dataclasses.field(default_factory=list)

    def add(self, other: Comparison) -> None:
        """Add what came of other documents."""
        self.records += other.records
        self.compared += other.compared
        self.meanings += other.meanings
        self.beyond += other.beyond
        self.exercised |= other.exercised
        self.alone |= other.alone
        self.differences += other.differences


def shown(value: bytes) -> str:
    """Bytes as text."""
    return value.decode("utf-8", "backslashreplace")


def brief(text: str) -> str:
    """Text to be looked at; of a long one both ends and the length."""
    return text if len(text) <= MAX_SHOWN else f"{text[:100]}…{text[-40:]} ({len(text)} characters)"


def unquoted(raw: bytes) -> bytes:
    """A value without its quotes."""
    return raw[1:-1] if len(raw) > 1 and raw.startswith(b'"') and raw.endswith(b'"') else raw


def is_unset(kind: str, raw: bytes) -> bool:
    """Whether a value says that there is none."""
    return raw in UNSET_TEXTS or (kind in UNSET_ID_KINDS and raw in UNSET_IDS)


def name_of(fact: Field) -> bytes:
    """The name that libauparse has for a user or group id; empty if it has none."""
    nameless = fact.interpreted == fact.raw or fact.interpreted.startswith((b"unknown(", b"unset"))
    return b"" if nameless else fact.interpreted


def expected(kind: str, fact: Field) -> bytes:
    """How the document has to spell a value that libauparse reads."""
    raw, said = fact.raw, fact.interpreted
    if kind == "keystrokes" and HEX.fullmatch(raw):
        return bytes.fromhex(raw.decode())
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
    """Compares the documents of one log with what libauparse reads in its lines.

    Args:
        name: of the log.
        log: its lines.
        documents: of an engine that was told to include every line.
    """

    def __init__(self, name: str, log: bytes, documents: Iterable[Document]) -> None:
        self.name = name
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
        events: dict[int, list[Home]] = {}
        for record in records:
            self.result.records += 1
            line = self.lines[record.line - 1]
            homes = self.homes.get(line)
            if not homes:
                if self.type_name(record) != "EOE":
                    self.result.differences.append(Difference(self.name, "", "record", shown(line), "", line, {}))
                continue
            held, position = homes.pop(0)
            home = Home(held, held.record_types[position], record, line)
            self.header(home)
            events.setdefault(id(held), []).append(home)
        for event in events.values():
            self.event(event)
        self.result.differences += self.made_up()
        return self.result

    def made_up(self) -> Iterator[Difference]:
        """What the documents hold and no record of libauparse's has proved."""
        for line, homes in self.homes.items():
            for held, _ in homes:
                yield Difference(self.name, "", "record", "", shown(line), line, held.document)
        for held in self.documents:
            for kind, name, value in held.left():
                yield Difference(self.name, kind, name, "", shown(value), held.lines, held.document)

    def type_name(self, record: Record) -> str:
        """A record's type as the knowledge names it, or as the line has it."""
        known = places.record_types().get(record.number)
        written = re.search(rb"type=(\S+)", self.lines[record.line - 1])
        return known or (shown(written[1]) if written else "")

    def differs(self, home: Home, name: str, theirs: bytes, ours: bytes) -> None:
        """Note a fact of a record that its document does not hold."""
        self.result.differences.append(
            Difference(self.name, home.kind, name, shown(theirs), shown(ours), home.line, home.held.document),
        )

    def header(self, home: Home) -> None:
        """Compare type, time, serial and node."""
        record, document = home.record, home.held.document
        time = datetime.fromtimestamp(record.seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{record.millis:03}Z"
        facts = [
            ("(type)", self.type_name(record).lower(), home.kind),
            ("(time)", time, document["@timestamp"]),
            ("(serial)", str(record.serial), str(document["event"]["sequence"])),
        ]
        if record.node is not None:
            facts.append(("(node)", shown(record.node), document["host"]["name"]))
        for name, theirs, ours in facts:
            self.result.compared += 1
            if theirs != ours:
                self.differs(home, name, theirs.encode(), ours.encode())

    def event(self, homes: list[Home]) -> None:
        """Compare the fields of an event's records: first all that agree, so that they leave what does not."""
        open_facts: list[tuple[Home, Field, str | None]] = []
        arguments: list[tuple[Home, Field]] = []
        paths = 0
        for home in homes:
            is_path = home.record.number == PATH
            for fact in home.record.fields:
                self.result.compared += 1
                if home.record.number == EXECVE and ARGUMENT.fullmatch(fact.name):
                    arguments.append((home, fact))
                    continue
                if is_path and paths < len(home.held.paths) and self.path(home, paths, fact):
                    continue
                known = places.field(home.kind.upper(), shown(fact.name))
                if not self.field(home, fact, known):
                    open_facts.append((home, fact, known.place if known else None))
            paths += is_path
        self.arguments(arguments)
        for home, fact, place in open_facts:
            reading = fact.interpreted if place and fact.raw != fact.interpreted else fact.raw
            self.differs(home, shown(fact.name), reading, home.held.take_remains(home.kind, fact.name, place))

    def field(self, home: Home, fact: Field, known: places.Known | None) -> bool:
        """Whether the document holds a field of a record."""
        held = home.held
        if known is None:
            stranger = held.take_rest(home.kind, fact.name, unquoted(fact.raw))
            if stranger:
                self.meaning(home, fact, "text", stranger.meaning)
            return stranger is not None
        if is_unset(known.kind, fact.raw) and fact.name in held.unset:
            return True
        if known.kind == "saddr":
            return address.take(held, fact)
        value = expected(known.kind, fact)
        rest = held.take_rest(home.kind, fact.name, value)
        if rest is None and known.kind == "result":
            # A result that found its place taken is kept as it stands in the record.
            rest = held.take_rest(home.kind, fact.name, unquoted(fact.raw))
        if rest is None and not held.take_place(known.place, value):
            return False
        if known.kind in INTERPRETED | places.IDS and fact.interpreted != fact.raw:
            self.result.exercised.add((known.kind, shown(fact.name)))
        if known.kind in places.IDS:
            self.name_beside(home, fact, None if rest else known.name_place)
        elif known.kind not in INTERPRETED:
            said = rest.meaning if rest else held.meanings.pop(known.place.removeprefix("auditd.data."), [])
            self.meaning(home, fact, known.kind, said)
        return True

    def meaning(self, home: Home, fact: Field, kind: str, ours: list[bytes]) -> None:
        """Compare what a value means: with libauparse, and where that says no more than the record, with the tables."""
        name, theirs = shown(fact.name), meanings.said(fact)
        use = name
        if call := tables.call_of(home.line, home.held.document, home.kind, name):
            kind = call.kind_of(name) or kind
            use = f"{call.syscall} {name}"
        if theirs is None and not ours and kind not in tables.beside():
            return
        self.result.meanings += 1
        self.result.compared += 1
        if theirs is not None:
            self.result.exercised.add((kind, use))
            if not meanings.same(kind, theirs, ours):
                self.differs(home, f"{name} (meaning)", theirs, b"|".join(ours))
        elif kind != "keystrokes":
            self.result.beyond += 1
            self.result.alone.add((kind, use))
            expected = tables.meaning(home.line, home.held.document, home.kind, name)
            if expected != [word.decode("utf-8", "backslashreplace") for word in ours]:
                self.differs(home, f"{name} (table)", "|".join(expected).encode(), b"|".join(ours))

    def name_beside(self, home: Home, fact: Field, where: str | None) -> None:
        """Compare the name beside a user or group id; where libauparse has none, there must be none."""
        held, name, beside = home.held, name_of(fact), fact.name + b"_name"
        if where:
            ours = held.places.pop(where, b"")
        else:
            ours = name if held.take_rest(home.kind, beside, name) else held.take_remains(home.kind, beside, None)
        self.result.compared += 1
        if ours != name:
            self.differs(home, f"{shown(fact.name)} (name)", name, ours)

    def path(self, home: Home, number: int, fact: Field) -> bool:
        """Whether the object of the document that stands for a PATH record holds a field of it."""
        known = places.path_fields().get(shown(fact.name))
        if known is None:
            return False
        if is_unset(known.kind, fact.raw) and fact.name in home.held.unset:
            return True
        values = home.held.paths[number]
        if values.get(known.place) != expected(known.kind, fact):
            return False
        del values[known.place]
        if known.kind not in INTERPRETED | places.IDS:
            said = values.pop(f"{known.place}_decoded", None)
            words = [] if said is None else said.split(b"|")
            if fact.name == b"mode":
                # It is kept in octal, and that is compared.
                words = meanings.of_path_mode(fact.raw)
            self.meaning(home, fact, "mode" if fact.name == b"mode" else known.kind, words)
        if known.kind in places.IDS:
            self.result.compared += 1
            ours = values.pop(known.name_place, b"")
            if ours != (name := name_of(fact)):
                self.differs(home, f"{shown(fact.name)} (name)", name, ours)
        return True

    def arguments(self, facts: list[tuple[Home, Field]]) -> None:
        """Compare the arguments of an event's EXECVE records: pieces are joined, in the order of their numbers."""
        pieces: dict[int, dict[int, Field]] = {}
        lengths: dict[int, bytes] = {}
        for _, fact in facts:
            name = ARGUMENT.fullmatch(fact.name)
            if name is None:
                continue
            if name["length"]:
                lengths[int(name["index"])] = fact.raw
            else:
                pieces.setdefault(int(name["index"]), {})[int(name["piece"] or 0)] = fact
        for home in {id(home.held): home for home, _ in facts}.values():
            for index, parts in pieces.items():
                theirs = b"".join(parts[number].interpreted for number in sorted(parts))
                ours = home.held.args.pop(index, b"")
                if ours != theirs:
                    self.differs(home, f"a{index}", theirs, ours)
            for index, length in lengths.items():
                name_of_length = b"a%d_len" % index
                written = sum(len(unquoted(part.raw)) for part in pieces.get(index, {}).values())
                said = int(length) == written or b"a%d" % index in home.held.truncated
                if not said and not home.held.take_rest("execve", name_of_length, length):
                    self.differs(home, shown(name_of_length), length, str(written).encode())
