"""SIGHUP: the whole process goes over to another configuration. Every test asserts that the ledger closes."""

import json
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.kafka.mock import MockBroker

Start = Callable[..., Any]
Subscribe = Callable[[Path], socket.socket]
Records = Callable[..., bytes]


@pytest.fixture(scope="module")
def broker() -> MockBroker:
    """A broker on loopback."""
    return MockBroker()


def head(folder: Path) -> str:
    """What every configuration here begins with."""
    return (
        f'[host]\nname = "web-1"\nid = "{"0" * 32}"\n[state]\npath = "{folder}/engine.state"\n'
        f'[queue]\npath = "{folder}/spool"\ncommit_ms = 5\n[timing]\ngrace_ms = 10\nidle_ms = 50\n'
    )


def file_sink(name: str, path: Path, form: str = "json") -> str:
    """A file."""
    return f'[sinks.{name}]\ntype = "file"\npath = "{path}"\nformat = "{form}"\n'


def topic(bootstrap: str, name: str, more: str = "") -> str:
    """A topic of Kafka."""
    return f'[sinks.topic]\ntype = "kafka"\nbootstrap = "{bootstrap}"\ntopic = "{name}"\n{more}'


def reload(plugin: Any, text: str, expected: str = "configuration reloaded") -> None:  # noqa: ANN401  # a `Plugin`
    """Change the file and send SIGHUP; the plugin says what it made of it."""
    plugin.wait_for("reading")
    plugin.configure(text)
    told = plugin.log.read_text().count(expected)
    plugin.process.send_signal(signal.SIGHUP)
    plugin.until(lambda: plugin.log.read_text().count(expected) > told, expected)


def serials(path: Path) -> list[int]:
    """The serials of a file of JSON lines."""
    found = (json.loads(line) for line in path.read_bytes().splitlines()) if path.exists() else ()
    return [each["event"]["sequence"] for each in found if "sequence" in each["event"]]


def arrived(path: Path, serial: int) -> Callable[[], bool]:
    """Whether an event is in a file."""
    return lambda: serial in serials(path)


def not_any_more(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Whether something is not so."""
    return lambda: not condition()


def of_topic(broker: MockBroker, name: str, count: int) -> list[int]:
    """The serials of a topic."""
    found = [json.loads(each.value())["event"] for each in broker.messages(name, count)]
    return [each["sequence"] for each in found if "sequence" in each]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_sink_that_comes_and_one_that_goes(
    start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records, *, restarted: bool
) -> None:
    """An administrator adds an archive without a gap for those who listen, and takes it away again."""
    socket_sink = f'[sinks.events]\ntype = "unix"\npath = "{tmp_path}/s"\n'
    base = head(tmp_path) + socket_sink
    plugin = start("", restarted=restarted, whole=base)
    client = subscribe(tmp_path / "s")
    plugin.stdin.sendall(make_records(1, 100))
    stream = client.makefile("rb")
    read = [json.loads(stream.readline())["event"]["sequence"] for _ in range(100)]
    reload(plugin, base + file_sink("archive", tmp_path / "a"))
    plugin.stdin.sendall(make_records(101, 200))
    plugin.until(arrived(tmp_path / "a", 200), "the archive has it")
    reload(plugin, base)
    plugin.stdin.sendall(make_records(201, 300))
    read += [json.loads(stream.readline())["event"]["sequence"] for _ in range(200)]
    ledger = plugin.end()
    assert ledger["published"] == 300
    assert read == list(range(1, 301))
    assert serials(tmp_path / "a") == list(range(101, 201))
    assert plugin.sink("archive")["delivered"] == 100
    assert plugin.sink("events")["delivered"] == 300


def test_a_mistake_changes_nothing(start: Start, tmp_path: Path, make_records: Records) -> None:
    """With mistakes in the file events go where they went; each mistake is told, and the next SIGHUP tries again."""
    good = head(tmp_path) + file_sink("one", tmp_path / "a")
    plugin = start("", whole=good)
    plugin.stdin.sendall(make_records(1, 10))
    plugin.until(arrived(tmp_path / "a", 10), "events arrive")
    wrong = good.replace("idle_ms = 50", "idle_mss = 50") + "[nonsense]\n"
    reload(plugin, wrong, "going on with the one before")
    told = plugin.log.read_text()
    assert "timing.idle_mss: unknown key; did you mean" in told
    assert "nonsense: unknown key" in told
    plugin.stdin.sendall(make_records(11, 20))
    reload(plugin, good, "configuration unchanged")
    assert plugin.end()["published"] == 20
    assert serials(tmp_path / "a") == list(range(1, 21))


@pytest.mark.parametrize("mode", ["lossless", "lossy"])
def test_to_another_topic_without_a_loss(
    start: Start, broker: MockBroker, tmp_path: Path, make_records: Records, mode: str
) -> None:
    """A topic is renamed while events flow: every event is on one of the two, in order, and none is missing."""
    old, new = f"reload-{mode}-1", f"reload-{mode}-2"
    for each in (old, new):
        broker.make_topic(each)
    base = head(tmp_path).replace("[queue]\n", f'[queue]\nmode = "{mode}"\n')
    plugin = start("", whole=base + topic(broker.bootstrap, old))
    for first in range(1, 1001, 100):
        plugin.stdin.sendall(make_records(first, first + 99))
        time.sleep(0.02)
        if first == 501:
            assert of_topic(broker, old, 100)
            reload(plugin, base + topic(broker.bootstrap, new))
    time.sleep(1.5)  # acknowledgements come after the messages
    plugin.end()
    counts = plugin.sink("topic")
    assert counts["offered"] == counts["delivered"] + counts["queued"]
    assert counts["lost"] == 0
    on_old = of_topic(broker, old, 100)
    found = on_old + of_topic(broker, new, 1000 - max(on_old))  # one or the other may be there twice
    assert set(found) == set(range(1, 1001))
    assert list(dict.fromkeys(found)) == sorted(set(found))


def test_rules_change_while_an_event_is_incomplete(start: Start, tmp_path: Path) -> None:
    """An event of which half has come is not lost by a reload; the new rules decide on it."""
    base = head(tmp_path).replace("grace_ms = 10", "grace_ms = 1000").replace("idle_ms = 50", "idle_ms = 5000")
    base += file_sink("one", tmp_path / "a") + file_sink("two", tmp_path / "b")
    plugin = start("", whole=base)
    half = "type=SYSCALL msg=audit(1700000000.001:7): arch=c000003e syscall=59 success=yes exit=0 pid=1 uid=0\n"
    plugin.stdin.sendall(half.encode())
    time.sleep(0.2)
    rules = '[[rules]]\nname = "x"\nroute = ["two"]\nmatch = { syscall = "execve" }\n'
    reload(plugin, base + rules)
    plugin.stdin.sendall(b"type=EOE msg=audit(1700000000.001:7): \n")
    assert plugin.end()["published"] == 1
    assert (serials(tmp_path / "a"), serials(tmp_path / "b")) == ([], [7])
    assert json.loads((tmp_path / "b").read_text())["auditd"]["record_types"] == ["syscall"]


def test_what_waits_goes_to_the_broker_that_is_there(
    start: Start, broker: MockBroker, tmp_path: Path, make_records: Records
) -> None:
    """A wrong address is corrected: what has waited for it arrives, in order, without a restart of auditd."""
    broker.make_topic("corrected")
    plugin = start("", whole=head(tmp_path) + topic("127.0.0.1:1", "corrected"))
    plugin.stdin.sendall(make_records(1, 500))
    plugin.wait_for("sink cannot deliver")
    reload(plugin, head(tmp_path) + topic(broker.bootstrap, "corrected"))
    plugin.stdin.sendall(make_records(501, 600))
    assert of_topic(broker, "corrected", 600) == list(range(1, 601))
    time.sleep(1.5)
    plugin.end()
    counts = plugin.sink("topic")
    assert (counts["delivered"], counts["queued"], counts["lost"]) == (600, 0, 0)


def test_a_sink_that_is_removed_loses_what_it_did_not_have(
    start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records
) -> None:
    """Who takes a sink away learns what it never got, in the log, the ledger and the stream of those that stay."""
    siem = f'[sinks.siem]\ntype = "subscriber"\npath = "{tmp_path}/siem.sock"\n'
    base = head(tmp_path) + file_sink("one", tmp_path / "a")
    plugin = start("", whole=base + siem)
    plugin.stdin.sendall(make_records(1, 50))
    plugin.until(arrived(tmp_path / "a", 50), "events arrive")
    reload(plugin, base)
    time.sleep(0.2)
    reload(plugin, base + siem)
    plugin.stdin.sendall(make_records(51, 60))
    stream = subscribe(tmp_path / "siem.sock").makefile("rb")
    assert [json.loads(stream.readline())["event"]["sequence"] for _ in range(10)] == list(range(51, 61))
    plugin.end()
    assert "removed 50" in plugin.log.read_text()
    told = [json.loads(line) for line in (tmp_path / "a").read_bytes().splitlines()]
    lost = [each["auditd"]["lost"] for each in told if each["event"]["action"] == "frames-dropped"]
    assert [(each["reason"], each["sink"], each["frames"]) for each in lost] == [("removed", "siem", 50)]


def test_a_file_becomes_a_topic_of_the_same_name(
    start: Start, broker: MockBroker, tmp_path: Path, make_records: Records
) -> None:
    """A sink may change its type: from the reload on, events go the new way, and none is missing."""
    broker.make_topic("typed")
    plugin = start("", whole=head(tmp_path) + file_sink("topic", tmp_path / "a"))
    plugin.stdin.sendall(make_records(1, 50))
    plugin.until(arrived(tmp_path / "a", 50), "events arrive")
    reload(plugin, head(tmp_path) + topic(broker.bootstrap, "typed"))
    plugin.stdin.sendall(make_records(51, 100))
    assert of_topic(broker, "typed", 50) == list(range(51, 101))
    time.sleep(1.0)
    reload(plugin, head(tmp_path) + file_sink("topic", tmp_path / "a"))
    plugin.stdin.sendall(make_records(101, 150))
    plugin.end()
    assert serials(tmp_path / "a") == [*range(1, 51), *range(101, 151)]
    assert plugin.sink("topic")["delivered"] == 150


def test_a_wrong_configuration_at_the_start_holds_events(
    start: Start, broker: MockBroker, tmp_path: Path, make_records: Records
) -> None:
    """A host that boots with a slip in its configuration loses nothing: once it is right, the topic has it all."""
    broker.make_topic("held")
    good = head(tmp_path) + topic(broker.bootstrap, "held")
    plugin = start("", whole=good.replace("idle_ms", "idle_mss"))
    plugin.wait_for("holding events")
    plugin.stdin.sendall(make_records(1, 300))
    time.sleep(0.5)
    reload(plugin, good)
    plugin.stdin.sendall(make_records(301, 400))
    assert of_topic(broker, "held", 400) == list(range(1, 401))
    time.sleep(1.5)
    plugin.end()
    counts = plugin.sink("topic")
    assert (counts["delivered"], counts["lost"]) == (400, 0)


def test_what_was_held_is_there_after_a_restart(
    start: Start, broker: MockBroker, tmp_path: Path, make_records: Records
) -> None:
    """The same with a restart of auditd in between, which is what most people would do."""
    broker.make_topic("held-2")
    good = head(tmp_path) + topic(broker.bootstrap, "held-2")
    plugin = start("", whole=good.replace("idle_ms", "idle_mss"))
    plugin.stdin.sendall(make_records(1, 300))
    plugin.end()
    plugin = start("", whole=good, restarted=True)
    plugin.stdin.sendall(make_records(301, 400))
    assert of_topic(broker, "held-2", 400) == list(range(1, 401))
    plugin.end()


def test_the_last_one_that_was_right(start: Start, tmp_path: Path, make_records: Records) -> None:
    """Auditd is restarted over a broken configuration: the plugin goes on as before, and says so."""
    good = head(tmp_path) + file_sink("one", tmp_path / "a")
    plugin = start("", whole=good)
    plugin.stdin.sendall(make_records(1, 10))
    plugin.end()
    plugin = start("", whole=good.replace("idle_ms", "idle_mss"), restarted=True)
    plugin.wait_for("running with the last one that was right")
    plugin.stdin.sendall(make_records(11, 20))
    plugin.until(arrived(tmp_path / "a", 20), "events arrive")
    reload(plugin, good, "configuration unchanged")
    plugin.end()
    assert serials(tmp_path / "a") == list(range(1, 21))


def test_what_stays_for_life_is_told(start: Start, tmp_path: Path, make_records: Records) -> None:
    """Where a reload cannot help, the administrator reads that auditd has to be restarted, and what for."""
    siem = f'[sinks.siem]\ntype = "subscriber"\npath = "{tmp_path}/siem.sock"\n'
    plugin = start("", whole=head(tmp_path) + siem)
    plugin.stdin.sendall(make_records(1, 10))
    other = head(tmp_path).replace("/spool", "/other").replace("engine.state", "other.state")
    reload(plugin, other + siem, "takes effect at the next start of auditd")
    told = plugin.log.read_text()
    assert "key=queue.path" in told
    assert "key=state.path" in told
    plugin.end()
    assert not (tmp_path / "other").exists()


def test_librdkafka_is_asked_before_anything_changes(start: Start, tmp_path: Path, make_records: Records) -> None:
    """A slip in what goes through to librdkafka is a mistake like any other: nothing changes, and it is named."""
    good = head(tmp_path) + file_sink("one", tmp_path / "a") + topic("127.0.0.1:1", "t")
    plugin = start("", whole=good)
    wrong = good + '[sinks.topic.librdkafka]\n"compression.typ" = "lz4"\n'
    reload(plugin, wrong, "going on with the one before")
    assert "sinks.topic: " in plugin.log.read_text()
    assert "compression.typ" in plugin.log.read_text()
    plugin.stdin.sendall(make_records(1, 10))
    plugin.end()
    assert serials(tmp_path / "a") == list(range(1, 11))


def test_reloads_under_load(
    start: Start, broker: MockBroker, subscribe: Subscribe, tmp_path: Path, make_records: Records
) -> None:
    """However often the configuration changes while events flow, no event is lost and none is out of order."""
    broker.make_topic("often")
    base = head(tmp_path) + f'[sinks.siem]\ntype = "subscriber"\npath = "{tmp_path}/siem.sock"\n'
    variants = [
        base + topic(broker.bootstrap, "often"),
        base + topic(broker.bootstrap, "often", "[sinks.topic.librdkafka]\n'linger.ms' = 5\n"),
        base + topic(broker.bootstrap, "often") + file_sink("more", tmp_path / "a", "msgpack"),
        base.replace("commit_ms = 5", "commit_ms = 20") + topic(broker.bootstrap, "often"),
    ]
    plugin = start("", whole=variants[0])
    stream = subscribe(tmp_path / "siem.sock")
    for turn in range(9):
        plugin.stdin.sendall(make_records(turn * 100 + 1, turn * 100 + 50))
        reload(plugin, variants[(turn + 1) % len(variants)])
        plugin.stdin.sendall(make_records(turn * 100 + 51, turn * 100 + 100))
    reader = stream.makefile("rb")
    found = [json.loads(reader.readline())["event"]["sequence"] for _ in range(900)]
    assert found == list(range(1, 901))
    time.sleep(1.5)
    plugin.end()
    on_topic = of_topic(broker, "often", 900)
    assert list(dict.fromkeys(on_topic)) == list(range(1, 901))
    counts = plugin.sink("topic")
    assert (counts["offered"], counts["lost"]) == (900, 0)


def test_a_wrong_argument_stays_told(start: Start, tmp_path: Path, make_records: Records) -> None:
    """What is wrong in auditd's own file is no concern of a reload, and is not forgotten by one."""
    good = head(tmp_path) + file_sink("one", tmp_path / "a")
    command = (sys.executable, "-I", "-m", "audisp_pyaudit", "--nonsense")
    plugin = start("", whole=good, command=command)
    reload(plugin, good, "configuration unchanged")
    told = plugin.log.read_text()
    assert 'event="argument is wrong; going on without it" problem="argument not understood: --nonsense"' in told
    plugin.until(lambda: "--nonsense" in plugin.status_file.read_text(), "the status has it")
    plugin.stdin.sendall(make_records(1, 3))
    plugin.end()
    assert serials(tmp_path / "a") == [1, 2, 3]


@pytest.mark.parametrize("how", ["missing", "empty", "comments"])
def test_a_file_that_is_away_for_a_moment(
    start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records, how: str
) -> None:
    """Whoever replaces the file in two steps does not take all sinks away, and what waits for them, with the first."""
    siem = f'[sinks.siem]\ntype = "subscriber"\npath = "{tmp_path}/siem.sock"\n'
    good = head(tmp_path) + siem
    plugin = start("", whole=good)
    plugin.stdin.sendall(make_records(1, 50))
    plugin.wait_for("reading")
    whole = plugin.config.read_text()
    if how == "missing":
        plugin.config.unlink()
    else:
        plugin.config.write_text("" if how == "empty" else "# soon\n")
    plugin.process.send_signal(signal.SIGHUP)
    plugin.wait_for("going on with the one before")
    plugin.config.write_text(whole)
    plugin.process.send_signal(signal.SIGHUP)
    plugin.wait_for("configuration unchanged")
    stream = subscribe(tmp_path / "siem.sock").makefile("rb")
    assert [json.loads(stream.readline())["event"]["sequence"] for _ in range(50)] == list(range(1, 51))
    plugin.end()


def test_a_subscriber_that_is_taken_away_is_hung_up_on(start: Start, tmp_path: Path, make_records: Records) -> None:
    """A sink that goes leaves nothing behind: no socket that nobody serves, and nothing in the log but that."""
    siem = '[sinks.{0}]\ntype = "subscriber"\npath = "{1}/{0}.sock"\n'
    base = head(tmp_path) + siem.format("stays", tmp_path)
    plugin = start("", whole=base)
    descriptors = Path(f"/proc/{plugin.process.pid}/fd")
    plugin.wait_for("reading")
    before = len(list(descriptors.iterdir()))
    for turn in range(4):
        name = f"goes{turn}"
        reload(plugin, base + siem.format(name, tmp_path) + f'[sinks.u]\ntype = "unix"\npath = "{tmp_path}/u{turn}"\n')
        plugin.stdin.sendall(make_records(turn * 10 + 1, turn * 10 + 10))
        socket_there = (tmp_path / f"{name}.sock").exists
        plugin.until(socket_there, "it listens")
        reload(plugin, base)
        plugin.until(not_any_more(socket_there), "nobody listens")
    plugin.until(lambda: len(list(descriptors.iterdir())) <= before + 3, "descriptors are given back")
    plugin.end()
    assert "Traceback" not in plugin.log.read_text()
    assert plugin.sink("stays")["queued"] >= 40


def test_a_slip_after_a_reload_costs_no_sink_its_backlog(
    start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records
) -> None:
    """A sink that came by a reload finds all it has missed, though auditd was restarted over a slip in between."""
    siem = '[sinks.{0}]\ntype = "subscriber"\npath = "{1}/{0}.sock"\n'
    base = head(tmp_path) + siem.format("old", tmp_path)
    both = base + siem.format("new", tmp_path)
    plugin = start("", whole=base)
    reload(plugin, both)
    plugin.stdin.sendall(make_records(1, 100))
    time.sleep(0.3)
    plugin.end()
    plugin = start("", whole=both.replace("idle_ms", "idle_mss"), restarted=True)
    plugin.stdin.sendall(make_records(101, 110))
    plugin.wait_for("configuration is wrong")
    time.sleep(1.5)
    plugin.end()
    plugin = start("", whole=both, restarted=True)
    for name in ("old", "new"):
        stream = subscribe(tmp_path / f"{name}.sock").makefile("rb")
        found = [json.loads(stream.readline())["event"]["sequence"] for _ in range(110)]
        assert found == list(range(1, 111)), name
    plugin.end()


def test_a_sink_that_is_removed_while_the_plugin_is_down(
    start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records
) -> None:
    """Its backlog is given up by whoever starts next, and that is told, as at a reload."""
    siem = '[sinks.{0}]\ntype = "subscriber"\npath = "{1}/{0}.sock"\n'
    stays = head(tmp_path) + siem.format("stays", tmp_path)
    plugin = start("", whole=stays + siem.format("goes", tmp_path))
    plugin.stdin.sendall(make_records(1, 50))
    time.sleep(1.3)
    plugin.end()
    plugin = start("", whole=stays, restarted=True)
    stream = subscribe(tmp_path / "stays.sock").makefile("rb")
    found = [json.loads(stream.readline()) for _ in range(51)]
    plugin.end()
    (lost,) = (each["auditd"]["lost"] for each in found if each["event"]["action"] == "frames-dropped")
    assert (lost["sink"], lost["reason"], lost["frames"]) == ("goes", "removed", 50)
    plugin = start("", whole=stays, restarted=True)
    plugin.wait_for("reading")
    time.sleep(0.3)
    plugin.end()
    assert "records lost" not in plugin.log.read_text()


def test_what_was_held_elsewhere_is_told(start: Start, tmp_path: Path, make_records: Records) -> None:
    """Should the mended file have another spool than the wrong one, what was held is counted as lost, and told."""
    good = head(tmp_path) + file_sink("one", tmp_path / "a") + topic("127.0.0.1:1", "t")
    plugin = start("", whole=good.replace("idle_ms", "idle_mss"))
    plugin.stdin.sendall(make_records(1, 30))
    plugin.wait_for("holding events")
    time.sleep(0.3)
    reload(plugin, good.replace("/spool", "/other"))
    plugin.wait_for("in a spool that nobody reads")
    plugin.end()
    told = [json.loads(line) for line in (tmp_path / "a").read_bytes().splitlines()]
    (lost,) = (each["auditd"]["lost"] for each in told if each["event"]["action"] == "frames-dropped")
    assert (lost["reason"], lost["frames"]) == ("removed", 30)
