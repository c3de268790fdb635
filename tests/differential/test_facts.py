"""The facts test: every fact that libauparse reads in the vectors is in our documents, or it is said why not.

libauparse is the audit project's own reader. Where the two do not agree, `differences.toml` says so, one by one, with
the reason why the document is right; nothing else may differ.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.differential import facts, libauparse, places
from tests.differential.held import Held
from tests.vectors import golden

DIFFERENCES = Path(__file__).resolve().parent / "differences.toml"
# What differs was written down for this version; newer ones read some things in another way (LOGIN, seccomp, sockets).
VERSION = "1:3.0."
# Below this something of the comparison must have gone missing.
MIN_COMPARED = 25_000

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def comparison(figures: list[str]) -> facts.Comparison:
    """What came of comparing all vectors."""
    reason = missing()
    if reason is not None:
        # In CI a test that does not run would go unseen.
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    total = facts.Comparison()
    for name in golden.names():
        vector = golden.load(name)
        documents = golden.run([vector.log], vector.options | {"include_raw": "always"}).documents
        records = libauparse.read(golden.HERE / f"{name}.log")
        total.add(facts.Checker(name, vector.log, documents).check(records))
    listed, _ = read_differences()
    differing = sum(total.differences.values())
    unexplained = sum((total.differences - listed).values())
    figures.append(
        f"facts: {total.records} records, {total.compared} facts compared with libauparse: "
        f"{total.compared - differing} equal, {differing - unexplained} excused, {unexplained} unexplained",
    )
    return total


def missing() -> str | None:
    """Why the comparison cannot be made; None if it can."""
    if libauparse.library() is None:
        return "there is no libauparse (Debian: apt-get install libauparse0)"
    version = libauparse.version()
    if version is None or not version.startswith(VERSION):
        return f"differences.toml is about libauparse {VERSION}*, this machine has {version}"
    return None


def read_differences() -> tuple[Counter[facts.Difference], dict[str, list[facts.Difference]]]:
    """The differences that are listed, with how often each occurs, and those of each reason."""
    content = tomllib.loads(DIFFERENCES.read_text(encoding="utf-8"))
    listed: Counter[facts.Difference] = Counter()
    by_reason: dict[str, list[facts.Difference]] = {reason: [] for reason in content["reasons"]}
    for row in content["difference"]:
        difference = facts.Difference(row["vector"], row["record"], row["field"], row["theirs"], row["ours"])
        assert difference not in listed, f"listed twice: {difference}"
        listed[difference] = row.get("times", 1)
        by_reason[row["reason"]].append(difference)
    return listed, by_reason


def lines_of(differences: Counter[facts.Difference]) -> str:
    """Differences, one a line."""
    return "\n".join(f"{times} x {difference}" for difference, times in sorted(differences.items()))


def test_every_fact_is_in_the_document(comparison: facts.Comparison) -> None:
    """Whoever moves from ausearch to these documents misses nothing that ausearch would have shown."""
    listed, _ = read_differences()
    unexplained = comparison.differences - listed
    assert not unexplained, f"not in differences.toml:\n{lines_of(unexplained)}"
    assert comparison.compared >= MIN_COMPARED


def test_every_excuse_is_needed(comparison: facts.Comparison) -> None:
    """The list of differences is the truth about today: an excuse for something mended is taken off it."""
    listed, _ = read_differences()
    idle = listed - comparison.differences
    assert not idle, f"in differences.toml, but there is no such difference:\n{lines_of(idle)}"


def test_every_excuse_has_a_reason() -> None:
    """Anyone who doubts a difference finds why it is right."""
    _, by_reason = read_differences()
    assert all(by_reason.values()), "a reason that nothing uses"


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
    return sorted(difference.field for difference in found.differences.elements())


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
