"""The whole process as a user of its own, which it is under auditd. Every test asserts that the ledger closes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.plugin import Plugin
from tests.status import status_of

UID, GID, SIEM = 61990, 61991, 61992
ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Plugin]
Records = Callable[..., bytes]
# With users of its own, in a mount namespace of its own; and our tree where every user may look.
_NAMESPACE = """
set -e
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mount --rbind "$2" "$1/tree"
shift 2
exec "$@"
"""
_RUN = "import sys; sys.path[:0] = {paths!r}; {first}from audisp_pyaudit.__main__ import main; main()"
# Never the real socket: a stand-in for the kernel, that says what it is asked by.
_FAKE_KERNEL = (
    "from audisp_pyaudit import kernel_audit; import socket, struct\n"
    "def connect():\n"
    "    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "    connect.asked += 1\n"
    "    theirs.send(struct.pack('=IHHII8I', 48, 1000, 0, connect.asked, 0, 0, 1, 0, 0, 0, 64, 5, 7))\n"
    "    connect.theirs = theirs\n"
    "    return ours\n"
    "connect.asked = 0\n"
    "kernel_audit.audit_socket = connect\n"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may look into."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "true"], check=False, capture_output=True).returncode:
        assert not os.environ.get("CI"), "no mount namespaces"
        pytest.skip("no mount namespaces here")
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    (made / "tree").mkdir()
    for name, line in (
        ("passwd", f"audisp-pyaudit:x:{UID}:{GID}::/nonexistent:/usr/sbin/nologin"),
        ("group", f"audisp-pyaudit:x:{GID}:\nsiem:x:{SIEM}:"),
    ):
        (made / name).write_text(Path("/etc", name).read_text().rstrip("\n") + f"\n{line}\n")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts plugins there."""
    plugins: list[Plugin] = []

    def start(config: str, first: str = "") -> Plugin:
        tree = folder / "tree"
        inside = [
            tree / Path(each).relative_to(ROOT) if ROOT in Path(each).parents else each for each in sys.path if each
        ]
        code = _RUN.format(paths=[str(tree / "src"), *map(str, inside)], first=first and f"\n{first}")
        head = f'[host]\nname = "web-1"\nid = "{"0" * 32}"\n[state]\npath = "{folder}/state/engine.state"\n'
        plugins.append(
            Plugin(
                folder,
                head + config,
                before=["unshare", "-m", "sh", "-c", _NAMESPACE, "sh", str(folder), str(ROOT)],
                command=["/usr/bin/python3" if sys.prefix != sys.base_prefix else sys.executable, "-I", "-c", code],
            )
        )
        return plugins[-1]

    yield start
    for plugin in plugins:
        plugin.kill()


def threads(plugin: Plugin) -> list[dict[str, str]]:
    """What the kernel says of every thread."""
    found = []
    for task in Path(f"/proc/{plugin.process.pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found.append({name: value.strip() for name, _, value in (line.partition(":") for line in lines)})
    return found


def test_no_thread_keeps_a_right(start: Start, folder: Path, make_records: Records) -> None:
    """Whoever finds a hole in the plugin is a user without rights, in a process that can gain none."""
    plugin = start(
        f'[queue]\npath = "{folder}/spool"\n'
        f'[sinks.topic]\ntype = "kafka"\nbootstrap = "127.0.0.1:1"\n'
        f'[sinks.events]\ntype = "unix"\npath = "{folder}/run/s"\nmode = "0660"\ngroup = "siem"\n'
    )
    plugin.wait_for("reading")
    assert "user=audisp-pyaudit" in plugin.log.read_text()
    plugin.stdin.sendall(make_records(1, 10))
    plugin.until((folder / "run" / "s").exists, "the socket is there")
    found = threads(plugin)
    assert len(found) > 3
    for each in found:
        assert each["Uid"].split() == [str(UID)] * 4
        assert each["Gid"].split() == [str(GID)] * 4
        assert each["Groups"].split() == [str(SIEM)]
        assert [each[kind] for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb")] == ["0" * 16] * 4
        assert (each["NoNewPrivs"], each["Seccomp"]) == ("1", "2")
    about = (folder / "run" / "s").stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (UID, SIEM, 0o660)
    assert {(folder / name).stat().st_uid for name in ("state", "spool", "run")} == {UID}
    plugin.end()
    assert plugin.sink("topic")["queued"] == 10
    # What belongs to root can no longer be replaced by the plugin: a configuration, say.
    assert (folder / "state" / "engine.state").stat().st_uid == UID


def test_one_thread_keeps_one_right_where_the_kernel_is_asked(
    start: Start, folder: Path, make_records: Records
) -> None:
    """With `kernel = true` the thread that asks may ask, and do nothing else; all others have no right at all.

    Metrics are written and served by a user who may do that, from within the sandbox.
    """
    (folder / "node").mkdir()
    os.chown(folder / "node", UID, GID)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    plugin = start(
        f'[metrics]\nstatus = "{folder}/status/status.json"\ntextfile = "{folder}/node/a.prom"\n'
        f'listen = "127.0.0.1:{port}"\nkernel = true\n'
        f'[sinks.events]\ntype = "file"\npath = "{folder}/log/f"\n',
        _FAKE_KERNEL,
    )
    plugin.until((folder / "node" / "a.prom").exists, "metrics are written")
    plugin.until(lambda: status_of(plugin)["kernel"], "the kernel answers")
    plugin.stdin.sendall(make_records(1, 10))
    found = threads(plugin)
    capable = [each for each in found if int(each["CapPrm"], 16) or int(each["CapEff"], 16)]
    assert [(each["CapPrm"], each["CapEff"]) for each in capable] == [(f"{1 << 30:016x}",) * 2]
    for each in found:
        assert each["Uid"].split() == [str(UID)] * 4
        assert (each["NoNewPrivs"], each["Seccomp"]) == ("1", "2")
    assert status_of(plugin)["kernel"]["lost"] == 5
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        assert b"audisp_pyaudit_kernel_backlog 7.0" in answer.read().splitlines()
    plugin.end()
    assert (folder / "status" / "status.json").stat().st_uid == UID


def test_a_reload_without_root(start: Start, folder: Path, make_records: Records) -> None:
    """A reload works for a user who may read the configuration, and says so for one who may not."""
    sink = '[sinks.{0}]\ntype = "file"\npath = "{1}/log/{0}"\n'
    plugin = start(sink.format("one", folder))
    plugin.wait_for("reading")
    plugin.config.write_text(plugin.config.read_text() + sink.format("two", folder))
    plugin.config.chmod(0o600)
    plugin.process.send_signal(signal.SIGHUP)
    plugin.wait_for("going on with the one before")
    assert "cannot be read: Permission denied" in plugin.log.read_text()
    os.chown(plugin.config, 0, GID)
    plugin.config.chmod(0o640)
    plugin.process.send_signal(signal.SIGHUP)
    plugin.wait_for("configuration reloaded")
    plugin.stdin.sendall(make_records(1, 10))
    plugin.end()
    assert (folder / "log" / "two").read_bytes().count(b"\n") == 10


def test_folders_of_roots_are_told(start: Start, folder: Path, make_records: Records) -> None:
    """Where the plugin ran as root before, the log says which folder has to be given away, and how."""
    (folder / "spool").mkdir(mode=0o700)
    plugin = start(f'[queue]\npath = "{folder}/spool"\n[sinks.s]\ntype = "subscriber"\npath = "{folder}/run/s"\n')
    plugin.wait_for("folder cannot be written")
    assert f"chown -R audisp-pyaudit: {folder}/spool" in plugin.log.read_text()
    with socket.socket(socket.AF_UNIX) as reader:
        plugin.stdin.sendall(make_records(1, 1))
        plugin.until((folder / "run" / "s").exists, "the socket is there")
        reader.settimeout(20)
        os.chown(folder / "spool", UID, GID)
        reader.connect(str(folder / "run" / "s"))
        assert b'"sequence":1' in reader.recv(1 << 16)
        reader.sendall(b"1\n")
        plugin.wait_for("spool works again")
    plugin.end()


def test_nobody_else_may_be(start: Start, folder: Path, make_records: Records) -> None:
    """`user = ""` keeps root, for whom that is right: it is said in the log, and nothing else changes."""
    config: Any = f'[privileges]\nuser = ""\nsandbox = false\n[sinks.f]\ntype = "file"\npath = "{folder}/f"\n'
    plugin = start(config)
    plugin.wait_for("reading")
    told = plugin.log.read_text()
    assert 'user="uid 0" landlock=no seccomp=no' in told
    assert {each["NoNewPrivs"] for each in threads(plugin)} == {"0"}
    plugin.stdin.sendall(make_records(1, 2))
    plugin.end()
    assert (folder / "f").stat().st_uid == 0
