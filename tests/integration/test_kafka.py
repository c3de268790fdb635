"""The whole process with Kafka behind it. Every test asserts that the ledger closes."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.kafka.mock import MockBroker

VECTORS = Path(__file__).parents[1] / "vectors"

Start = Callable[..., Any]
Records = Callable[..., bytes]


@pytest.fixture(scope="module")
def broker() -> MockBroker:
    """A broker on loopback."""
    return MockBroker()


def config(folder: Path, bootstrap: str, topic: str, mode: str = "lossless") -> str:
    """A configuration with Kafka alone."""
    return (
        f'[queue]\nmode = "{mode}"\npath = "{folder}/spool"\n'
        f'[sinks.topic]\ntype = "kafka"\nbootstrap = "{bootstrap}"\ntopic = "{topic}"\n'
    )


def ids(messages: list[Any]) -> list[str]:
    """Ids of the events, in order."""
    return [json.loads(each.value())["event"]["id"] for each in messages]


@pytest.mark.parametrize("mode", ["lossless", "lossy"])
def test_a_real_log_reaches_the_topic(start: Start, broker: MockBroker, tmp_path: Path, mode: str) -> None:
    """What auditd wrote is on the topic: every event, once, in order."""
    broker.make_topic(f"log-{mode}")
    plugin = start(config(tmp_path, broker.bootstrap, f"log-{mode}", mode))
    plugin.stdin.sendall((VECTORS / "demo.log").read_bytes())
    before = broker.messages(f"log-{mode}", 50)
    assert plugin.end()
    sink = plugin.sink("topic")
    messages = broker.messages(f"log-{mode}", sink["delivered"])
    assert sink["lost"] == 0
    assert sink["offered"] == sink["delivered"] + sink["queued"] == 60
    assert len(before) >= 50
    assert len(set(ids(messages))) == len(messages) >= sink["delivered"]
    assert ids(messages)[:50] == ids(before)[:50]


def test_a_broker_that_comes_after_the_process_has_ended(
    start: Start, broker: MockBroker, tmp_path: Path, make_records: Records
) -> None:
    """The host was down during an outage: the next start delivers what waited, in order, before what is new."""
    broker.make_topic("later")
    plugin = start(config(tmp_path, "127.0.0.1:1", "later"))
    plugin.stdin.sendall(make_records(1, 300))
    started = time.monotonic()
    plugin.end()
    assert time.monotonic() - started < 10
    assert plugin.sink("topic")["queued"] == 300
    plugin = start(config(tmp_path, broker.bootstrap, "later"))
    plugin.stdin.sendall(make_records(301, 400))
    messages = broker.messages("later", 400)
    time.sleep(1.5)  # acknowledgements come after the messages
    plugin.end()
    sink = plugin.sink("topic")
    assert (sink["delivered"], sink["queued"], sink["lost"]) == (400, 0, 0)
    serials = [json.loads(each.value())["event"].get("sequence") for each in messages]
    assert serials == list(range(1, 401))


def test_a_plugin_carries_no_more_than_it_uses(start: Start, broker: MockBroker, tmp_path: Path) -> None:
    """Memory is paid on every host: asyncio and a second libcrypto, which libraries would load, are not in it."""
    broker.make_topic("small")
    unix = f'[sinks.events]\ntype = "unix"\npath = "{tmp_path}/s"\n'
    plugin = start(config(tmp_path, broker.bootstrap, "small") + unix)
    plugin.stdin.sendall((VECTORS / "demo.log").read_bytes())
    assert broker.messages("small", 50)
    loaded = Path(f"/proc/{plugin.process.pid}/maps").read_text()
    assert plugin.end()
    assert "librdkafka" in loaded
    for name in ("_asyncio.", "_ssl.", "_hashlib."):
        assert name not in loaded, name
