"""Records that come to auditd over the network, from other hosts: its listener, and our plugin behind it.

No stand-in for the kernel is needed, so this works for somebody who is not root, too.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.cell import PORT, Cell, Parts, cell, give_away
from tests.auditd.daemon import HERE
from tests.auditd.fixtures import make_folder, need, parts
from tests.auditd.listener import Client
from tests.auditd.packages import SUITES, Unpacked, unpacked

__all__ = ["parts"]  # a fixture

_FILE = f'[sinks.file]\ntype = "file"\npath = "{HERE}/out/out.json"\n'
_LOGIN = (
    "node={node} type=USER_LOGIN msg=audit(1700000000.{ms:03}:{serial}): pid=5 uid=0 auid=1000 ses=1 "
    'msg=\'op=login acct="lab" exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success\''
    '\x1dUID="root" AUID="lab"'
)


def login(node: str, serial: int) -> bytes:
    """A log-in as another host's auditd sends it."""
    return _LOGIN.format(node=node, ms=serial % 1000, serial=serial).encode()


def exercise(made: Cell) -> None:
    """Two hosts send; the documents are theirs, all of them, and nothing of ours is put into them."""
    made.auditd.start()
    made.wait_for("event=reading")
    (connected,) = made.space.ask("connect", port=PORT)
    client = Client(connected)
    count = client.send(login(node, serial) for serial in range(1, 301) for node in ("web-1", "web-2"))
    count += client.send([b"garbage that is no record"])
    client.close()
    made.stop()
    found = [json.loads(line) for line in (made.folder / "out" / "out.json").read_bytes().splitlines()]
    logins = [each for each in found if each["auditd"]["message_type"] == "user_login"]
    assert [(each["host"]["name"], each["event"]["sequence"]) for each in logins] == [
        (node, serial) for serial in range(1, 301) for node in ("web-1", "web-2")
    ]
    assert {each["user"]["audit"]["name"] for each in logins} == {"lab"}
    ours = [each["auditd"]["message_type"] for each in found if each["auditd"]["message_type"].startswith("daemon_")]
    assert ours[0] == "daemon_start"
    assert {"daemon_accept", "daemon_close"} <= set(ours)
    assert made.records("in") == count + len(ours)
    assert [each[-1] for each in made.ledgers().values()] == ["ledger closed"]
    assert not made.severe(), made.log.text()


@pytest.mark.parametrize("suite", SUITES)
def test_records_of_other_hosts(suite: str, parts: Parts, tmp_path: Path) -> None:
    """A host that collects for others hands their records to us as they are, with the names of those hosts."""
    found = unpacked(suite)
    assert found is not None
    with cell(make_folder(tmp_path), found, parts, config=_FILE, settings={}, network=True) as made:
        exercise(made)


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A folder that anybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="auditd-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("suite", SUITES)
def test_without_root(suite: str, parts: Parts, for_all: Path) -> None:
    """The whole of it runs for a user without any right: what tests do here can touch nothing of the machine's."""
    need(rootless=True)
    found = unpacked(suite)
    assert found is not None
    # What is ours may be in a folder that only we may enter.
    copied = Unpacked(suite, for_all / "auditd")
    shutil.copytree(found.root, copied.root, symlinks=True)
    folder = for_all / "cell"
    packages = next(parts.command.parents[1].glob("lib/python3.*/site-packages"))
    shutil.copytree(packages, folder / "packages", ignore=shutil.ignore_patterns("pip", "setuptools"))
    command = folder / "bin" / "audisp-pyaudit"
    command.parent.mkdir()
    command.write_text(
        f"#!{Path(sys.executable).resolve()} -I\nimport sys\nsys.path.insert(0, '{HERE}/packages')\n"
        "from audisp_pyaudit.__main__ import main\nmain()\n"
    )
    command.chmod(0o755)
    give_away(for_all)
    inside = Parts(parts.library, Path(HERE) / "bin" / "audisp-pyaudit")
    with cell(folder, copied, inside, config=_FILE, settings={}, network=True, rootless=True) as made:
        assert made.space.rootless
        exercise(made)
