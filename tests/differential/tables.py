"""What the knowledge's tables say of a number, read here once more and not by the engine.

Where libauparse says something else, the document still has to say what its table says: an excuse for a difference of
names must not hide an error in how a table is applied.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tests.differential import places
from tests.differential.names import known

if TYPE_CHECKING:
    from tests.differential.held import Document

ARGUMENTS = ("a0", "a1", "a2", "a3")
UNSET = 0xFFFFFFFF
FILE_TYPES = {
    0o010000: "S_IFIFO",
    0o020000: "S_IFCHR",
    0o040000: "S_IFDIR",
    0o060000: "S_IFBLK",
    0o100000: "S_IFREG",
    0o120000: "S_IFLNK",
    0o140000: "S_IFSOCK",
}


class Arch(NamedTuple):
    """A row of arches.tsv."""

    name: str
    syscalls: str
    errno: str
    endian: str
    family: str
    is_64_bit: bool


class Kind(NamedTuple):
    """A row of kinds.tsv."""

    reader: str
    base: str
    width: str


class Value(NamedTuple):
    """A row of values/<kind>.tsv for one family; no mask in an enumeration."""

    value: int
    mask: int | None
    name: str


class Argument(NamedTuple):
    """A row of arguments.tsv."""

    kind: str
    # The argument and the names of its meaning, one of which has to be there.
    when: tuple[int, frozenset[str]] | None
    # `*`, `64`, or `!` and the machines where something else is in this register.
    on: str

    def is_on(self, arch: Arch) -> bool:
        """Whether a machine has it there."""
        if self.on.startswith("!"):
            return arch.name not in self.on[1:].split(",")
        return self.on == "*" or arch.is_64_bit


@cache
def kinds() -> dict[str, Kind]:
    """All kinds."""
    return {name: Kind(*row) for name, *row in places.rows("kinds.tsv")}


@cache
def beside() -> frozenset[str]:
    """Kinds whose meaning stands beside the value, or that only arguments have."""
    readers = {"values", "mode", "keystrokes"}
    return frozenset(name for name, kind in kinds().items() if kind.reader in readers) | {"decimal"}


@cache
def arches() -> dict[int, Arch]:
    """Architectures by AUDIT_ARCH number."""
    rows = ((int(number, 16), row) for number, *row in places.rows("arches.tsv"))
    return {number: Arch(row[0], row[1], row[2], row[3], row[4], bool(number & 0x8000_0000)) for number, row in rows}


@cache
def numbers(table: str) -> dict[int, str]:
    """Names by number: of a table in syscalls/ or errno/."""
    return {int(number): name for number, name, *_ in places.rows(table)}


@cache
def values(kind: str, family: str) -> tuple[Value, ...]:
    """The rows that count for a family of architectures, in order."""
    rows = places.rows(f"values/{kind}.tsv")
    sought = family if any(family in families.split(",") for families, *_ in rows) else "*"
    return tuple(
        Value(int(value, 16), None if mask == "-" else int(mask, 16), name)
        for families, value, mask, name in rows
        if sought in families.split(",")
    )


@cache
def arguments() -> dict[tuple[str, int], tuple[Argument, ...]]:
    """What the arguments of syscalls are, by syscall and number."""
    found: dict[tuple[str, int], tuple[Argument, ...]] = {}
    for syscall, index, kind, when, on in places.rows("arguments.tsv"):
        condition = None
        if when != "-":
            other, _, meant = when.partition(":")
            condition = (int(other[1:]), frozenset(meant.split(",")))
        found[syscall, int(index)] = (*found.get((syscall, int(index)), ()), Argument(kind, condition, on))
    return found


def parse(base: str, text: str) -> int | None:
    """A number as a field of this base writes it."""
    try:
        match base:
            case "hex":
                return int(text, 16)
            case "oct":
                return int(text, 8)
            case "auto":
                octal = len(text) > 1 and text.startswith("0") and not text.startswith("0x")
                return int(text, 8) if octal else int(text, 0)
            case _:
                return int(text)
    except ValueError:
        return None


def words(kind: str, number: int, family: str) -> list[str]:
    """What a number means; nothing where no name is known."""
    if kind in {"uid", "gid"}:
        number &= UNSET
        return ["unset" if number == UNSET else known(kind).get(str(number), str(number))]
    if kind == "decimal":
        number &= UNSET
        return [str(number - (1 << 32) if number >> 31 else number)]
    if kind == "mode":
        file_type = FILE_TYPES.get(number & 0o170000)
        return [*([file_type] if file_type else []), f"{number & 0o7777:04o}"]
    if kinds()[kind].reader not in {"values", "name"}:
        return []
    number &= (1 << int(kinds()[kind].width)) - 1
    found, seen = [], 0
    for row in values(kind, family):
        if row.mask is None:
            if row.value == number:
                return [row.name]
        elif number & row.mask == row.value and not seen & row.mask:
            found.append(row.name)
            seen |= row.mask
    left = number & ~seen
    return [*found, *([f"{left:#x}"] if left else [])] if found else []


def kind_of_argument(syscall: str, index: int, raw: list[int], arch: Arch) -> str | None:
    """What an argument of a syscall is; None if that is not known."""
    for argument in arguments().get((syscall, index), ()):
        if not argument.is_on(arch):
            continue
        if argument.when is None:
            return argument.kind
        other, meant = argument.when
        kind = kind_of_argument(syscall, other, raw, arch)
        if kind is not None and meant & set(words(kind, raw[other], arch.family)):
            return argument.kind
    return None


def raw_value(line: bytes, name: str) -> str | None:
    """What a record has for a field, without quotes; None if it has no such field."""
    found = re.search(rf'(?<![\w-]){re.escape(name)}="?([^\s"\'\x1d]*)'.encode(), line)
    return None if found is None else found[1].decode("utf-8", "backslashreplace")


def arch_of(line: bytes, document: Document) -> Arch | None:
    """The architecture of a record, or of its event."""
    number = parse("hex", raw_value(line, "arch") or "")
    if number is not None:
        return arches().get(number)
    name = document["auditd"].get("data", {}).get("arch")
    return next((arch for arch in arches().values() if arch.name == name), None)


class Call(NamedTuple):
    """A call of a syscall, and its arguments."""

    syscall: str
    arch: Arch
    raw: list[int]

    def kind_of(self, name: str) -> str | None:
        """What an argument (`a0` ...) is."""
        return kind_of_argument(self.syscall, int(name[1]), self.raw, self.arch)

    @property
    def has_16_bit_ids(self) -> bool:
        """Whether there is another syscall for ids of 32 bits."""
        return f"{self.syscall}32" in numbers(f"syscalls/{self.arch.syscalls}.tsv").values()


def call_of(line: bytes, document: Document, record_type: str, name: str) -> Call | None:
    """The call that the arguments of a record are of; None if the field is none, or the call has no name."""
    if record_type == "syscall" and name in ARGUMENTS:
        return _call(line)
    arch, data = arch_of(line, document), document["auditd"].get("data", {})
    if record_type == "socketcall" and name in ARGUMENTS and arch is not None and "a0" in data:
        meant = words("socket_call", int(data["a0"], 16), arch.family)
        return Call(meant[0], arch, _raw_arguments(line)) if meant else None
    return None


@lru_cache(maxsize=16)
def _call(line: bytes) -> Call | None:
    arch = arches().get(parse("hex", raw_value(line, "arch") or "") or 0)
    number = parse("dec", raw_value(line, "syscall") or "")
    syscall = None if arch is None or number is None else numbers(f"syscalls/{arch.syscalls}.tsv").get(number)
    return None if arch is None or syscall is None else Call(syscall, arch, _raw_arguments(line))


def _raw_arguments(line: bytes) -> list[int]:
    return [parse("hex", raw_value(line, argument) or "") or 0 for argument in ARGUMENTS]


def meaning(line: bytes, document: Document, record_type: str, name: str) -> list[str]:
    """What a field of a record means, by its tables: its kind's words, or the one name that takes its place."""
    text = raw_value(line, name) or ""
    arch = arch_of(line, document)
    family = arch.family if arch else "generic"
    known = places.field(record_type.upper(), name)
    kind = known.kind if known else ""
    if record_type in {"syscall", "socketcall"} and name in ARGUMENTS:
        call = call_of(line, document, record_type, name)
        kind, number = (call and call.kind_of(name)) or "text", parse("hex", text)
        if call and number is not None and kind in {"uid", "gid"} and call.has_16_bit_ids:
            number = UNSET if number & 0xFFFF == 0xFFFF else number & 0xFFFF
    else:
        number = parse(kinds()[kind].base, text) if kind else None
    tables = {
        "arch": {number: found.name for number, found in arches().items()},
        "syscall": numbers(f"syscalls/{arch.syscalls}.tsv") if arch else {},
        "exit": numbers(f"errno/{arch.errno}.tsv") if arch else {},
        "uring_op": {row.value: row.name for row in values("uring_op", family)},
    }
    if kind in tables:
        number = parse("hex" if kind == "arch" else "dec", text.removeprefix("-"))
        return [tables[kind][number]] if number in tables[kind] else []
    return [] if number is None else words(kind, number, family)
