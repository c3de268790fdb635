"""The questions that auditing is done for, each answered by one query of docs/queries.md.

The events are those of our vectors from real captures, fed through `audisp-pyaudit decode`; what has to come out was
read in the records by hand, and counted with `grep` where it is a number. Over the whole captures, where they are
beside the checkout, the numbers were counted the same way.
"""

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.corpus import CORPUS

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
QUERIES = dict(
    re.findall(r"```sql ([a-z-]+)\n(.*?)```", (ROOT / "docs" / "queries.md").read_text(encoding="utf-8"), re.DOTALL)
)

Row = tuple[object, ...]


def ask(question: str, logs: list[Path], folder: Path) -> list[Row]:
    """Decode logs and run a query of the page over their events."""
    events = folder / "events.jsonl"
    command = [sys.executable, "-m", "audisp_pyaudit", "decode", "--format", "json", "--ledger", *map(str, logs)]
    with events.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=True)
    assert done.stderr.endswith("ledger closed\n"), done.stderr
    with duckdb.connect() as database:
        database.execute(
            "CREATE VIEW events AS SELECT json AS e FROM read_ndjson_objects($1)".replace("$1", f"'{events}'")
        )
        return database.execute(QUERIES[question]).fetchall()


def vectors(*names: str) -> list[Path]:
    """Logs of vectors."""
    return [VECTORS / f"{name}.log" for name in names]


def capture(name: str) -> list[Path]:
    """A whole capture."""
    return [CORPUS / "captures" / f"{name}.enriched.log"]


def test_outbound_tcp_connections(tmp_path: Path) -> None:
    """Who talks to the outside is one group-by, and UDP is not counted as TCP where the socket's making was audited.

    By hand: of curl's three connects the first is of a UDP socket; dig's is UDP; sshd's came after execve().
    """
    assert ask("outbound", vectors("net-transport"), tmp_path) == [("curl", "1000", 2), ("sshd", "0", 1)]


@pytest.mark.corpus
def test_outbound_connections_of_a_capture(tmp_path: Path) -> None:
    """The same over a real host, where sockets were not audited: connect() to an internet address, by `comm`."""
    assert ask("outbound", capture("b-net"), tmp_path) == [
        ("python3", "root", 19),
        ("getent", "root", 4),
        ("sshd", "root", 4),
        ("nc", "root", 3),
        ("ssh", "root", 1),
    ]


def test_who_installed_what(tmp_path: Path) -> None:
    """Every installation and removal by dpkg, apt, pip and npm, with who had logged in; look-ups are left out."""
    found = ask("software", vectors("demo"), tmp_path)
    assert {who for _, who, _, _ in found} == {"lab"}
    assert [str(command) for _, _, command, _ in found] == [
        "dpkg -i labpkg_1.0-1_all.deb",
        "dpkg -r labpkg",
        "apt-get install -y -q /tmp/labpkg_1.0-1_all.deb",
        "apt-get purge -y -q labpkg",
        "dpkg -i bad.deb",
        "apt-get install -y nosuchpackage",
        (
            "/usr/bin/python3 /usr/bin/pip3 install -q --break-system-packages --no-index --no-deps"
            " dist/labwheel-0.1-py3-none-any.whl"
        ),
        "/usr/bin/python3 /usr/bin/pip3 uninstall -q -y --break-system-packages labwheel",
        "/usr/bin/python3 /usr/bin/pip3 install -q --no-index nosuch",
        "/usr/bin/env node /usr/bin/npm install --offline --no-audit --no-fund --loglevel=error ../labnpm-1.0.0.tgz",
        "node /usr/bin/npm install --offline --no-audit --no-fund --loglevel=error ../labnpm-1.0.0.tgz",
    ]


def test_who_touched_a_watched_file(tmp_path: Path) -> None:
    """Somebody who is not root is named, with the time in ISO 8601 and what was tried."""
    assert ask("watched", vectors("file-denied"), tmp_path) == [
        ("2026-11-21T01:05:40.532Z", "1001", "opened-file", "/srv/watch/file", "failure")
    ]


@pytest.mark.corpus
def test_who_touched_a_watched_file_of_a_capture(tmp_path: Path) -> None:
    """Five syscalls of bob on the file, none of which succeeded: `grep watch_file`, and not uid=0."""
    found = ask("watched", capture("c-files"), tmp_path)
    assert [row[1:] for row in found] == [
        ("bob", "opened-file", "/srv/watch/file", "failure"),
        ("bob", "opened-file", "/srv/watch/file", "failure"),
        ("bob", "deleted", "/srv/watch/file", "failure"),
        ("bob", "changed-file-permissions-of", "/srv/watch/file", "failure"),
        ("bob", "changed-file-ownership-of", "/srv/watch/file", "failure"),
    ]


def test_everything_that_failed(tmp_path: Path) -> None:
    """What failed stands by itself, with the error's name; a connection in progress is not among it."""
    logs = vectors("net-connect-in-progress", "exec-failed", "file-denied", "user-cmd-failed")
    actions = {(action, error) for action, error, _ in ask("failed", logs, tmp_path)}
    assert ("opened-file", "EACCES") in actions
    assert ("executed", "ENOENT") in actions
    assert ("ran-command", None) in actions
    assert not any(error == "EINPROGRESS" for _, error in actions)


@pytest.mark.corpus
def test_everything_that_failed_in_a_capture(tmp_path: Path) -> None:
    """`grep success=no` and its exit codes: -2 eleven times, -13, -36 and -8 once."""
    assert ask("failed", capture("a-exec"), tmp_path) == [
        ("executed", "ENOENT", 11),
        ("executed", "EACCES", 1),
        ("executed", "ENAMETOOLONG", 1),
        ("executed", "ENOEXEC", 1),
    ]


def test_programs_by_count(tmp_path: Path) -> None:
    """How often what was started: the program that runs, not the name that it was given."""
    found = ask("programs", vectors("exec-plain", "exec-script", "exec-memfd"), tmp_path)
    assert dict((str(program), starts) for program, starts in found)["/memfd:evil payload (deleted)"] == 1  # noqa: C402
    assert found == sorted(found, key=lambda row: (-int(str(row[1])), str(row[0])))


@pytest.mark.corpus
def test_programs_of_a_capture(tmp_path: Path) -> None:
    """execve() and execveat() that succeeded, by `exe`."""
    assert ask("programs", capture("a-exec"), tmp_path)[:4] == [
        ("/usr/bin/true", 27),
        ("/usr/bin/echo", 8),
        ("/usr/bin/dash", 7),
        ("/usr/bin/python3.11", 7),
    ]


@pytest.mark.corpus
def test_log_ins(tmp_path: Path) -> None:
    """Who logged in, who tried to, and from where."""
    found = ask("logins", capture("d-identity"), tmp_path)
    assert [row[1:] for row in found] == [
        ("success", "lab", "127.0.0.1"),
        ("success", "bob", None),
        ("failure", "bob", None),
        ("success", "lab", "::1"),
        ("failure", "bob", "127.0.0.1"),
        ("failure", "(invalid user)", "127.0.0.1"),
        ("failure", "(invalid user)", "127.0.0.1"),
        ("failure", "(invalid user)", "127.0.0.1"),
        ("failure", "root", "127.0.0.1"),
        ("failure", "newuser", "127.0.0.1"),
    ]


def test_a_log_in(tmp_path: Path) -> None:
    """The same for one log-in over ssh: the account, not the user that sshd runs as."""
    assert [row[1:] for row in ask("logins", vectors("user-login"), tmp_path)] == [("success", "lab", "127.0.0.1")]


def test_changes_of_accounts(tmp_path: Path) -> None:
    """Accounts that were made, changed and deleted, each with who did it."""
    found = ask("accounts", vectors("user-add", "group-add"), tmp_path)
    assert {row[1:] for row in found} == {
        ("lab", "added-user-account", "2001"),
        ("lab", "added-user-account", "newuser"),
        ("lab", "added-group-account-to", "newgrp1"),
    }


@pytest.mark.corpus
def test_changes_of_accounts_of_a_capture(tmp_path: Path) -> None:
    """`res=success` in ADD_*, DEL_* and USER_CHAUTHTOK: 52 records, each an event."""
    found = ask("accounts", capture("d-identity"), tmp_path)
    assert len(found) == 52
    assert all(account for *_, account in found)


def test_what_somebody_did_as_root(tmp_path: Path) -> None:
    """Who logged in as lab and became root is still lab."""
    found = [str(command) for _, command in ask("as-root", vectors("demo"), tmp_path)]
    assert found[:2] == ["dpkg -i labpkg_1.0-1_all.deb", "dpkg -r labpkg"]
    assert not any("auditctl" in command for command in found), "auditctl ran before anybody logged in"


def test_every_query_is_asked_here() -> None:
    """No query of the page is shown that was not tried."""
    asked = set(re.findall(r'ask\("([a-z-]+)"', Path(__file__).read_text(encoding="utf-8")))
    assert asked == set(QUERIES)
