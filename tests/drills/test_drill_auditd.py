"""Drills with real auditds: whatever is done to auditd or to the plugin, what was read arrives, or it is announced.

Events come from a stand-in for the kernel, go through an auditd of Debian's in a namespace of its own to the plugin as
its wheel installs it, and from there to Kafka. `make drills` does all of it with each version and log format, `make
test` a part.
"""

import itertools
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.arrived import Arrived
from tests.auditd.cell import Cell, Parts, cell
from tests.auditd.daemon import HERE
from tests.auditd.fixtures import make_folder, parts
from tests.auditd.packages import SUITES, unpacked
from tests.drills.drill import HOST_ID, SCALE, WHOLE, in_order, kafka, note
from tests.kafka.broker import Broker

__all__ = ["parts"]  # a fixture

FORMATS = ("RAW", "ENRICHED")
RATE = SCALE.rate
SECONDS = 8.0 if SCALE is WHOLE else 2.0
# Since 4.2 auditd hands on nothing during a reload, 0.15 s and longer on a busy machine; it has room for 2000 records.
RELOAD_RATE = 3000
# At its stop auditd looks for who told it to, and throws away so many records meanwhile.
EATEN_AT_A_STOP = 30

Make = Callable[..., Any]


def settled(made: Cell, *, announced: tuple[str, ...] = (), split: int = 0) -> Arrived:
    """What is true of the plugin at the end of every cell, and what arrived.

    Args:
        made: auditd is stopped by now.
        announced: losses that have to be announced, and no others.
        split: how many events auditd may have thrown away but for their end, which tells nobody that they were.
    """
    # Always left: auditd's last word, which it says after the broker's last chance.
    if made.queued() > 1:
        made.deliver_rest()
    left = made.queued()
    assert left <= 1
    found = made.arrived()
    # Every process that was not killed ended by itself, with a ledger that closes.
    started = sum("event=reading " in line for line in made.said())
    last_words = [each[-1] for each in made.ledgers().values()]
    assert last_words == ["ledger closed"] * (started - len(made.killed)), made.log.text()
    made.agrees()
    for stopped in made.stops:
        assert stopped.code == 0
        assert {code for code, _ in stopped.plugins.values()} <= {0}
    assert not made.severe(), made.log.text()
    # What was read is in the topic, in order; unless somebody was killed, record by record.
    assert found.unparsed == 0
    if not made.cuts:  # without ends, events wait for late records, and some overtake others
        assert in_order(found.order)
    if not made.killed:
        assert found.records == made.records("published") - left, made.log.text()
    assert made.records("intake_full") == 0
    # Consumers can tell what is not there.
    assert {each["event"]["action"] for each in found.notices} == set(announced)
    assert len(found.unannounced(made.feed.times)) <= split, (found.gaps, made.log.text())
    # auditd never had to wait for us.
    assert "queue to plugins is full" not in made.log.text()
    return found


def started_and_stopped(made: Cell) -> Arrived:
    """What the kernel has when auditd starts, and what comes then, arrives, and auditd's own events with it."""
    made.feed.begin(RATE)
    made.auditd.start()
    time.sleep(SECONDS / 2)
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    made.deliver_rest()
    found = settled(made)
    assert found.missing(made.feed.times) == []
    assert found.daemon == ["daemon_start", "daemon_end", "daemon_start"]
    names = {document["user"].get("name") for (document, *_) in found.events.values()}
    assert names == ({"root"} if made.log_format == "ENRICHED" else {None})
    whole = not made.cuts
    for serial, documents in found.events.items():
        (document,) = documents
        if serial % 10:
            assert (document["process"].get("working_directory") == "/home/drill") == whole
            assert (document["process"]["executable"] == "/usr/bin/touch") == whole
            assert document["auditd"].get("truncated", []) == ([] if whole else ["exe"])
    return found


def reloaded(made: Cell) -> Arrived:
    """A reload in the middle of things takes effect, and costs nothing."""
    made.config += f'[sinks.archive]\ntype = "file"\npath = "{HERE}/out/archive.json"\n'
    made.configure(made.config)
    made.auditd.start()
    made.feed.begin(min(RATE, RELOAD_RATE))
    made.wait_for("event=reading")
    time.sleep(SECONDS / 4)
    took = []
    for number in range(1, 3):
        more = made.folder / "out" / f"more-{number}.json"
        made.configure(f'{made.config}[sinks.more]\ntype = "file"\npath = "{HERE}/out/{more.name}"\n')
        before, begin = made.auditd.plugin, time.monotonic()
        made.auditd.reload()
        if made.auditd.expects.reload == "signal":
            made.wait_for("configuration reloaded", number)
            assert made.auditd.plugin == before
        else:
            made.wait_for("event=reading", 1 + number)
            assert made.auditd.plugin != before
        took.append(round(time.monotonic() - begin, 3))
        made.auditd.until(partial(has_content, more), "the new sink has events")
        time.sleep(SECONDS / 4)
    note(reload_seconds=took)
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    found = settled(made)
    assert found.missing(made.feed.times) == []
    return found


def has_content(path: Path) -> bool:
    """Whether there is such a file with something in it."""
    return path.exists() and path.stat().st_size > 0


def restarted(made: Cell) -> Arrived:
    """A restart while events come: what is not there, auditd threw away, and that is told."""
    made.auditd.start()
    made.feed.begin(RATE)
    for _ in range(2):
        made.wait_for("event=reading", 1 + len(made.stops))
        time.sleep(SECONDS / 4)
        made.stop(wait=False)  # the next plugin begins while this one may still be ending
        made.auditd.start()
    made.wait_for("event=reading", 1 + len(made.stops))
    time.sleep(SECONDS / 4)
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    found = settled(made, split=2)
    assert len(found.missing(made.feed.times)) <= 2 * EATEN_AT_A_STOP
    return found


def stopped_with_a_backlog(made: Cell) -> Arrived:
    """A stop while the broker is away: the plugin is gone at once, and what waits arrives after the next start."""
    assert made.relay is not None
    made.relay.go_away()
    made.auditd.start()
    made.feed.begin(RATE)
    time.sleep(SECONDS / 2)
    made.feed.stop()
    made.auditd.until(lambda: made.auditd.state()["current plugin queue depth"] == "0", "the plugin has it all")
    time.sleep(0.5)
    made.stop()
    assert made.queued() >= made.feed.last
    made.relay.come_back()
    found = settled(made)
    assert found.missing(made.feed.times) == []
    assert found.duplicates == 0
    return found


def stopped_while_frozen(made: Cell) -> Arrived:
    """A stop while the plugin has no turn: what lies in its socket arrives; what auditd still had is a gap."""
    made.auditd.start()
    made.feed.send(10)
    made.wait_until_delivered()
    plugin = made.auditd.plugin
    made.auditd.signal(signal.SIGSTOP, plugin)
    made.feed.send(300)  # as many records as auditd has room for
    last = f":{made.feed.last}): ".encode()
    made.auditd.until(lambda: last in (made.folder / "log" / "audit.log").read_bytes(), "auditd has it all")
    made.stop(wait=False)
    made.auditd.signal(signal.SIGCONT, plugin)
    made.wait_for("ledger closed")
    made.auditd.start()
    made.feed.send(10)
    made.wait_until_delivered()
    made.stop()
    found = settled(made, split=1)
    # Some 180 records fit into the socket.
    assert 20 + 100 / 6 < len(found.events) < 320
    return found


def killed(made: Cell) -> Arrived:
    """The plugin is killed and auditd starts it again: what lay in its socket is lost, and consumers are told."""
    made.auditd.start()
    made.feed.begin(RATE)
    for number in range(1, 4):
        made.wait_for("event=reading", number)
        time.sleep(SECONDS / 4)
        # Not so long that auditd has no room for what comes meanwhile.
        made.kill(frozen=400 * (number - 1) / RATE)
        made.wait_for("event=reading", number + 1)
    if made.auditd.expects.reload == "signal":
        # Signals that were blocked when it started are heard.
        made.auditd.reload()
        made.wait_for("configuration unchanged")
    time.sleep(SECONDS / 4)
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    found = settled(made, announced=("unclean-stop",))
    assert found.announced.count("unclean-stop") == len(made.killed)
    return found


def stalled(made: Cell) -> Arrived:
    """A broker that takes nothing for a while is no reason for auditd to wait: its queue stays empty."""
    assert made.relay is not None
    made.auditd.start()
    made.wait_for("event=reading")
    made.feed.begin(RATE)
    time.sleep(SECONDS / 4)
    made.relay.stall()
    time.sleep(SECONDS)
    state = made.auditd.state()
    assert (state["plugin queue overflow detected"], state["plugin queueing suspended"]) == ("no", "no")
    deepest = int(state["max plugin queue depth used"])
    note(deepest=deepest)
    assert deepest < int(state["plugin queue size"]) / 2
    made.relay.come_back()
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    found = settled(made)
    assert found.missing(made.feed.times) == []
    return found


def long_lines(made: Cell) -> Arrived:
    """Records as long as auditd has room for: what did not fit is shown as cut, not as what was done."""
    made.auditd.start()
    made.wait_for("event=reading")
    sizes = [8000, 8930, 8937, 8938, 8950, 8960, 8969, 8970]
    for size in sizes:
        made.feed.send_long(size)
    made.feed.send(1)
    made.wait_until_delivered()
    made.stop()
    found = settled(made)
    assert found.missing(made.feed.times) == []
    whole = []
    for serial in range(1, 1 + len(sizes)):
        (document,) = found.events[serial]
        text = document["auditd"]["data"]["cmd"]
        sent = made.feed.long_texts[serial]
        assert sent.startswith(text)
        assert (text == sent) == ("cmd" not in document["auditd"].get("truncated", []))
        whole.append(text == sent)
    note(longest_whole=max((size for size, is_whole in zip(sizes, whole, strict=True) if is_whole), default=0))
    assert whole[0] == (not made.cuts)
    # ENRICHED has to have room for names, too.
    assert whole[-1] == (made.log_format == "RAW" and not made.cuts)
    return found


def cut_records(made: Cell) -> Arrived:
    """Records whose last 16 bytes are missing, as auditd 4.2 and 4.2.1 hand them on in the plain format.

    Those are what the newest auditd was when this was written; this stands in for them when it is not any more.
    """
    made.feed.cut = 16 - made.auditd.expects.raw_cut
    return started_and_stopped(made)


def node_names(made: Cell) -> Arrived:
    """The host is named in every record: it is ours, whatever auditd calls it, if the configuration says so."""
    made.auditd.start()
    made.feed.send(50)
    made.wait_until_delivered()
    made.stop()
    found = settled(made)
    assert found.missing(made.feed.times) == []
    assert {document["host"]["name"] for (document,) in found.events.values()} == {"lab"}
    assert {document["host"]["id"] for (document,) in found.events.values()} == {HOST_ID}
    return found


KINDS = (
    started_and_stopped,
    reloaded,
    restarted,
    stopped_with_a_backlog,
    stopped_while_frozen,
    killed,
    stalled,
    long_lines,
    cut_records,
    node_names,
)
SETTINGS = {"node_names": {"name_format": "user", "name": "node-1.example"}}
# Of each version, format and kind some, so that each kind is there with every way of being stopped and reloaded.
PART = {
    ("bookworm", "RAW", "started_and_stopped"),
    ("trixie", "ENRICHED", "started_and_stopped"),
    ("sid", "RAW", "started_and_stopped"),
    ("bookworm", "ENRICHED", "reloaded"),
    ("sid", "ENRICHED", "reloaded"),
    ("trixie", "RAW", "restarted"),
    ("sid", "ENRICHED", "restarted"),
    ("bookworm", "ENRICHED", "stopped_with_a_backlog"),
    ("sid", "ENRICHED", "stopped_with_a_backlog"),
    ("trixie", "RAW", "stopped_while_frozen"),
    ("trixie", "ENRICHED", "killed"),
    ("sid", "RAW", "killed"),
    ("bookworm", "RAW", "stalled"),
    ("bookworm", "RAW", "long_lines"),
    ("trixie", "ENRICHED", "long_lines"),
    ("sid", "ENRICHED", "long_lines"),
    ("trixie", "RAW", "cut_records"),
    ("sid", "RAW", "node_names"),
}
CELLS = [
    each
    for each in itertools.product(SUITES, FORMATS, KINDS)
    if each[1:] != ("ENRICHED", cut_records)  # what was added there is what would be cut
    if SCALE is WHOLE or (each[0], each[1], each[2].__name__) in PART
]


def named(value: object) -> str:
    """How a cell is called."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("suite", "log_format", "kind"), CELLS, ids=named)
def test_auditd(  # noqa: PLR0913, PLR0917  # what makes a cell
    suite: str, log_format: str, kind: Callable[[Cell], Arrived], parts: Parts, up: Broker, tmp_path: Path
) -> None:
    """Whatever happens to auditd or the plugin, all that was read arrives, and consumers are told of what was not."""
    found_one = unpacked(suite)
    assert found_one is not None
    topic = f"{suite}-{log_format}-{kind.__name__}"
    up.make_topic(topic)
    how = {
        "config": kafka(Path(HERE), up.bootstrap, topic),
        "settings": {"log_format": log_format, **SETTINGS.get(kind.__name__, {})},
        "broker": up,
        "topic": topic,
        # As on a host that has the plugin's user, and as on one that has not.
        "users": log_format == "ENRICHED",
    }
    with cell(make_folder(tmp_path), found_one, parts, **how) as made:
        found = kind(made)
        note(
            fed=made.feed.last,
            missing=len(found.missing(made.feed.times)),
            duplicates=found.duplicates,
            unparsed=found.unparsed,
            announced=found.announced,
            gaps=found.gaps,
            auditd_seconds=[round(each.auditd, 3) for each in made.stops],
            plugin_seconds=[round(after, 3) for each in made.stops for _, after in each.plugins.values()],
        )
