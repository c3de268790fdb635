"""How the process begins and ends, around the worst of what auditd and systemd do. Every ledger closes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

Start = Callable[..., Any]
Records = Callable[..., bytes]

# Neither a network, not even loopback, nor names, nor a log, as before sysinit.target.
_ALONE = """
mount -t tmpfs none /run
mount --bind /dev/null /etc/resolv.conf
exec "$@"
"""


def reader(path: Path) -> str:
    """A subscriber that acknowledges, and a spool."""
    return (
        f'[queue]\npath = "{path}/spool"\ncommit_ms = 5\n[timing]\ngrace_ms = 5\nidle_ms = 20\n'
        f'[sinks.siem]\ntype = "subscriber"\npath = "{path}/siem.sock"\n'
    )


def everything(subscribe: Callable[[Path], Any], path: Path, last: int) -> list[dict[str, Any]]:
    """The events up to one with this serial, acknowledged."""
    found: list[dict[str, Any]] = []
    with subscribe(path / "siem.sock") as client:
        stream = client.makefile("rb")
        while not found or found[-1]["event"].get("sequence") != last:
            found.append(json.loads(stream.readline()))
        client.sendall(b"%d\n" % len(found))
        time.sleep(0.3)
    return found


def test_it_starts_before_everything_else(start: Start, tmp_path: Path, make_records: Records) -> None:
    """Auditd is started early at boot: without network, names, log or broker every event is read and kept."""
    unshare = shutil.which("unshare")
    command = [unshare or "", "-m", "-n"]
    if unshare is None or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        assert not os.environ.get("CI"), "no namespaces"
        pytest.skip("no namespaces here")
    plugin = start(
        f'[queue]\npath = "{tmp_path}/spool"\n'
        '[sinks.topic]\ntype = "kafka"\nbootstrap = "broker.example:9092"\n'
        '[sinks.collector]\ntype = "forward"\naddress = "collector.example:24224"\n',
        before=[*command, "sh", "-c", _ALONE, "sh"],
    )
    plugin.stdin.sendall(make_records(1, 100))
    plugin.wait_for("sink cannot deliver")
    plugin.stdin.sendall(make_records(101, 200))
    time.sleep(0.3)
    plugin.end()
    for name in ("topic", "collector"):
        assert (plugin.sink(name)["queued"], plugin.sink(name)["lost"]) == (200, 0)


def test_killed_right_after_the_end(
    start: Start, subscribe: Callable[[Path], Any], tmp_path: Path, make_records: Records
) -> None:
    """Auditd 4.2 closes the input, systemd kills us 30 ms later: nothing is lost without being told."""
    in_time = 0
    for turn in range(8):
        plugin = start(reader(tmp_path), restarted=turn > 0)
        plugin.wait_for("reading")
        plugin.stdin.sendall(make_records(turn * 100 + 1, turn * 100 + 100))
        plugin.stdin.close()
        time.sleep(0.03)
        plugin.process.kill()
        in_time += plugin.process.wait() == 0
    plugin = start(reader(tmp_path), restarted=True)
    plugin.stdin.sendall(make_records(801, 801))
    found = everything(subscribe, tmp_path, 801)
    plugin.end()
    serials = {each["event"]["sequence"] for each in found if each["event"]["kind"] == "event"}
    told = [each for each in found if each["event"]["action"] == "unclean-stop"]
    killed = 8 - in_time
    assert in_time > 0
    assert len(told) <= killed
    assert serials == set(range(1, 802)) or told


def test_term_while_auditd_still_writes(
    start: Start, subscribe: Callable[[Path], Any], tmp_path: Path, make_records: Records
) -> None:
    """Systemd sends SIGTERM to all at once: auditd's last record, DAEMON_END, is published nevertheless."""
    plugin = start(reader(tmp_path))
    plugin.wait_for("reading")
    plugin.stdin.sendall(make_records(1, 10))
    plugin.process.send_signal(signal.SIGTERM)
    plugin.process.send_signal(signal.SIGCONT)
    time.sleep(0.05)
    plugin.stdin.sendall(
        b"type=DAEMON_END msg=audit(1700000000.900:4711): op=terminate auid=0 uid=0 ses=1 pid=1 subj=x res=success\n"
    )
    plugin.process.send_signal(signal.SIGTERM)
    plugin.end()
    plugin = start(reader(tmp_path), restarted=True)
    found = everything(subscribe, tmp_path, 4711)
    plugin.end()
    assert [each["event"]["sequence"] for each in found] == [*range(1, 11), 4711]
    assert found[-1]["event"]["action"] == "shutdown-audit"
