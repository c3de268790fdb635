"""What events mean (actions.tsv): the words that people query, for every record type and syscall that has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

DATA = Path(__file__).resolve().parents[2] / "src" / "knowledge" / "data"
AUDITBEAT = Path(__file__).with_name("auditbeat_actions.tsv")

# Expected event types of each category that the table uses, from ECS's list of allowed values of event.category.
ECS_TYPES = {
    "authentication": "start end info",
    "configuration": "access change creation deletion info",
    "driver": "change end info start",
    "file": "access change creation deletion info",
    "host": "access change end info start",
    "iam": "admin change creation deletion group info user",
    "intrusion_detection": "allowed denied info",
    "network": "access allowed connection denied end info protocol start",
    "package": "access change deletion info installation start",
    "process": "access change end info start",
    "session": "start end info",
}
OBJECTS = """
    account audit-config bpf-program device file filesystem firewall integrity-policy keystrokes mac-config memory
    network-device policy printer process service socket software system user-session virtual-machine
"""
CHOICES = {
    "by": {"record", "syscall", "fallback"},
    "path": {"-", "object", "second", "created", "deleted", "first"},
    "account": {"-", "effective", "target", "group"},
    "peer": {"-", "source", "destination", "addr"},
}
# Words of the summary's columns that are no field of a record.
PLACES = {"path", "path2", "socket", "port"}
# Record types that need no row: what they are instead.
WITHOUT_ROW = {
    "SYSCALL": "its syscall says what it means",
    "REPLACE": "sent to an auditd that is being replaced, never logged",
}
# What auditbeat has and we put right.
ECS_WORDS = {"stop": "end"}
PUT_RIGHT = {"DAEMON_CLOSE": "a connection that ends does not start"}
# Functions of the C library that it takes for syscalls.
LIBRARY_CALLS = {"fstatat", "futimens", "setegid", "seteuid"}
# Detection rules ask for these as `process where auditd.data.syscall == ...`.
PROCESS_CALLS = ["socket", "mprotect", "prctl", "unshare", "splice"]


class Action(NamedTuple):
    """A row of actions.tsv."""

    by: str
    name: str
    when: str
    action: str
    category: str
    type: str
    object: str
    actor: str
    how: str
    primary: str
    secondary: str
    path: str
    account: str
    peer: str


class Auditbeat(NamedTuple):
    """A row of auditbeat_actions.tsv."""

    by: str
    name: str
    when: str
    action: str
    category: str
    type: str


def rows(path: Path) -> list[list[str]]:
    """Return the rows below the line of column names."""
    lines = path.read_text(encoding="utf-8").splitlines()
    body = [line for line in lines if line and not line.startswith("#")]
    return [line.split("\t") for line in body[1:]]


def words(cell: str) -> list[str]:
    """Return the words of a cell."""
    return [] if cell == "-" else cell.split(",")


ACTIONS = [Action(*row) for row in rows(DATA / "actions.tsv")]
THEIRS = [Auditbeat(*row) for row in rows(AUDITBEAT)]
FIELDS = {row[1] for row in rows(DATA / "fields.tsv")}
RECORD_TYPES = {row[1]: int(row[0]) for row in rows(DATA / "record_types.tsv")}
AUXILIARY = {row[0] for row in rows(DATA / "auxiliary_types.tsv")}
SYSCALLS = {row[1] for path in (DATA / "syscalls").glob("*.tsv") for row in rows(path)}
ROWS = pytest.mark.parametrize("row", ACTIONS, ids=lambda row: f"{row.by}-{row.name}-{row.when}")


def meant(by: str, name: str, when: str = "-") -> Action:
    """Return the row that counts for a name and what its record says."""
    field = when.partition("=")[0]
    fitting = [row for row in ACTIONS if row.name == name and row.when in {"-", field, when}]
    found = [row for row in fitting if row.by == by] + [row for row in fitting if row.by == "fallback"]
    assert found, f"no row for {by} {name} {when}"
    return found[0]


@pytest.mark.parametrize("theirs", [row for row in THEIRS if row.name not in LIBRARY_CALLS], ids=lambda row: row.name)
def test_auditbeats_words(theirs: Auditbeat) -> None:
    """Rules and dashboards made for auditbeat find our events: same action, no category or type less."""
    ours = meant(theirs.by, theirs.name, theirs.when)
    assert ours.action == theirs.action
    assert set(words(theirs.category)) <= set(words(ours.category))
    if theirs.name not in PUT_RIGHT:
        assert {ECS_WORDS.get(word, word) for word in words(theirs.type)} <= set(words(ours.type))


def test_auditbeats_table_is_whole() -> None:
    """The comparison is with all that auditbeat has a word for; what we leave out or put right is there as we say."""
    names = {by: {row.name for row in THEIRS if row.by == by} for by in ("record", "syscall")}
    assert {by: len(found) for by, found in names.items()} == {"record": 91, "syscall": 99}
    assert names["record"] <= set(RECORD_TYPES)
    assert names["syscall"] - SYSCALLS == LIBRARY_CALLS
    assert {row.name: row.type for row in THEIRS if row.name in PUT_RIGHT} == {"DAEMON_CLOSE": "connection,start"}


@ROWS
def test_categories_and_types_are_of_ecs(row: Action) -> None:
    """An index that holds ECS's lists takes every event, and each type stands with a category that it goes with."""
    categories, types = words(row.category), words(row.type)
    assert categories
    assert types
    assert len(set(categories)) == len(categories)
    assert len(set(types)) == len(types)
    for category in categories:
        assert set(ECS_TYPES[category].split()) & set(types), category
    assert set(types) <= {word for category in categories for word in ECS_TYPES[category].split()}


@ROWS
def test_names_exist(row: Action) -> None:
    """No row waits for a record type, syscall or field that never comes."""
    assert row.name in (SYSCALLS if row.by == "syscall" else RECORD_TYPES)
    assert row.name not in AUXILIARY
    if row.when != "-":
        assert row.when.partition("=")[0] in FIELDS
    for cell in (*row.actor.split("/"), row.how, row.primary, row.secondary):
        assert {word.removeprefix("data.") for word in words(cell)} <= FIELDS | PLACES, cell


@ROWS
def test_columns_hold_only_known_words(row: Action) -> None:
    """A misspelt word is found here, not by a field that stays empty."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row.action)
    assert row.object == "-" or row.object in OBJECTS.split()
    for column, known in CHOICES.items():
        assert getattr(row, column) in known
    if "path2" in row.primary + row.secondary:
        assert row.path in {"created", "deleted"}, "no other file is known"


def test_every_row_can_be_met() -> None:
    """No row hides behind another that always fits or fits the same."""
    seen: dict[tuple[str, str], set[str]] = {}
    for row in ACTIONS:
        before = seen.setdefault((row.by, row.name), set())
        assert not before & {"-", row.when, row.when.partition("=")[0]}, row
        before.add(row.when)


@pytest.mark.parametrize("name", [name for name, number in RECORD_TYPES.items() if 1100 <= number < 3000])
def test_every_record_type_means_something(name: str) -> None:
    """No event that a host can log comes without an action, whatever its record says."""
    known = {row.name for row in ACTIONS if row.by != "syscall" and row.when == "-"}
    assert (name in known) + (name in AUXILIARY) + (name in WITHOUT_ROW) == 1


@pytest.mark.parametrize("name", PROCESS_CALLS)
def test_calls_that_stay_processes(name: str) -> None:
    """`process where auditd.data.syscall == "socket"` and its like keep firing."""
    assert name in SYSCALLS
    assert [(row.category, row.type) for row in ACTIONS if row.name == name] in ([], [("process", "info")])


@pytest.mark.parametrize(
    ("name", "when", "action", "kind"),
    [
        ("AVC", "apparmor=STATUS", "changed-apparmor-policy", "change"),
        ("AVC", "apparmor=ALLOWED", "violated-apparmor-policy", "allowed"),
        ("AVC", "apparmor=FUTURE", "violated-apparmor-policy", "info"),
        ("AVC", "seresult=granted", "accessed-mac-policy-controlled-object", "info"),
        ("AVC", "seresult=denied", "violated-selinux-policy", "denied"),
        ("AVC", "permissive=1", "violated-selinux-policy", "allowed"),
        ("USER_AVC", "seresult=received", "received-mac-policy-notice", "info"),
        ("BPF", "op=UNLOAD", "unloaded-bpf-program", "info"),
        ("SOFTWARE_UPDATE", "op=remove", "removed-package", "deletion"),
        ("LANDLOCK_DOMAIN", "status=deallocated", "released-landlock-domain", "info"),
        ("FANOTIFY", "resp=2", "accessed-policy-controlled-file", "denied"),
    ],
)
def test_what_a_record_says_counts(name: str, when: str, action: str, kind: str) -> None:
    """A denial, a permission and a policy that was loaded come in the same record type and are told apart."""
    row = meant("record", name, when)
    assert (row.action, row.type) == (action, kind)


@pytest.mark.parametrize(
    ("call", "path", "primary", "secondary", "peer"),
    [
        ("execve", "first", "path,exe", "-", "-"),
        ("openat2", "object", "path", "-", "-"),
        ("rename", "deleted", "path", "path2", "-"),
        ("linkat", "created", "path", "path2", "-"),
        ("unlinkat", "deleted", "path", "-", "-"),
        ("mkdir", "created", "path", "-", "-"),
        ("mount", "object", "path", "-", "-"),
        ("move_mount", "second", "path", "-", "-"),
        ("connect", "object", "socket", "port", "destination"),
        ("accept4", "-", "socket", "port", "source"),
        ("bind", "created", "socket", "port", "-"),
    ],
)
def test_what_is_acted_on(call: str, path: str, primary: str, secondary: str, peer: str) -> None:
    """The summary names the file or the remote end that a person would name."""
    row = meant("syscall", call)
    assert (row.path, row.primary, row.secondary, row.peer) == (path, primary, secondary, peer)


@pytest.mark.parametrize(
    ("name", "account", "peer"),
    [
        ("USER_LOGIN", "effective", "addr"),
        ("USER_CHAUTHTOK", "target", "addr"),
        ("ADD_USER", "target", "-"),
        ("ADD_GROUP", "group", "-"),
        ("CRYPTO_SESSION", "-", "addr"),
        ("SERVICE_START", "-", "-"),
    ],
)
def test_whose_account_and_from_where(name: str, account: str, peer: str) -> None:
    """Who logs in, whose account changes and who manages it are told apart; a local host name is no remote end."""
    row = meant("record", name)
    assert (row.account, row.peer) == (account, peer)
