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
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.cell import PLUGIN, Arrived, Cell, Parts, cell
from tests.auditd.daemon import HERE, plugin_conf
from tests.auditd.fixtures import make_folder, parts
from tests.auditd.packages import SUITES, Unpacked, unpacked
from tests.drills.drill import SCALE, WHOLE, in_order, kafka, note
from tests.kafka.broker import Broker

__all__ = ["parts"]  # a fixture

FORMATS = ("RAW", "ENRICHED")
RATE = min(SCALE.rate, 4000)
SECONDS = 8.0 if SCALE is WHOLE else 2.0
# At its stop auditd looks for who told it to, and throws away so many records meanwhile.
EATEN_AT_A_STOP = 30

Make = Callable[..., Any]


def settled(made: Cell, *, announced: tuple[str, ...] = ()) -> Arrived:
    """What is true of the plugin at the end of every cell, and what arrived.

    Args:
        made: auditd is stopped by now.
        announced: losses that have to be announced, and no others.
    """
    made.deliver_rest()
    found = made.arrived()
    ledgers = made.ledgers()
    # Every process that was not killed ended by itself, with a ledger that closes.
    started = sum("event=reading " in line for line in made.said())
    assert [each[-1] for each in ledgers.values()] == ["ledger closed"] * (started - len(made.killed)), made.log.text()
    for stopped in made.stops:
        assert stopped.code == 0
        assert {code for code, _ in stopped.plugins.values()} == {0}
    assert not made.severe(), made.log.text()
    # What was read is in the topic, once, in order; unless somebody was killed, record by record.
    assert in_order(found.order)
    # (auditd's last word waits in the spool, if it was started to deliver what was left).
    left = made.queued()
    assert left <= 1
    if not made.killed:
        assert found.records == made.records("published") - left
    assert made.records("intake_full") == 0
    assert {each["event"]["action"] for each in found.notices} == set(announced)
    # Consumers can tell what is not there.
    assert found.unannounced(max(found.events)) == []
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
    found = settled(made)
    assert found.missing(made.feed.last) == []
    assert found.daemon[:2] == ["daemon_start", "daemon_end"]
    return found


def reloaded(made: Cell) -> Arrived:
    """A reload in the middle of things takes effect, and costs nothing."""
    made.auditd.start()
    before = made.auditd.plugin
    made.feed.begin(RATE)
    made.wait_for("event=reading")
    time.sleep(SECONDS / 4)
    for number in range(1, 3):
        made.configure(f'{made.config}[sinks.more]\ntype = "file"\npath = "{HERE}/more-{number}.json"\n')
        made.auditd.reload()
        if made.auditd.expects.reload == "signal":
            made.wait_for("signal=SIGHUP", number)
            assert made.auditd.plugin == before
        else:
            made.wait_for("event=reading", 1 + number)
            assert made.auditd.plugin != before
            made.auditd.until((made.folder / f"more-{number}.json").exists, "the new sink is there")
        time.sleep(SECONDS / 4)
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    found = settled(made)
    assert found.missing(made.feed.last) == []
    return found


def restarted(made: Cell) -> Arrived:
    """auditd is stopped and started again while events come: what is not there, auditd threw away, and that is told."""
    made.auditd.start()
    made.feed.begin(RATE)
    for _ in range(2):
        made.wait_for("event=reading", 1 + len(made.stops))
        time.sleep(SECONDS / 4)
        made.stop()
        made.auditd.start()
    time.sleep(SECONDS / 4)
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    found = settled(made)
    assert len(found.missing(made.feed.last)) <= 2 * EATEN_AT_A_STOP
    return found


def stopped_with_a_backlog(made: Cell) -> Arrived:
    """auditd stops while the broker is away: the plugin is gone at once, and what waits arrives after the next start."""
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
    assert found.missing(made.feed.last) == []
    assert found.duplicates == 0
    return found


def killed(made: Cell) -> Arrived:
    """The plugin is killed and auditd starts it again: what lay in its socket is lost, and consumers are told."""
    made.auditd.start()
    made.feed.begin(RATE)
    for number in range(1, 4):
        made.wait_for("event=reading", number)
        time.sleep(SECONDS / 4)
        made.kill()
        made.wait_for("event=reading", number + 1)
    if made.auditd.expects.reload == "signal":
        # Signals that were blocked when it started are heard.
        made.auditd.reload()
        made.wait_for("signal=SIGHUP")
    time.sleep(SECONDS / 4)
    made.feed.stop()
    made.wait_until_delivered()
    made.stop()
    return settled(made, announced=("unclean-stop",))


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
    assert found.missing(made.feed.last) == []
    return found


KINDS = (started_and_stopped, reloaded, restarted, stopped_with_a_backlog, killed, stalled)
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
    ("trixie", "ENRICHED", "killed"),
    ("sid", "RAW", "killed"),
    ("bookworm", "RAW", "stalled"),
}
CELLS = [
    each
    for each in itertools.product(SUITES, FORMATS, KINDS)
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
    unpacked_one = unpacked(suite)
    assert unpacked_one is not None
    topic = f"{suite}-{log_format}-{kind.__name__}"
    up.make_topic(topic)
    config = kafka(Path(HERE), up.bootstrap, topic)
    folder = make_folder(tmp_path)
    with cell(
        folder, unpacked_one, parts, config=config, settings={"log_format": log_format}, broker=up, topic=topic
    ) as made:
        found = kind(made)
        note(
            fed=made.feed.last,
            missing=len(found.missing(made.feed.last)),
            duplicates=found.duplicates,
            unparsed=found.unparsed,
            announced=found.announced,
            stops=[
                {"auditd": round(each.auditd, 3), "plugins": [round(seconds, 3) for _, seconds in each.plugins.values()]}
                for each in made.stops
            ],
        )
