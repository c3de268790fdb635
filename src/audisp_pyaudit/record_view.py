"""A document as the records that it was made of: `records(document)`.

For rules that look at one record at a time (Sigma's `service: auditd`, Zircolite, Splunk's searches), and to see
that nothing of a record was lost. Each record is a flat dict of text: `type` as auditd writes it, the fields under the
names that they have in the record, values without quotes and hex. As in ENRICHED logs, names stand beside the numbers
in upper case (`SYSCALL`, `ARCH`, `UID`, ...).

What the document cannot say, and what stands here instead:

- the spelling of a result: `yes`/`no` in SYSCALL records, `1`/`0` in the kernel's others, `success`/`failed` elsewhere,
  always under `success` in the first and `res` in the others;
- which word said that there is nothing: see `record_fields.UNSET`;
- NULs of a process title, which are blanks in the document;
- which of several EXECVE records had an argument: all are in the first;
- which of several records of one type spoke for the event: it comes first of them;
- which of two records of different types had a value and which said that there is nothing: the first has the value, but
  for `key`.
"""

import base64
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from audisp_pyaudit.record_fields import ALWAYS, CLOSED, OWNERS, PATH_FIELDS, PLACES, UNSET, UNSET_ID, UNSET_IDS, WORDED

Document = Mapping[str, Any]
Record = dict[str, str]

_CONTEXT = ("user", "role", "domain", "level", "category")
_ENRICHED_WORDS = frozenset({"arch", "syscall"})
# Types that the kernel gives its results as numbers in: 1300 to 1999 and what configures it.
_KERNEL_RESULT = ("CONFIG_CHANGE", "FEATURE_CHANGE", "LOGIN", "SYSCALL", "INTEGRITY", "MAC_", "ANOM_", "NETFILTER")


def records(document: Document, *, number: bool = False) -> list[Record]:
    """Turn a document back into its records.

    Args:
        document: as the plugin published it, from JSON or msgpack.
        number: also give the number of a syscall under `syscall`; left out by default, since it differs from `SYSCALL`
            only by case and the columns of many stores do not.

    Returns:
        One dict per record, in order of arrival; empty for documents that are no audit events. Of a document that was
        cut down there is what it still says; null is the same as absent.

    Raises:
        ValueError: it is no document of ours: something is of another type.
    """
    try:
        return _records(_without_nulls(document), number=number)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a document of audisp-pyaudit: {error!r}") from error


def _without_nulls(document: Document) -> Document:
    """The document without what stores write for absent; nulls in lists stay, they have a place."""
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
        if value is not None
    }


def _records(document: Document, *, number: bool) -> list[Record]:
    if document.get("event", {}).get("kind") != "event":
        return []
    found = [{"type": str(kind).upper()} for kind in document.get("auditd", {}).get("record_types", [])]
    view = _View(found, document)
    view.fill()
    if not number:
        for record in found:
            if "SYSCALL" in record:
                record.pop("syscall", None)
    return found


class _View:
    """The records of one document while they are filled."""

    def __init__(self, found: list[Record], document: Document) -> None:
        self.found = found
        self.document = document
        self.auditd: Document = document.get("auditd", {})
        self.arch = str(self.auditd.get("data", {}).get("arch", ""))
        # The engine reads the SYSCALL record first, then by rising type; it gives first come, first served.
        numbers = _type_numbers()
        kinds = [record["type"] for record in found]
        # Of several records of a type one spoke for the event; the others are in auditd.records, whole.
        self.order = sorted(
            (i for i, kind in enumerate(kinds) if kind in {"PATH", "EXECVE"} or kinds.index(kind) == i),
            key=lambda i: (found[i]["type"] != "SYSCALL", numbers.get(found[i]["type"], len(numbers)), i),
        )

    def fill(self) -> None:
        """Give every value of the document back to its record."""
        self._rest()
        self._paths()
        unset = self.auditd.get("unset", [])
        # A syscall that no rule of the administrator's asked for has no key; the record beside it may have one.
        self._unset([field for field in unset if field == "key"])
        for field, value, name in self._flat():
            self._put(field, value, name)
        self._unset([field for field in unset if field != "key"])
        self._arguments()
        self._unset_elsewhere()

    def _put(self, field: str, value: str, name: str | None = None) -> None:
        record = self._owner(field)
        if record is not None:
            _set(record, field, value, name, self.arch)

    def _owner(self, field: str) -> Record | None:
        """The record that wrote a field of a fixed place: the first in the engine's order that may and has none."""
        may = [self.found[i] for i in self.order if _writes(self.found[i]["type"], field)]
        may = [record for record in may if record["type"] == OWNERS.get(field)] or may
        free = [record for record in may if field not in record]
        return next(iter(free), None)

    def _rest(self) -> None:
        """Fields that had no place: the document says which type of record they are of."""
        held: dict[str, list[Document]] = {}
        for entry in self.auditd.get("records", []):
            if "type" in entry:
                held.setdefault(str(entry["type"]).upper(), []).append(entry)
        for kind, entries in held.items():
            # The first record of a type may have found all places free.
            mine = [record for record in self.found if record["type"] == kind][-len(entries) :]
            for record, entry in zip(mine, entries, strict=False):
                self._rest_of(record, entry)

    def _rest_of(self, record: Record, entry: Document) -> None:
        last = ""
        for pair in entry.get("fields", []):
            if not {"name", "value"} <= pair.keys():
                continue
            name, value = _exact(pair, "name"), _exact(pair, "value")
            if last and name == f"{last}_name":
                record[last.upper()] = value
                continue
            _set(record, name, value, None, self.arch)
            last = name

    def _paths(self) -> None:
        mine = [record for record in self.found if record["type"] == "PATH"]
        for record, path in zip(mine, self.auditd.get("paths", []), strict=False):
            for key in path:
                base, _, beside = key.rpartition("_")
                if key.endswith(("_bytes", "_decoded")) or (base == "obj" and beside in _CONTEXT):
                    continue
                if beside == "name" and base in path:
                    record[base.upper()] = _exact(path, key)
                else:
                    record[key] = _exact(path, key)
            if context := _context(path, "obj_"):
                record["obj"] = context

    def _flat(self) -> Iterator[tuple[str, str, str | None]]:
        """Field, value and name of everything that has a fixed place."""
        for place, field in PLACES.items():
            holder, key = _holder(self.document, place)
            if key in holder and not (field == "euid" and self._is_account(holder)):
                name = _exact(holder, "name") if key == "id" and "name" in holder else None
                yield field, _exact(holder, key), name
        if "tags" in self.document:
            yield "key", "\x01".join(_exact_list(self.document, "tags")), None
        if context := _context(self.document.get("user", {}).get("selinux", {}), ""):
            yield "subj", context, None
        data = self.auditd.get("data", {})
        for key in data:
            written = _field_of(key)
            if key == "socket" or written is None:
                continue
            name = f"{key}_name"
            yield written, _exact(data, key), _exact(data, name) if name in data and _field_of(name) is None else None
        if "socket" in data:
            saddr = _saddr(data["socket"], big_endian=_is_big_endian(self.arch))
            yield from [("saddr", saddr, None)] if saddr else []
        if "result" in self.auditd:
            self._result(str(self.auditd["result"]))

    def _is_account(self, effective: Document) -> bool:
        """Whether `user.effective` is the account that somebody logs in to, a copy of what stands in auditd.data."""
        calls = any(record["type"] in ("SYSCALL", "URINGOP") for record in self.found)
        return not calls and effective.get("id") == self.auditd.get("data", {}).get("id")

    def _result(self, result: str) -> None:
        words = {"success": 0, "fail": 1}
        for i in self.order:
            record = self.found[i]
            kind = record["type"]
            if kind in ("SYSCALL", "URINGOP"):
                record["success"] = ("yes", "no")[words[result]] if result in words else result
                return
            if _writes(kind, "res") and "res" not in record:
                spelled = ("1", "0") if kind.startswith(_KERNEL_RESULT) else ("success", "failed")
                record["res"] = spelled[words[result]] if result in words else result
                return

    def _arguments(self) -> None:
        process = self.document.get("process", {})
        record = next((each for each in self.found if each["type"] == "EXECVE"), None)
        if record is None:
            return
        for index, argument in enumerate(_exact_list(process, "args") if "args" in process else []):
            if argument is not None:
                record[f"a{index}"] = argument

    def _unset(self, fields: Iterable[str]) -> None:
        for field in fields:
            word = _nothing(field)
            lacking = [each for each in self.found if each["type"] == "PATH" and field not in each]
            if field in PATH_FIELDS and lacking:
                for record in lacking:
                    record[field] = word
            else:
                self._put(field, word)

    def _unset_elsewhere(self) -> None:
        """A field that was unset is named once; records that always write it and have it not had it unset too."""
        for field in self.auditd.get("unset", []):
            for record in (self.found[i] for i in self.order):
                always = CLOSED.get(record["type"]) or ALWAYS.get(record["type"], frozenset())
                if field in always and field not in record:
                    record[field] = _nothing(field)


def _set(record: Record, field: str, value: str, name: str | None, arch: str) -> None:
    kind = WORDED.get(field)
    back = None
    if kind is not None:
        back = _number_of(kind, value, arch)
    record[field] = value if back is None else back
    if back is not None and field in _ENRICHED_WORDS:
        record[field.upper()] = value
    if name is not None:
        record[field.upper()] = name


def _nothing(field: str) -> str:
    return UNSET_ID if field in UNSET_IDS else UNSET.get(field, "?")


def _writes(kind: str, field: str) -> bool:
    closed = CLOSED.get(kind)
    return closed is None or field in closed


def _number_of(kind: str, word: str, arch: str) -> str | None:
    from audisp_pyaudit._engine import number_of  # noqa: PLC0415  # the view alone must not cost the plugin its start

    return number_of(kind, word, arch)


@cache
def _fields() -> Mapping[str, str]:
    """Field names by how the document spells them."""
    from audisp_pyaudit._engine import FIELDS  # noqa: PLC0415  # see above

    return {field.replace("-", "_").lower(): field for field in (*FIELDS, "subj")}


def _field_of(key: str) -> str | None:
    return _fields().get(key)


@cache
def _type_numbers() -> Mapping[str, int]:
    from audisp_pyaudit._engine import RECORD_TYPES  # noqa: PLC0415  # see above

    return {name: number for number, name in RECORD_TYPES}


@cache
def _is_big_endian(arch: str) -> bool:
    from audisp_pyaudit._engine import number_of  # noqa: PLC0415  # see above

    number = number_of("arch", arch, "")
    # __AUDIT_ARCH_LE of linux/audit.h.
    return number is not None and not int(number, 16) & 0x4000_0000


def _holder(document: Document, place: str) -> tuple[Document, str]:
    *path, key = place.split(".")
    holder: Any = document
    for part in path:
        holder = holder.get(part, {}) if isinstance(holder, Mapping) else {}
    return (holder if isinstance(holder, Mapping) else {}), key


def _exact(holder: Document, key: str) -> str:
    """A value as text; bytes that are no UTF-8 as surrogates, so that `os.fsencode` gives them back."""
    if (exact := holder.get(f"{key}_bytes")) is not None:
        return base64.b64decode(exact).decode("utf-8", "surrogateescape")
    return str(holder[key])


def _exact_list(holder: Document, key: str) -> list[Any]:
    shown = list(holder[key])
    exact = holder.get(f"{key}_bytes") or [None] * len(shown)
    pairs = zip(shown, exact, strict=True)
    return [text if raw is None else base64.b64decode(raw).decode("utf-8", "surrogateescape") for text, raw in pairs]


def _context(holder: Document, prefix: str) -> str:
    parts = [_exact(holder, prefix + part) for part in _CONTEXT if prefix + part in holder]
    return ":".join(parts)


def _saddr(socket: Document, *, big_endian: bool) -> str:
    """The hex of a socket address, as far as the document took it apart; else as it came. Empty if not all is there."""
    if "saddr" in socket:
        return str(socket["saddr"])
    needed = {"ipv4": {"addr"}, "ipv6": {"addr"}, "netlink": {"pid", "groups"}}.get(str(socket.get("family")), set())
    if not {"family", *needed} <= socket.keys():
        return ""
    order: Any = "big" if big_endian else "little"
    numbers = {"unix": 1, "ipv4": 2, "ipv6": 10, "netlink": 16}
    family = numbers.get(str(socket["family"])) or int(str(socket["family"]))
    head = family.to_bytes(2, order)
    port = int(str(socket.get("port", 0))).to_bytes(2, "big")
    match socket["family"]:
        case "ipv4":
            body = port + ipaddress.IPv4Address(str(socket["addr"])).packed + bytes(8)
        case "ipv6":
            body = port + bytes(4) + ipaddress.IPv6Address(str(socket["addr"])).packed + bytes(4)
        case "netlink":
            pid, groups = (int(str(socket[key])).to_bytes(4, order) for key in ("pid", "groups"))
            body = bytes(2) + pid + groups
        case "unix" if "path" in socket:
            path = _exact(socket, "path").encode("utf-8", "surrogateescape")
            body = b"\0" + path[1:] if path.startswith(b"@") else path + b"\0"
        case _:
            body = b""
    return (head + body).hex().upper()
