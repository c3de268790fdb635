"""The record view: from a document back to its records, with nothing lost and nothing made up."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

import audisp_pyaudit
from tests.differential import places
from tests.differential.held import exact_list
from tests.vectors import golden

Record = dict[str, str]

# A record as a reader without any knowledge of ours takes it apart: name=value, values bare, in quotes, or msg='...'.
_FIELD = re.compile(r"""(?:^|(?<=[\s,(']))([A-Za-z0-9_.\-]+(?:\[\d+\])?)=("[^"]*"|'[^']*'|[^\s"'][^\s]*|(?=\s|$))""")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")
_HIDDEN = frozenset({"escaped", "account", "key", "proctitle", "keystrokes"})
_NOTHING = frozenset({"(null)", "(none)", "?", "4294967295", "-1"})
# Not written as name=value: the words of a denial, and words between fields.
NO_FIELDS = frozenset({"type", "text", "seresult", "seperms"})
_YES, _NO = frozenset({"yes", "success", "1"}), frozenset({"no", "failed", "fail", "failure", "0"})
_RESULTS = frozenset({"success", "res", "result"})

# Vectors whose records no simple reader takes apart: words between fields, quotes within quotes, cut records. What the
# engine makes of them is compared with libauparse (tests/differential); the view adds nothing to it.
ODD = {
    "quirks-text": "free text, quotes within quotes",
    "quirks-lines": "lines without a header, fields without a blank",
    "quirks-users": "old messages of PAM in parentheses",
    "truncated-user": "hex that lost its last digit",
    "truncated-nul": "hex that lost its last digit",
}


def fields_of(line: bytes) -> Iterator[tuple[str, str]]:
    """Fields of a record's own part, values as they are written."""
    own = line.partition(b"\x1d")[0].decode("utf-8", "surrogateescape").partition("): ")[2]
    own = re.sub(r"\bmsg='(.*)'\s*$", r" \1", own)
    yield from _FIELD.findall(own)


def plain(record_type: str, name: str, value: str) -> str:
    """A value without its quotes and hex."""
    if value.startswith('"'):
        return value[1:-1]
    known = places.path_fields().get(name) if record_type == "PATH" else places.field(record_type, name)
    hidden = (known is not None and known.kind in _HIDDEN) or (record_type == "EXECVE" and name.startswith("a"))
    if known is not None and known.kind == "account" and value != value.upper():
        hidden = False
    if hidden and _HEX.match(value):
        text = bytes.fromhex(value).decode("utf-8", "surrogateescape")
        return text.removesuffix("\x01") if name == "key" else text
    return value


def same(name: str, written: str, shown: str | None) -> bool:
    """Whether the view says what the record says, as far as a document can."""
    if written in _NOTHING:
        return shown in _NOTHING
    if shown is None:
        return False
    alike = {
        # Words after a bare value belong to it, for us; brackets around words of old messages do not.
        "": written in (shown, f"{shown})") or shown.startswith(f"{written} "),
        "proctitle": written.replace("\0", " ") == shown,
        "saddr": shown.upper().removesuffix("00") == written.upper().removesuffix("00"),
        "code": name == "code" and int(written, 16) == int(shown, 16),
        "list": not written.isdigit() and shown.isdigit(),
        **dict.fromkeys(_RESULTS, any({written, shown} <= words for words in (_YES, _NO))),
    }
    return alike[""] or alike.get(name, False)


def events(name: str) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Documents of a vector, each with the lines of its records."""
    vector = golden.load(name)
    for document in golden.run([vector.log], vector.options | {"include_raw": "always"}).documents:
        if document["event"]["kind"] == "event":
            yield document, [line or b"" for line in exact_list(document["event"], "original")]


def differences(name: str) -> Iterator[str]:
    """Every field of a record that the view has not, and every one that it has and the record has not."""
    for document, lines in events(name):
        view = audisp_pyaudit.records(document, number=True)
        assert len(view) == len(lines)
        for record, line in pairs(view, lines):
            yield from between(record, line, parts=kind_count(view, "EXECVE") > 1)


def between(record: Record, line: bytes, *, parts: bool) -> Iterator[str]:
    """What a record of the view and a line do not both say; `parts`: the arguments are in several records."""
    kind = record["type"]
    left = {key for key in record if key not in NO_FIELDS and key == key.lower()}
    once = Counter(field for field, _ in fields_of(line))
    for field, value in fields_of(line):
        if kind == "EXECVE" and (field.endswith("_len") or "[" in field or parts):
            left -= {field.partition("[")[0].removesuffix("_len")}
            continue
        if once[field] > 1 or value == "":
            left.discard(field)  # a dict has one value of a name
            continue
        shown = record.get("res" if field == "result" else field)
        left -= {field, "res" if field == "result" else field}
        written = plain(kind, field, value)
        if not same(field, written, shown):
            yield f"{kind} {field}: record {written!r}, view {shown!r}"
    if kind != "EXECVE":
        yield from (f"{kind} {field}: not in the record, view {record[field]!r}" for field in sorted(left))


def pairs(view: list[Record], lines: list[bytes]) -> Iterator[tuple[Record, bytes]]:
    """Records and their lines: in order, but that of several of a type the one that spoke for the event is first."""
    for kind in dict.fromkeys(record["type"] for record in view):
        places = [i for i, record in enumerate(view) if record["type"] == kind]
        own = [lines[i] for i in places]
        if kind not in {"PATH", "EXECVE"}:
            spoke = next((line for line in own if not list(between(view[places[0]], line, parts=False))), own[0])
            own.remove(spoke)
            own.insert(0, spoke)
        yield from zip((view[i] for i in places), own, strict=True)


def kind_count(view: list[Record], kind: str) -> int:
    """How many records of a type there are."""
    return sum(record["type"] == kind for record in view)


@pytest.mark.parametrize("name", [name for name in golden.names() if name not in ODD])
def test_nothing_is_lost_and_nothing_made_up(name: str) -> None:
    """From the document one can name every field and value of every record: none was lost on the way to it."""
    assert list(differences(name)) == []


def view_of(name: str) -> list[Record]:
    """All records of a vector."""
    return [record for document, _ in events(name) for record in audisp_pyaudit.records(document)]


@pytest.mark.parametrize(
    ("vector", "kind", "wanted"),
    [
        ("exec-plain", "EXECVE", {"a0": "date", "a1": "+%s.%N"}),
        ("exec-memfd", "SYSCALL", {"SYSCALL": "execveat"}),
        ("kernel-personality", "SYSCALL", {"SYSCALL": "personality", "a0": "40000"}),
        ("file-change", "PATH", {"nametype": "CREATE", "name": "file.old"}),
        ("net-netlink-raw", "SYSCALL", {"SYSCALL": "socket", "a0": "10"}),
        ("service", "SERVICE_STOP", {"unit": "modprobe@configfs"}),
        ("kernel-kill", "SYSCALL", {"SYSCALL": "kill", "key": "kill"}),
    ],
)
def test_rules_for_single_records_run_unchanged(vector: str, kind: str, wanted: Record) -> None:
    """What Sigma's rules for auditd compare is there under auditd's own names: arguments in hex, names of syscalls."""
    assert any(record["type"] == kind and wanted.items() <= record.items() for record in view_of(vector))


def test_numbers_are_as_auditd_writes_them() -> None:
    """A tool that expects raw records gets the numbers, and the names beside them as in ENRICHED logs."""
    (document, _), *_ = events("net-connect-in-progress")
    record = audisp_pyaudit.records(document, number=True)[0]
    assert (record["arch"], record["ARCH"]) == ("c000003e", "x86_64")
    assert (record["syscall"], record["SYSCALL"]) == ("42", "connect")
    assert (record["exit"], record["success"]) == ("-115", "no")
    assert (record["auid"], record["AUID"]) == ("1000", "lab")
    assert "syscall" not in audisp_pyaudit.records(document)[0], "it would clash with SYSCALL in many stores"


def test_documents_of_our_own_have_no_records() -> None:
    """A gap in the serials is no audit record, and is not taken for one."""
    gaps = [each for each in golden.load("serial-gap").documents if each["event"]["kind"] != "event"]
    assert gaps
    assert all(audisp_pyaudit.records(gap) == [] for gap in gaps)


def test_bytes_come_back() -> None:
    """Names that are no text are exact in the view too."""
    names = [record["name"] for record in view_of("file-names-bytes") if record["type"] == "PATH" and "name" in record]
    assert any(b"\xff" in name.encode("utf-8", "surrogateescape") for name in names)


@pytest.mark.parametrize(
    "document",
    [
        {"event": {"kind": "event"}},
        {"event": {"kind": "event"}, "auditd": None, "process": None, "tags": None},
        {"event": {"kind": "event"}, "auditd": {"record_types": ["sockaddr"], "data": {"socket": {"family": "ipv4"}}}},
        {"event": {"kind": "event"}, "auditd": {"record_types": ["avc"], "records": [{}, {"type": "avc"}]}},
        {"event": {"kind": "event"}, "auditd": {"record_types": ["avc"], "records": [{"type": "avc", "fields": [{}]}]}},
    ],
)
def test_what_is_left_of_a_document_is_shown(document: dict[str, Any]) -> None:
    """Somebody who keeps only some fields can still run rules on them; a store's null is no error."""
    types = ((document["auditd"] or {}) if "auditd" in document else {}).get("record_types", [])
    assert [record["type"] for record in audisp_pyaudit.records(document)] == [each.upper() for each in types]


@pytest.mark.parametrize(
    "document",
    [
        {"event": []},
        {"event": {"kind": "event"}, "auditd": "x"},
        {"event": {"kind": "event"}, "auditd": {"record_types": ["path"], "paths": [1]}},
    ],
)
def test_what_is_no_document_is_said_to_be_none(document: dict[str, Any]) -> None:
    """A program has one kind of error to expect, which says what is wrong."""
    with pytest.raises(ValueError, match="not a document of audisp-pyaudit"):
        audisp_pyaudit.records(document)


def test_the_domain_of_a_first_denial_has_its_own_fields() -> None:
    """A rule on new Landlock domains finds them, also where the denial is in the same event."""
    denied, domain, *_ = view_of("landlock-first-denial")
    assert {"status", "mode", "pid"} & denied.keys() == set()
    assert (domain["status"], domain["mode"], domain["pid"]) == ("allocated", "enforcing", "300")
