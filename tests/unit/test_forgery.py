"""Forged enrichment: bytes of an attacker's choice in the part that auditd adds to a record make no fact.

The captures are real: an unprivileged user (bob, uid 1001, logged in as lab, auid 1000) connects to Unix sockets whose
paths hold a newline, the separator 0x1d with `AUID=` and `UID=`, ` }`, quotes, 0xff, and NUL. auditd with
log_format=ENRICHED writes those bytes behind the separator as they are (tests/vectors/inject-*.json).
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.vectors import golden

STREAMS = ("inject-enriched", "inject-raw")

# What the sockets are called, in the order of the connections: what the document's path has to be, byte for byte.
NEWLINE = b"/tmp/a\ntype=USER_LOGIN msg=audit(1.1:1): forged=1"
NAMES_BEHIND_A_SEPARATOR = b'/tmp/a\x1dAUID="root" UID="root"'
CLOSING_BRACE = b'/tmp/a }\x1dUID="x"'
QUOTES_AND_NO_TEXT = b'/tmp/x y "q" \xff'
ABSTRACT_NEWLINE = b"@abs\ntype=FAKE"
ABSTRACT_SEPARATOR = b'@\x1dAUID="forged"'
NUL = b"/tmp/nul"
FORGERIES = (
    NEWLINE,
    NAMES_BEHIND_A_SEPARATOR,
    CLOSING_BRACE,
    QUOTES_AND_NO_TEXT,
    ABSTRACT_NEWLINE,
    ABSTRACT_SEPARATOR,
    NUL,
)
SADDR_WITH_NUL = "01" + "00" + b"/tmp/nul\0after\0".hex().upper()

Document = dict[str, Any]


def exact(holder: Document, key: str) -> bytes:
    """The bytes of a text."""
    return base64.b64decode(holder[f"{key}_bytes"]) if f"{key}_bytes" in holder else str(holder[key]).encode()


def documents(name: str) -> list[Document]:
    """What the engine makes of a capture."""
    vector = golden.load(name)
    run = golden.run([vector.log])
    assert run.balanced
    return run.documents


def connections(name: str) -> list[Document]:
    """The events of the hostile connections."""
    found = [d for d in documents(name) if d.get("process", {}).get("title") == "python3 /tmp/inj.py"]
    assert len(found) == len(FORGERIES)
    return found


def texts(value: object) -> list[str]:
    """Every text in a document, keys included."""
    match value:
        case dict():
            return [text for key, item in value.items() for text in [key, *texts(item)]]
        case list():
            return [text for item in value for text in texts(item)]
        case str():
            return [value]
        case _:
            return []


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(("number", "path"), list(enumerate(FORGERIES)))
def test_the_path_is_the_attackers_bytes_and_nothing_else(name: str, number: int, path: bytes) -> None:
    """An analyst sees exactly which socket was connected to, and can search for it."""
    document = connections(name)[number]
    data = document["auditd"]["data"]
    assert exact(data["socket"], "path") == path
    assert exact(document["destination"], "address") == path
    assert data["socket"]["family"] == "unix"
    assert document["auditd"]["result"] == "fail"


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("number", range(len(FORGERIES)))
def test_nobody_is_named_by_forged_text(name: str, number: int) -> None:
    """`AUID="root" UID="root"` in a path accuses nobody: ids are the kernel's, names are those of these ids."""
    user = connections(name)[number]["user"]
    enriched = name == "inject-enriched"
    lab, bob = {"id": "1000"}, {"id": "1001"}
    if enriched:
        lab, bob = lab | {"name": "lab"}, bob | {"name": "bob"}
    assert user["audit"] == lab
    assert {key: user[key] for key in bob} == bob
    for kind in ("effective", "saved", "filesystem"):
        assert {key: user[kind][key] for key in bob} == bob
        assert user[kind]["group"] == user["group"] == bob
    assert not {"root", "x", "forged"} & set(texts(user))


@pytest.mark.parametrize("name", STREAMS)
def test_no_record_and_no_field_is_made_of_a_path(name: str) -> None:
    """A newline or a separator in a path starts no record and no field: what is not the path is as in any connect."""
    for document, path in zip(connections(name), FORGERIES, strict=True):
        # A path in the file system is looked up, which an abstract name is not.
        looked_up = [] if path.startswith(b"@") else ["cwd", "path"]
        assert document["auditd"]["record_types"] == ["syscall", "sockaddr", *looked_up, "proctitle"]
        assert "records" not in document["auditd"]
        assert "truncated" not in document["auditd"]
        assert set(document["auditd"]["data"]) == {
            *("a0", "a1", "a2", "a3", "arch", "exit", "items", "socket", "subj", "syscall", "tty"),
        }


@pytest.mark.parametrize("name", STREAMS)
def test_no_event_is_made_of_a_path(name: str) -> None:
    """The login that the attacker wrote into a path is in no list of logins."""
    found = documents(name)
    assert {document["event"]["kind"] for document in found} == {"event"}
    serials = [document["event"]["sequence"] for document in found]
    assert sorted(serials) == list(range(min(serials), min(serials) + len(serials)))
    logins = [document for document in found if document["auditd"]["message_type"] == "user_login"]
    assert [document["user"]["audit"]["id"] for document in logins] == ["1000"]
    assert all(document["@timestamp"].startswith("2026-11-21T") for document in found)
    assert not any(document["auditd"]["message_type"] == "fake" for document in found)


@pytest.mark.parametrize("name", STREAMS)
def test_forged_words_stand_in_paths_only(name: str) -> None:
    """Wherever a search hits the attacker's words, it hits them as the name of a socket or a file."""
    for document in documents(name):
        places = {
            **document.get("destination", {}),
            **document["auditd"].get("data", {}).get("socket", {}),
        }
        allowed = {str(value) for value in places.values()}
        allowed |= {str(value) for value in document.get("file", {}).values()}
        allowed |= {str(value) for path in document["auditd"].get("paths", []) for value in path.values()}
        for text in texts(document):
            if "forged" in text or "FAKE" in text or 'UID="' in text:
                assert text in allowed


@pytest.mark.parametrize("name", STREAMS)
def test_what_stands_behind_a_nul_is_kept(name: str) -> None:
    """Bytes hidden behind the end of a path are not lost: the hex of the address is beside it."""
    socket = connections(name)[FORGERIES.index(NUL)]["auditd"]["data"]["socket"]
    assert socket == {"family": "unix", "path": NUL.decode(), "saddr": SADDR_WITH_NUL}


def test_enriched_and_raw_say_the_same() -> None:
    """Turning ENRICHED on adds names, and lets nobody change anything else."""

    def plain(value: object) -> object:
        """A document without names and without what differs between two runs."""
        run = {"@timestamp", "id", "sequence", "pid", "parent", "a0", "a1", "a2", "a3", "inode", "session"}
        match value:
            case dict():
                return {key: plain(item) for key, item in value.items() if key not in run and not is_name(key)}
            case list():
                return [plain(item) for item in value]
            case _:
                return value

    def is_name(key: str) -> bool:
        return key in {"ouid_name", "ogid_name", "owner"}

    def without_names(document: Document) -> object:
        user = {key: item for key, item in document["user"].items() if key != "name"}
        for part in user.values():
            if isinstance(part, dict):
                part.pop("name", None)
                if isinstance(part.get("group"), dict):
                    part["group"].pop("name", None)
        file = {key: item for key, item in document.get("file", {}).items() if key != "group"}
        document["auditd"]["summary"].pop("actor")
        return plain(document | {"user": user, "file": file, "related": None})

    enriched, raw = connections("inject-enriched"), connections("inject-raw")
    assert [without_names(document) for document in enriched] == [without_names(document) for document in raw]


def test_ids_without_names_stay_without() -> None:
    """A made-up account does not get a name from anywhere."""
    (document,) = (d for d in documents("inject-enriched") if d.get("user", {}).get("id") == "12345")
    assert document["user"]["group"] == {"id": "54321"}
    assert document["user"]["audit"] == {"id": "1000", "name": "lab"}
    assert "name" not in document["user"]


@pytest.mark.parametrize(
    ("enriched", "name"),
    [
        (b'AUID="lab" UID="bob"', "bob"),
        (b'UID="bob" UID="root"', "bob"),
        (b'SADDR={ saddr_fam=local path=/a\x1dUID="root" } UID="bob"', "bob"),
        (b'UID="unknown(1001)"', None),
        (b'UID="ro', None),
        (b"UID=726F6F74", "root"),
        (b"UID=root", None),
        (b'EUID="root"', None),
        (b"", None),
    ],
)
def test_a_name_is_only_that_of_a_field_of_the_same_record(enriched: bytes, name: str | None) -> None:
    """A name is taken from beside the record's own field of that name, whole, and the first one there is."""
    line = b"type=USER msg=audit(1.001:1): pid=1 uid=1001\x1d" + enriched + b"\n"
    (document,) = golden.run([line]).documents
    assert document["user"] == ({"id": "1001"} if name is None else {"id": "1001", "name": name})


def test_what_cannot_be_told_from_a_log_file() -> None:
    """In audit.log a forged line is a line: whoever reads files has to know that no reader can tell (SECURITY.md).

    auditd wrote the newline of the path as it is, so `type=USER_LOGIN …: forged=1 }` stands on a line of its own, and
    is an event here; `type=FAKE }` has no header, and is published as a line that could not be read. The record itself
    is not harmed: its path comes from its hex.
    """
    found = documents("inject-enriched-log")
    (forged,) = (document for document in found if document["event"]["id"].endswith(":1.001:1"))
    assert forged["event"]["action"] == "logged-in"
    assert forged["auditd"]["records"][0]["fields"][0] == {"name": "forged", "value": "1"}
    assert "user" not in forged
    (unread,) = (document for document in found if document["event"]["kind"] != "event")
    assert unread["event"]["original"] == ["type=FAKE }"]
    for document, path in zip(connections("inject-enriched-log"), FORGERIES, strict=True):
        assert exact(document["auditd"]["data"]["socket"], "path") == path
        assert document["user"]["name"] == "bob"
