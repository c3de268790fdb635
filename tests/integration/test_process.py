"""The whole process, with the real engine, started as auditd starts it. Every test asserts that the ledger closes."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audisp_pyaudit import assembly
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.packing import unpack
from audisp_pyaudit.plugin import Arguments
from audisp_pyaudit.signals import WakeUp

VECTORS = Path(__file__).parents[1] / "vectors"
TIMEOUT = 30

Start = Callable[..., Any]
Subscribe = Callable[[Path], socket.socket]
Records = Callable[..., bytes]


def file_sink(path: Path, form: str = "json") -> str:
    """The configuration of a file sink."""
    return f'[sinks.file]\ntype = "file"\npath = "{path}"\nformat = "{form}"\n'


def unix_sink(path: Path, more: str = "") -> str:
    """The configuration of a socket."""
    return f'[sinks.events]\ntype = "unix"\npath = "{path}"\n{more}\n'


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read_all(client: socket.socket) -> bytes:
    """Everything until the plugin hangs up."""
    got = b""
    while chunk := client.recv(1 << 20):
        got += chunk
    return got


def test_a_real_log_reaches_every_sink(start: Start, subscribe: Subscribe, tmp_path: Path) -> None:
    """What auditd wrote is the same in a file and on a socket in msgpack, and `decode` shows the same events."""
    plugin = start(file_sink(tmp_path / "out.json") + unix_sink(tmp_path / "s", 'format = "msgpack"'))
    client = subscribe(tmp_path / "s")
    logs = [path.read_bytes().removesuffix(b"\n") + b"\n" for path in sorted(VECTORS.glob("*.log"))]
    content = b"".join(logs)
    (tmp_path / "audit.log").write_bytes(content)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read_all(client)))
    reader.start()
    plugin.stdin.sendall(content)
    ledger = plugin.end()
    reader.join()
    found = documents(tmp_path / "out.json")
    assert ledger["in"] == sum(bool(line.strip(b"\0")) for line in content.split(b"\n"))
    assert len(found) == plugin.sink("file")["delivered"] == plugin.sink("events")["delivered"] > 100
    assert plugin.sink("file")["lost"] == plugin.sink("events")["lost"] == 0
    stream, packed = got[0], []
    while stream:
        length = struct.unpack_from(">I", stream)[0]
        packed.append(unpack(stream[4 : 4 + length]))
        stream = stream[4 + length :]
    assert packed == found
    command = [sys.executable, "-m", "audisp_pyaudit", "decode", str(tmp_path / "audit.log")]
    decoded = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    assert {_serial(json.loads(line)) for line in decoded} == {_serial(each) for each in found}


def _serial(document: dict[str, Any]) -> tuple[str, int | None]:
    """What an event is known by, whatever its host is called."""
    return document["@timestamp"], document["event"].get("sequence")


def test_an_event_arrives_while_the_plugin_runs(
    start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records
) -> None:
    """A consumer sees an event when it happens, not when the next one comes."""
    plugin = start(unix_sink(tmp_path / "s") + "[timing]\nidle_ms = 50\ngrace_ms = 10\n")
    client = subscribe(tmp_path / "s")
    begin = time.monotonic()
    plugin.stdin.sendall(make_records(1, 1))
    assert b'"sequence":1' in client.recv(1 << 16)
    assert time.monotonic() - begin < 5
    plugin.end()


@pytest.mark.parametrize("restarted", [False, True])
def test_term_means_read_on(start: Start, tmp_path: Path, make_records: Records, *, restarted: bool) -> None:
    """A stop sends SIGTERM before the last records, also to a plugin that was started with TERM blocked."""
    plugin = start(file_sink(tmp_path / "out.json"), restarted=restarted)
    plugin.wait_for("reading")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
        plugin.process.send_signal(number)
    plugin.wait_for("SIGTERM")
    plugin.wait_for("configuration unchanged")
    plugin.stdin.sendall(make_records(1, 3))
    assert plugin.end()["published"] == 3
    assert len(documents(tmp_path / "out.json")) == 3


def test_the_end_comes_quickly(start: Start, tmp_path: Path, make_records: Records) -> None:
    """At a reload auditd waits for us: after the end of the input the process is gone at once."""
    plugin = start(file_sink(tmp_path / "out.json"))
    plugin.wait_for("reading")
    plugin.stdin.sendall(make_records(1, 100))
    time.sleep(0.3)
    begin = time.monotonic()
    plugin.end()
    assert time.monotonic() - begin < 2


def test_no_input_at_all(start: Start, tmp_path: Path) -> None:
    """An auditd that dies at once is an empty log."""
    plugin = start(file_sink(tmp_path / "out.json"))
    assert plugin.end()["in"] == 0
    assert (tmp_path / "out.json").read_bytes() == b""


def test_a_flood_is_read_and_accounted_for(start: Start, tmp_path: Path, make_records: Records) -> None:
    """However fast auditd writes, every record is published or counted, and auditd never waits for long."""
    plugin = start(file_sink(tmp_path / "out.json") + "[limits]\nintake_bytes = 1048576\n")
    count = 100_000
    content = make_records(1, count)
    begin = time.monotonic()
    plugin.stdin.sendall(content)
    assert time.monotonic() - begin < TIMEOUT
    ledger = plugin.end()
    assert ledger["read"] == count
    assert ledger["engine"] + ledger["intake_full"] == count
    told = [each for each in documents(tmp_path / "out.json") if each["event"].get("action") == "records-dropped"]
    assert sum(each["auditd"]["lost"]["records"] for each in told) == ledger["intake_full"]


def test_a_slow_subscriber_loses_its_own_only(
    start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records
) -> None:
    """A consumer that stops reading misses events, is told how many, and disturbs no other sink."""
    plugin = start(unix_sink(tmp_path / "s", "buffer_bytes = 65536") + file_sink(tmp_path / "out.json"))
    client = subscribe(tmp_path / "s")
    count = 5000
    plugin.stdin.sendall(make_records(1, count))
    plugin.until(lambda: (tmp_path / "out.json").read_bytes().count(b"\n") == count, "all in the file")
    stream = b""
    while sum(accounted(stream)) < count:
        stream += client.recv(1 << 20)
    plugin.stdin.sendall(make_records(count + 1, count + 1))
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read_all(client)))
    reader.start()
    plugin.end()
    reader.join()
    stream += got[0]
    arrived, missing = accounted(stream)
    assert missing > 0
    assert arrived + missing == count + 1
    assert json.loads(stream.splitlines()[-1])["event"]["sequence"] == count + 1
    assert plugin.sink("events")["slow"] == missing
    assert plugin.sink("file")["delivered"] == count + 1


def accounted(stream: bytes) -> tuple[int, int]:
    """How many events of a stream arrived, and how many its notices say are missing."""
    found = [json.loads(line) for line in stream.splitlines(keepends=True) if line.endswith(b"\n")]
    missing = [each["auditd"]["lost"]["frames"] for each in found if each["event"]["action"] == "subscriber-lagged"]
    return len(found) - len(missing), sum(missing)


def test_a_full_disk_ends_nothing(start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records) -> None:
    """A sink that cannot write counts what it loses, says so, and leaves the others alone."""
    plugin = start(file_sink(Path("/dev/full")) + unix_sink(tmp_path / "s"))
    client = subscribe(tmp_path / "s")
    plugin.stdin.sendall(make_records(1, 10))
    plugin.wait_for("No space left on device")
    plugin.end()
    assert plugin.sink("file")["ENOSPC"] == 10
    assert read_all(client).count(b"\n") == 10


def test_gaps_across_a_restart_are_seen(start: Start, tmp_path: Path, make_records: Records) -> None:
    """Reloads restart us: records lost meanwhile are a gap in the stream."""
    for first, last in ((1, 5), (9, 12)):
        plugin = start(file_sink(tmp_path / "out.json"))
        plugin.stdin.sendall(make_records(first, last))
        plugin.end()
    gaps = [each["auditd"]["gap"] for each in documents(tmp_path / "out.json") if "gap" in each["auditd"]]
    assert [(gap["first"], gap["last"], gap["count"]) for gap in gaps] == [(6, 8, 3)]
    assert (tmp_path / "engine.state").stat().st_mode & 0o777 == 0o600


def test_a_damaged_state_is_no_obstacle(start: Start, tmp_path: Path, make_records: Records) -> None:
    """A state file that is rubbish costs its memory."""
    (tmp_path / "engine.state").write_bytes(b"rubbish")
    plugin = start(file_sink(tmp_path / "out.json"))
    plugin.stdin.sendall(make_records(1, 5))
    assert plugin.end()["published"] == 5
    assert "state is of no use" in plugin.log.read_text()


def test_old_and_new_process_overlap(start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records) -> None:
    """At a reload the new plugin has the socket while the old one still ends; the name stays the new one's."""
    old = start(unix_sink(tmp_path / "s"))
    client_of_old = subscribe(tmp_path / "s")
    new = start(unix_sink(tmp_path / "s"))
    new.wait_for("reading")
    old.stdin.sendall(make_records(1, 1))
    old.end()
    assert read_all(client_of_old).count(b"\n") == 1
    client = subscribe(tmp_path / "s")
    new.stdin.sendall(make_records(2, 2))
    new.end()
    assert read_all(client).count(b"\n") >= 1
    assert not (tmp_path / "s").exists()


def test_tail_is_a_consumer(start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records) -> None:
    """`audisp-pyaudit tail` shows events of a running plugin as text."""
    plugin = start(unix_sink(tmp_path / "s"))
    subscribe(tmp_path / "s").close()
    command = [sys.executable, "-m", "audisp_pyaudit", "tail", str(tmp_path / "s"), "--format", "text", "--count", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        sent = 0
        while tail.poll() is None:
            sent += 1
            plugin.stdin.sendall(make_records(sent, sent))
            time.sleep(0.05)
        assert tail.stdout is not None
        shown = tail.stdout.read().splitlines()
    assert tail.returncode == 0
    assert len(shown) == 2
    assert "logged in as lab on ssh (/usr/sbin/sshd[5])" in shown[0]
    assert plugin.end()["in"] == sent


def test_rules_filter_and_route(start: Start, tmp_path: Path, make_records: Records) -> None:
    """What a rule drops is counted; what it routes is in that sink only."""
    plugin = start(
        file_sink(tmp_path / "out.json")
        + f'[sinks.other]\ntype = "file"\npath = "{tmp_path}/other.json"\n'
        + '[[rules]]\nname = "d"\ndrop = true\nmatch = { action = "ended-session" }\n'
        + '[[rules]]\nname = "r"\nroute = ["other"]\nmatch = { record_type = "user_login" }\n'
    )
    plugin.stdin.sendall(make_records(1, 5))
    plugin.stdin.sendall(make_records(6, 8).replace(b"USER_LOGIN", b"USER_END"))
    plugin.stdin.sendall(make_records(9, 9).replace(b"USER_LOGIN", b"USER_AUTH"))
    ledger = plugin.end()
    assert (ledger["published"], plugin.sink("file")["filtered"], plugin.sink("file")["delivered"]) == (6, 5, 1)
    assert plugin.sink("other")["delivered"] == 6
    assert b"records in 9 = published 6 + held 0 + end_of_event 0 + filtered 3" in plugin.log.read_bytes()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000))
def test_any_bytes(start: Start, tmp_path: Path, garbage: bytes) -> None:
    """Whatever comes in, the process ends well and accounts for every line."""
    plugin = start(file_sink(tmp_path / "out.json") + "[sinks.copy]\ntype='file'\npath='/dev/null'\n")
    plugin.stdin.sendall(garbage)
    plugin.end()


def test_a_name_service_that_hangs(tmp_path: Path) -> None:
    """With the real engine: names that never come cost 20 ms and the names; every event is published."""
    config = tmp_path / "a.toml"
    config.write_text(f'[state]\npath = ""\n[metrics]\nstatus = ""\n{file_sink(tmp_path / "out.json")}')
    reader, writer = os.pipe()
    wake = WakeUp()
    intake = Intake(reader, wake)
    release = threading.Event()
    pipeline, _, _ = assembly.build(
        Arguments(str(config)), intake, start_ms=1, lookup=lambda _kind, _key: str(release.wait(60))
    )
    threads = [threading.Thread(target=intake.run), threading.Thread(target=pipeline.run)]
    for thread in threads:
        thread.start()
    for serial in range(1, 50):
        os.write(writer, b"type=USER_LOGIN msg=audit(1700000000.1:%d): pid=1 uid=%d\n" % (serial, serial))
    deadline = time.monotonic() + 20
    while (tmp_path / "out.json").read_bytes().count(b"\n") < 49:
        assert time.monotonic() < deadline, "events wait for names"
        time.sleep(0.01)
    os.close(writer)
    for thread in threads:
        thread.join(20)
    begin = time.monotonic()
    ledger = pipeline.finish(name_wait=0.02, drain=0)
    assert time.monotonic() - begin < 2
    assert ledger.closed
    assert ledger.engine["records_published"] == 49
    assert ledger.engine["names_timed_out"] > 0
    release.set()
    os.close(reader)
    wake.close()
