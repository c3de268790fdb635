"""The comparison itself: it can fail, it takes nothing twice, and it looks where the documentation says."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.differential import facts, libauparse, places
from tests.differential.held import Held


def held(**auditd: object) -> Held:
    """A document of one record with this under `auditd`."""
    head = {"schema": 1, "message_type": "x", "record_types": ["cwd"]}
    return Held({"@timestamp": "", "event": {"kind": "event"}, "auditd": head | auditd})


def check(line: bytes, document: dict[str, object], *fields: libauparse.Field) -> list[str]:
    """Fields that differ when libauparse reads `fields` in a line whose document this is."""
    event = {"kind": "event", "sequence": 1, "original": [line.decode()]}
    made = {"@timestamp": "1970-01-01T00:00:01.002Z", "event": event, "host": {"name": "lab"}} | document
    record = libauparse.Record(line=1, number=1307, seconds=1, millis=2, serial=1, node=None, fields=fields)
    found = facts.Checker("x", line, [made]).check([record])
    return sorted(difference.field for difference in found.differences)


def test_the_checker_misses_a_fact_that_is_not_there() -> None:
    """The comparison can fail: a lost, changed or invented value, type or time is reported."""
    line = b'type=CWD msg=audit(1.002:1): cwd="/x"'
    cwd = libauparse.Field(b"cwd", b'"/x"', b"/x")
    auditd: dict[str, object] = {"schema": 1, "message_type": "cwd", "record_types": ["cwd"]}
    good: dict[str, object] = {"process": {"working_directory": "/x"}, "auditd": auditd}
    assert check(line, good, cwd) == []
    assert check(line, {"auditd": auditd}, cwd) == ["cwd"]
    assert check(line, good | {"process": {"working_directory": "/y"}}, cwd) == ["cwd"]
    assert check(line, good | {"@timestamp": "1970-01-01T00:00:02.002Z"}, cwd) == ["(time)"]
    assert check(line, good | {"auditd": auditd | {"record_types": ["path"]}}, cwd) == ["(type)"]
    assert check(line, good | {"user": {"id": "0"}}, cwd) == ["user.id"]
    assert check(line, good, cwd, cwd) == ["cwd"]


def test_a_fact_proves_one_field_only() -> None:
    """Two records that say the same are not mistaken for one."""
    once = held(records=[{"type": "cwd", "fields": [{"name": "a", "value": "1"}]}])
    assert once.take_rest("cwd", b"a", b"1")
    assert not once.take_rest("cwd", b"a", b"1")
    place = held(data={"op": "add"})
    assert place.take_place("auditd.data.op", b"add")
    assert not place.take_place("auditd.data.op", b"add")


def test_exact_bytes_are_compared() -> None:
    """A name that is not UTF-8 is compared byte for byte, not as it is shown."""
    document = held(data={"name": "�", "name_bytes": "/w=="}, paths=[{"name": "�", "name_bytes": "/g=="}])
    assert document.take_place("auditd.data.name", b"\xff")
    assert document.paths == [{"name": b"\xfe"}]


def test_the_places_are_those_of_the_knowledge() -> None:
    """The comparison looks where the documentation sends the user."""
    assert places.field("SYSCALL", "auid") == places.Known("uid", "user.audit.id")
    assert places.field("SYSCALL", "egid") == places.Known("gid", "user.effective.group.id")
    id_of_a_group = places.field("ADD_GROUP", "id")
    assert id_of_a_group == places.Known("gid", "auditd.data.id")
    assert id_of_a_group.name_place == "auditd.data.id_name"
    assert places.Known("uid", "user.audit.id").name_place == "user.audit.name"
    assert places.field("BPF", "prog-id") == places.Known("text", "auditd.data.prog_id")
    assert places.field("SYSCALL", "nobody") is None


def test_a_wrong_name_is_found() -> None:
    """A user who is given another's name, or a name where there is none, is reported."""
    line = b"type=CWD msg=audit(1.002:1): uid=5 gid=7"
    uid = libauparse.Field(b"uid", b"5", b"umay")
    gid = libauparse.Field(b"gid", b"7", b"unknown(7)")
    head: dict[str, object] = {"auditd": {"schema": 1, "message_type": "cwd", "record_types": ["cwd"]}}
    user: dict[str, object] = {"id": "5", "name": "umay", "group": {"id": "7"}}
    assert check(line, head | {"user": user}, uid, gid) == []
    assert check(line, head | {"user": user | {"name": "ute"}}, uid, gid) == ["uid (name)"]
    assert check(line, head | {"user": {"id": "5", "group": {"id": "7"}}}, uid, gid) == ["uid (name)"]
    assert check(line, head | {"user": user | {"group": {"id": "7", "name": "g"}}}, uid, gid) == ["gid (name)"]
