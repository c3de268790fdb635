"""Status and metrics of the whole process: they say what its ledger says, while it runs and afterwards."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.status import Status
from tests.kafka.mock import MockBroker
from tests.plugin import TIMEOUT, Plugin
from tests.status import agrees_with_ledger, are_of_the_ledger, number, numbers_in, status_of

VECTORS = Path(__file__).parents[1] / "vectors"

Start = Callable[..., Any]
Records = Callable[..., bytes]


def scrape(place: Path | int) -> str:
    """Ask as Prometheus does."""
    connection = http.client.HTTPConnection("127.0.0.1", place if isinstance(place, int) else 80, timeout=TIMEOUT)
    if isinstance(place, Path):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(TIMEOUT)
        connection.sock.connect(str(place))
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200, body
    return body


def status_command(plugin: Plugin, *words: str) -> tuple[int, str]:
    """`audisp-pyaudit status`: exit code and output."""
    command = [sys.executable, "-I", "-m", "audisp_pyaudit", "status", *words, str(plugin.status_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def observed(folder: Path, listen: str) -> str:
    """[metrics] with everything that needs no capability; the status is where the test looks for it."""
    return f'[metrics]\nstatus = "{folder}/status.json"\ntextfile = "{folder}/a.prom"\nlisten = "{listen}"\n'


def sinks(folder: Path, bootstrap: str) -> str:
    """A sink of each way of delivery, one of which nobody takes anything from."""
    return (
        f'[queue]\npath = "{folder}/spool"\n'
        f'[sinks.archive]\ntype = "file"\npath = "{folder}/out.json"\n'
        f'[sinks.events]\ntype = "unix"\npath = "{folder}/events.sock"\n'
        f'[sinks.siem]\ntype = "subscriber"\npath = "{folder}/siem.sock"\n'
        f'[sinks.topic]\ntype = "kafka"\nbootstrap = "{bootstrap}"\n'
    )


def has_all(status: Status) -> bool:
    """Whether every sink was given the 60 events of the log, and those that somebody takes them from are done."""
    sinks = status["ledger"]["sinks"]
    done = (sinks[name]["delivered"] for name in ("archive", "topic"))
    return {*done, *(sink["offered"] for sink in sinks.values())} == {60}


@pytest.mark.parametrize("over", ["unix", "tcp"])
def test_they_agree_with_the_ledger(start: Start, tmp_path: Path, over: str) -> None:
    """Status, file and endpoint say the same while it runs; at the end, what the ledger says that is printed."""
    broker = MockBroker()
    broker.make_topic("audit")
    place = tmp_path / "m.sock" if over == "unix" else free_port()
    listen = f"unix://{place}" if over == "unix" else f"127.0.0.1:{place}"
    plugin = start(observed(tmp_path, listen) + sinks(tmp_path, broker.bootstrap))
    plugin.status_file = tmp_path / "status.json"
    plugin.stdin.sendall((VECTORS / "demo.log").read_bytes())
    assert len(broker.messages("audit", 60)) == 60
    plugin.until(lambda: has_all(status_of(plugin)), "the status has it all")
    plugin.until(lambda: over == "tcp" or place.exists(), "it listens")  # type: ignore[union-attr]
    status = status_of(plugin)
    assert (status["ledger"]["engine"]["records_in"], status["pid"]) == (343, plugin.process.pid)
    assert status["sinks"]["topic"]["p50_ms"] is not None
    are_of_the_ledger(numbers_in(scrape(place)), status["ledger"])  # nothing has come since
    code, told = status_command(plugin, "--json")
    assert json.loads(told)["ledger"] == status["ledger"]
    assert code in {0, 1}  # whether the subscriber that is not there is a trouble already
    plugin.end()
    agrees_with_ledger(plugin)
    final = status_of(plugin)["ledger"]
    are_of_the_ledger(numbers_in((tmp_path / "a.prom").read_text()), final)
    assert number(numbers_in((tmp_path / "a.prom").read_text()), "running") == 0
    assert final["sinks"]["siem"]["queued"] == plugin.sink("siem")["queued"] == 60
    assert status_command(plugin)[0] == 3


def test_a_plugin_that_was_killed(start: Start, tmp_path: Path, make_records: Records) -> None:
    """Who is called at night sees that it is gone, since when, and what it knew last."""
    plugin = start(f'[sinks.archive]\ntype = "file"\npath = "{tmp_path}/out.json"\n')
    plugin.stdin.sendall(make_records(1, 500))
    plugin.until(lambda: status_of(plugin)["ledger"]["sinks"]["archive"]["delivered"] == 500, "the status has it all")
    code, told = status_command(plugin)
    assert (code, told.partition(":")[0]) == (0, "WELL")
    plugin.process.send_signal(signal.SIGKILL)
    plugin.process.wait(TIMEOUT)
    code, told = status_command(plugin)
    assert code == 3
    assert told.startswith("NOT RUNNING: its process is gone since ")
    assert "500 delivered, nothing lost" in told
    assert json.loads(status_command(plugin, "--json")[1])["condition"] == "gone"


def test_a_plugin_that_is_stuck(start: Start, tmp_path: Path) -> None:
    """A process that is there and does nothing is told from one that works."""
    plugin = start(f'[sinks.archive]\ntype = "file"\npath = "{tmp_path}/out.json"\n')
    plugin.until(plugin.status_file.exists, "a status")
    plugin.process.send_signal(signal.SIGSTOP)
    try:
        old = time.time() - 60
        status = status_of(plugin) | {"written": old}
        plugin.status_file.write_text(json.dumps(status))
        code, told = status_command(plugin)
        assert code == 1
        assert told.startswith("TROUBLE: it has said nothing for 1 min, though its process is there")
    finally:
        plugin.process.send_signal(signal.SIGCONT)
    plugin.end()


def test_a_broker_that_is_away(start: Start, tmp_path: Path, make_records: Records) -> None:
    """The sink, the reason and what waits are named."""
    plugin = start(
        f'[queue]\npath = "{tmp_path}/spool"\n[sinks.topic]\ntype = "kafka"\nbootstrap = "127.0.0.1:{free_port()}"\n'
    )
    plugin.stdin.sendall(make_records(1, 1234))
    plugin.until(lambda: status_of(plugin)["sinks"].get("topic", {}).get("trouble"), "the sink says why")
    plugin.until(lambda: status_of(plugin)["ledger"]["sinks"]["topic"]["queued"] == 1234, "all of it waits")
    code, told = status_command(plugin)
    assert code == 1
    assert told.startswith("TROUBLE: sink topic cannot deliver (running for ")
    assert "sink topic (kafka): CANNOT DELIVER for " in told
    assert "Connection refused" in told
    assert "0 delivered, 1,234 events wait (the oldest of 2023-11-14 " in told
    plugin.end()


def test_subscribers_that_take_nothing(
    start: Start, subscribe: Callable[[Path], socket.socket], tmp_path: Path, make_records: Records
) -> None:
    """One that acknowledges nothing, and one that does not read, are troubles though neither says a word."""
    plugin = start(
        f'[queue]\npath = "{tmp_path}/spool"\n'
        f'[sinks.siem]\ntype = "subscriber"\npath = "{tmp_path}/siem.sock"\n'
        f'[sinks.events]\ntype = "unix"\npath = "{tmp_path}/events.sock"\n'
    )
    subscribe(tmp_path / "siem.sock")
    subscribe(tmp_path / "events.sock")
    plugin.stdin.sendall(make_records(1, 3000))
    began = time.monotonic()

    def told() -> str:
        time.sleep(1)
        return status_command(plugin)[1]

    plugin.until(lambda: "TROUBLE: sink siem cannot deliver; sink events cannot deliver" in told(), "both are told")
    assert time.monotonic() - began > 9, "ten seconds are given to them"
    text = told()
    assert text.count("CANNOT DELIVER for 1") == 2
    assert f"{tmp_path}/siem.sock: user {os.getuid()}" in text
    plugin.end()


def test_a_status_that_cannot_be_written(start: Start, tmp_path: Path, make_records: Records) -> None:
    """It costs the status: events are delivered, and the log says why there is none."""
    (tmp_path / "file").touch()
    plugin = start(
        f'[metrics]\nstatus = "{tmp_path}/file/status.json"\ntextfile = "{tmp_path}/none/a.prom"\n'
        f'listen = "unix://{tmp_path}/file/m.sock"\n'
        f'[sinks.archive]\ntype = "file"\npath = "{tmp_path}/out.json"\n'
    )
    plugin.wait_for("status not written")
    plugin.wait_for("metrics cannot be had")
    plugin.stdin.sendall(make_records(1, 100))
    plugin.end()
    assert plugin.sink("archive")["delivered"] == 100
    assert plugin.log.read_text().count("status not written") == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_prometheus_is_loaded_for_those_who_want_it(start: Start, tmp_path: Path, *, wanted: bool) -> None:
    """Without textfile and endpoint the plugin does without the library, and its memory."""
    said = tmp_path / "said"
    code = (
        "import os, pathlib, sys\n"
        "def end(code, ended=os._exit):\n"
        f"    pathlib.Path({str(said)!r}).write_text(str('prometheus_client' in sys.modules))\n"
        "    ended(code)\n"
        "os._exit = end\n"
        "from audisp_pyaudit.__main__ import main\n"
        "main()\n"
    )
    textfile = str(tmp_path / "a.prom") if wanted else ""
    plugin = start(
        f'[metrics]\nstatus = ""\ntextfile = "{textfile}"\n[sinks.archive]\ntype = "file"\npath = "{tmp_path}/out"\n',
        command=(sys.executable, "-I", "-c", code),
    )
    plugin.wait_for("reading")
    if wanted:
        plugin.until((tmp_path / "a.prom").exists, "the file")
    plugin.end()
    assert said.read_text() == str(wanted)


def test_a_reload_moves_it(start: Start, tmp_path: Path, make_records: Records) -> None:
    """SIGHUP: metrics and status are where the configuration says now, their counters go on, nothing is left.

    The kernel is asked from the start or not at all: its capability is gone by then.
    """
    asked = tmp_path / "asked"
    code = (
        "import pathlib, audisp_pyaudit.kernel_audit as it\n"
        f"it.audit_socket = lambda: pathlib.Path({str(asked)!r}).touch() or 1 // 0\n"
        "from audisp_pyaudit.__main__ import main\nmain()\n"
    )
    sink = f'[sinks.archive]\ntype = "file"\npath = "{tmp_path}/out"\n'
    one, two = tmp_path / "one.sock", tmp_path / "two.sock"
    plugin = start(
        f'[metrics]\nstatus = "{tmp_path}/one.json"\nlisten = "unix://{one}"\n{sink}',
        command=(sys.executable, "-I", "-c", code),
    )
    plugin.status_file = tmp_path / "one.json"
    plugin.stdin.sendall(make_records(1, 100))
    plugin.until(lambda: status_of(plugin)["ledger"]["sinks"]["archive"]["delivered"] == 100, "the status has it all")
    plugin.until(one.exists, "it listens")
    plugin.status_file = tmp_path / "two.json"
    told = f'[metrics]\nstatus = "{plugin.status_file}"\nlisten = "unix://{two}"\nkernel = true\n'
    told += f'textfile = "{tmp_path}/a.prom"\n'
    head = plugin.config.read_text().partition("[metrics]")[0]
    plugin.configure(head + told + sink.replace("/out", "/other"))
    plugin.process.send_signal(signal.SIGHUP)
    plugin.wait_for("configuration reloaded")
    plugin.wait_for("key=metrics.kernel")
    plugin.stdin.sendall(make_records(101, 150))
    plugin.until(lambda: status_of(plugin)["ledger"]["sinks"]["archive"]["delivered"] == 150, "the status has it all")
    plugin.until((tmp_path / "a.prom").exists, "the file")
    plugin.until(lambda: two.exists() and not one.exists(), "it listens elsewhere")
    assert not (tmp_path / "one.json").exists()
    are_of_the_ledger(numbers_in(scrape(two)), status_of(plugin)["ledger"])
    plugin.end()
    assert not asked.exists()
    assert not two.exists()
