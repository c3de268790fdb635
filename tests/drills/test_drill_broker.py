"""Drills: what a broker can do to us. Lossless: nothing is lost, nothing is overtaken, and the ledger closes."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.drills.drill import (
    SCALE,
    Arrived,
    Drill,
    Sent,
    announced_lost,
    arrived,
    drill,
    in_order,
    kafka,
    missing,
    share_lost,
    write,
)
from tests.kafka.broker import PASSWORD, USER, Broker
from tests.kafka.certificates import Certificates


def outcome(made: Drill, read: Callable[[], list[bytes]]) -> tuple[Sent, Arrived]:
    """End, deliver what is left, and see what arrived: everything, in order."""
    sent = made.stop_writing()
    made.end()
    made.deliver_rest()
    found = arrived(made, read())
    assert missing(sent, found) == []
    assert in_order(found.serials)
    return sent, found


def test_a_broker_that_is_down_at_the_start(up: Broker, tmp_path: Path) -> None:
    """Auditd starts before the network: events wait, and arrive when there is somebody to take them."""
    up.make_topic("down")
    up.stop()
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "down")) as made:
        write()
        up.start()
        write()
        _, found = outcome(made, lambda: up.everything("down"))
    assert found.announced == []


def test_a_broker_that_is_killed_and_comes_back(up: Broker, tmp_path: Path) -> None:
    """A power cut at the broker costs nothing."""
    up.make_topic("killed")
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "killed")) as made:
        write(0.5)
        up.kill()
        write()
        up.start()
        write(0.5)
        _, found = outcome(made, lambda: up.everything("killed"))
    assert found.announced == []


def test_a_broker_that_is_restarted_again_and_again(up: Broker, tmp_path: Path) -> None:
    """Rolling updates do not show in the stream."""
    up.make_topic("rolling")
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "rolling")) as made:
        for _ in range(max(2, SCALE.times // 4)):
            up.stop()
            up.start()
            time.sleep(0.5)
        outcome(made, lambda: up.everything("rolling"))


def test_a_topic_that_is_made_later(up: Broker, tmp_path: Path) -> None:
    """Who forgot to make the topic is told in the log, and has everything once it is there."""
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "later")) as made:
        write(0.5)
        made.plugin.wait_for("sink cannot deliver")
        up.make_topic("later")
        outcome(made, lambda: up.everything("later"))


def test_events_larger_than_the_topic_allows(up: Broker, tmp_path: Path) -> None:
    """A command line of 300 KB is cut until the broker takes it; it holds up nobody, and the rest arrives whole."""
    up.make_topic("large", config={"max.message.bytes": "131072"})
    every = 500 * SCALE.times // 4
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "large"), large_every=every) as made:
        write()
        sent, found = outcome(made, lambda: up.everything("large"))
    documents = [json.loads(each) for each in up.everything("large")]
    cut = {each["event"]["sequence"] for each in documents if "truncated" in each["auditd"]}
    large = {serial for serial in sent.whole if serial % every == 0}
    assert large
    assert cut == large
    assert found.announced == []


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory, up: Broker) -> Iterator[tuple[Broker, Broker]]:
    """A cluster of two, which the first controls."""
    assert up.bootstrap  # Kafka is there
    first = Broker(tmp_path_factory.mktemp("first"))
    second = Broker(tmp_path_factory.mktemp("second"), join=first)
    yield first, second
    second.kill()
    first.kill()


def test_a_leader_that_changes(pair: tuple[Broker, Broker], tmp_path: Path) -> None:
    """A cluster that loses a node and gets it back: nothing is lost, nothing is overtaken."""
    first, second = pair
    first.make_topic("led", nodes=[2, 1])
    with drill(tmp_path, kafka(tmp_path, f"{first.bootstrap},{second.bootstrap}", "led")) as made:
        write(0.5)
        assert first.leader("led") == 2
        second.kill()
        made.plugin.until(lambda: first.leader("led") == 1, "the other one leads", 60.0)
        write(0.5)
        second.start()
        write(0.5)
        outcome(made, lambda: first.everything("led"))


def test_a_wrong_password_that_is_mended(up: Broker, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A password that was changed at the broker: events wait, and arrive once the new one is in its file."""
    assert up.bootstrap  # Kafka is there
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    secured = Broker(tmp_path_factory.mktemp("secured"), certificates)
    try:
        secured.make_topic("secured")
        (tmp_path / "password").write_text("wrong")
        (tmp_path / "password").chmod(0o600)
        config = kafka(tmp_path, secured.sasl_ssl, "secured") + (
            f'"security.protocol" = "sasl_ssl"\n"ssl.ca.location" = "{certificates.authority}"\n'
            f'"sasl.mechanism" = "SCRAM-SHA-512"\n"sasl.username" = "{USER}"\n'
            f'[sinks.topic.secrets]\n"sasl.password" = "{tmp_path}/password"\n'
        )
        with drill(tmp_path, config) as made:
            write(0.5)
            made.plugin.wait_for("SASL authentication error")
            (tmp_path / "password").write_text(PASSWORD)
            made.plugin.wait_for("sink delivers again", 60.0)
            write(0.5)
            outcome(made, lambda: secured.everything("secured"))
    finally:
        secured.kill()


def test_lossy_counts_what_it_loses(up: Broker, tmp_path: Path) -> None:
    """In memory only, an outage costs the oldest events: arrived and announced as lost is what was sent."""
    up.make_topic("lossy")
    up.stop()
    config = kafka(tmp_path, up.bootstrap, "lossy", 'mode = "lossy"\nmemory_bytes = 1048576\n')
    config += '"queue.buffering.max.messages" = 100\n'
    with drill(tmp_path, config) as made:
        write()
        up.start()
        time.sleep(3.0)
        sent = made.stop_writing()
        time.sleep(3.0)
        total = made.end()
        found = arrived(made, up.everything("lossy"))
        ledger = made.plugin.sink("topic")
    lost = missing(sent, found)
    # Some of what told of losses is lost, too: it is in the ledger like everything else.
    notices = ledger["offered"] - total["published"]
    assert announced_lost(found) == ledger["lost"] == len(lost) + notices - len(found.notices) > 0
    assert {each["auditd"]["lost"]["reason"] for each in found.notices} == {"memory_full"}
    assert in_order(found.serials)
    logins, others = share_lost(sent, lost)
    assert logins < others
