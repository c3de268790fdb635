"""One readable line per event."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.text import render


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def event(action: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401  # parts of a document
    """A document; keys with two underscores go deeper."""
    document: dict[str, Any] = {
        "@timestamp": "2026-11-21T01:10:17.684Z",
        "event": {"action": action, "outcome": "success"} if action else {"outcome": "success"},
        "host": {"name": "web-1"},
        "auditd": {"message_type": "syscall", "record_types": ["syscall"], "data": {}},
    }
    for path, value in more.items():
        place = document
        *parents, last = path.split("__")
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return document


def line(document: dict[str, Any]) -> str:
    """What follows the time."""
    text = render(document, "web-1")
    assert text.startswith("2026-11-21 01:10:17.684 ")
    return text[24:]


LAB = {"user": {"audit": {"id": "1000", "name": "lab"}, "effective": {"id": "0"}, "id": "0"}}


def test_a_whole_line() -> None:
    """When, who, as whom, what, to what, by which program and under which rule, in this order."""
    document = event(
        "changed-file-permissions-of",
        **LAB,
        tags=["watch_file"],
        process={"executable": "/usr/bin/chmod", "pid": 762, "working_directory": "/srv/watch"},
        auditd__paths=[{"name": "file", "nametype": "NORMAL"}],
    )
    assert line(document) == (
        "lab as root changed file permissions of /srv/watch/file (/usr/bin/chmod[762]) key=watch_file"
    )


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (event("executed", process__args=["ls", "-l", "a b", None]), "executed ls -l 'a b' ?"),
        (
            event("executed", event__outcome="failure", auditd__data={"exit": "ENOENT", "syscall": "execve"})
            | {"process": {"working_directory": "/"}},
            "executed FAILED ENOENT (No such file or directory)",
        ),
        (event("ran-command", auditd__data={"cmd": "sh -c x", "terminal": "pts/1"}), "ran command sh -c x on pts/1"),
        (
            event("connected-to", destination={"ip": "10.0.0.2", "port": 443}, auditd__data__exit="EINPROGRESS"),
            "connected to 10.0.0.2:443 EINPROGRESS (Operation now in progress)",
        ),
        (event("accepted-connection-from", source={"ip": "::1", "port": 5}), "accepted connection from [::1]:5"),
        (event("connected-to", destination={"address": "/run/x"}), "connected to /run/x"),
        (
            event("bound-socket", auditd__data={"socket": {"family": "ipv4", "addr": "0.0.0.0", "port": "80"}}),  # noqa: S104  # data
            "bound socket to 0.0.0.0:80",
        ),
        (
            event(
                "renamed",
                auditd__paths=[
                    {"name": "/d", "nametype": "PARENT"},
                    {"name": "/d/a", "nametype": "DELETE"},
                    {"name": "/d/b", "nametype": "CREATE"},
                ],
            ),
            "renamed /d/a to /d/b",
        ),
        (
            event(
                "symlinked",
                auditd__paths=[{"name": "/t", "nametype": "UNKNOWN"}, {"name": "/l", "nametype": "CREATE"}],
            ),
            "symlinked /l to /t",
        ),
        (event("deleted", auditd__paths=[{"name": "/d", "nametype": "PARENT"}]), "deleted /d"),
        (event("opened-file", file__path="/etc/shadow"), "opened file /etc/shadow"),
        (
            event("was-authorized", auditd__data={"acct": "lab", "addr": "10.0.0.9"}),
            "was authorized as lab from 10.0.0.9",
        ),
        (event("logged-in", auditd__data={"id": "1000", "hostname": "127.0.0.1"}), "logged in as 1000"),
        (event("killed-pid", auditd__data={"opid": "5", "ocomm": "x", "syscall": "kill"}), "killed pid 5 x"),
        (event("started-service", auditd__data={"unit": "ssh"}), "started service ssh"),
        (event("mmap", auditd__data={"syscall": "mmap"}), "called mmap"),
        (event("changed-identity-of", auditd__data={"syscall": "setuid"}), "called setuid"),
        (event("sent-to"), "sent"),
        (
            event("changed-audit-configuration", auditd__data={"op": "add_rule", "list": "exit"}),
            "changed audit configuration op=add_rule list=exit",
        ),
        (event("package-updated", auditd__data={"sw": "a b", "op": "install"}), "package updated op=install sw='a b'"),
        (event("x", event__outcome="failure"), "x FAILED"),
        (event("x", auditd__data={"exit": "-1000"}), "x -1000"),
        (event("x", process={"pid": 5}), "x (pid 5)"),
        (event("x", process={"name": "sh"}), "x (sh)"),
        (event("x", auditd__incomplete="timeout", auditd__part=2), "x (incomplete: timeout) (part 2)"),
        (event("x", auditd__truncated=["acct", "line"]), "x (cut: acct, line)"),
        (
            event(auditd__message_type="uringop", auditd__record_types=["uringop", "cwd"], auditd__data={"a": "1"}),
            "[uringop] a=1 [uringop cwd]",
        ),
        (event("x", user={"id": "5", "name": "bob"}), "bob x"),
        (event("x", user={"audit": {"id": "1000"}, "effective": {"id": "1000"}}), "1000 x"),
        (event("x", host__name="db-1"), "db-1: x"),
        (
            event("serial-gap", auditd__gap={"first": 1, "last": 3, "count": 3}),
            "-- serials 1 to 3 are missing (3): events were lost before they reached us",
        ),
        (
            event("serial-gap", auditd__gap={"first": 1, "last": 1, "count": 1}),
            "-- serial 1 is missing: events were lost before they reached us",
        ),
        (
            event("unparsed-line", event__original=["a\x1bb"], auditd__error="no header"),
            "-- could not read a line (no header): a\\x1bb",
        ),
        (
            event("subscriber-lagged", auditd__lost={"frames": 7}),
            "-- 7 events are missing here: this subscriber did not keep up",
        ),
        (
            event("records-dropped", auditd__lost={"records": 7, "reason": "intake_full", "first": "a", "last": "b"}),
            "-- 7 records were dropped (intake_full, from a to b)",
        ),
        (
            event("frames-dropped", auditd__lost={"frames": 7, "sink": "k", "reason": "lag", "start": "a", "end": "b"}),
            "-- 7 events never get to k (lag, between a and b)",
        ),
        (
            event("spool-damaged", auditd__lost={"bytes": 7, "where": "g1/x, byte 2", "why": "no batch"}),
            "-- the spool is damaged at g1/x, byte 2: 7 bytes cannot be read (no batch)",
        ),
        (
            event("unclean-stop", auditd__lost={"reason": "unclean_stop", "start": "a", "end": "b"}),
            "-- the plugin was killed or crashed: what it had read and not kept is lost, between a and b",
        ),
    ],
)
def test_events_read_as_sentences(document: dict[str, Any], expected: str) -> None:
    """Each kind of event says what it is about in words."""
    assert line(document) == expected


def test_terminals_are_safe() -> None:
    """Nothing that a stranger named reaches the terminal as it is."""
    evil = "\x1b]0;x\x07\n2026-11-21 root"
    document = event(
        "executed",
        host__name=evil,
        user={"name": evil, "id": "5"},
        tags=[evil],
        process={"args": [evil], "executable": evil, "pid": 1},
        auditd__data={"terminal": evil, "addr": evil, "exit": "E" + evil},
    )
    assert render(document).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "@timestamp": JSON,
        "host": JSON,
        "user": st.fixed_dictionaries({}, optional={"audit": JSON, "effective": JSON}),
        "process": st.fixed_dictionaries({}, optional={"args": JSON, "pid": JSON, "working_directory": JSON}),
        "event": st.fixed_dictionaries(
            {"action": st.sampled_from(["executed", "killed-pid", "serial-gap", "unparsed-line", "logged-in", "x", ""])}
        ),
        "auditd": st.fixed_dictionaries(
            {},
            optional={"data": JSON, "paths": JSON, "gap": JSON, "record_types": JSON, "truncated": JSON, "lost": JSON},
        ),
        "destination": JSON,
        "tags": JSON,
    },
)


@given(PARTS)
def test_any_document_gives_a_line(document: dict[str, Any]) -> None:
    """A document of any shape, also from another version, is shown and never ends the program."""
    assert render(document).isprintable()


VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("*.json"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda path: path.stem)
def test_every_vector_reads(vector: Path) -> None:
    """Every kind of event that we have a golden of gives a line that says what happened, and nothing raw."""
    for document in json.loads(vector.read_bytes())["documents"]:
        text = render(document, document["host"]["name"])
        assert text.isprintable()
        assert "{" not in text.split("(")[0] or "{" in json.dumps(document["auditd"])
        assert not re.search(r" (of|to|from|as|for|on)( \((/|pid)|$)", text), text
        assert len(text) >= 30
