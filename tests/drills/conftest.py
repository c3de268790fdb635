"""Brokers for the drills."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.kafka import broker as kafka_broker
from tests.kafka.broker import Broker


def _need_kafka() -> None:
    """In CI, Kafka has to be there; drills take it away, so it has to be one of our own."""
    why = kafka_broker.why_not()
    if not why and os.environ.get("KAFKA_BOOTSTRAP"):
        why = "KAFKA_BOOTSTRAP is somebody else's broker: drills would stop it"
    if why:
        assert not os.environ.get("CI"), why
        pytest.skip(why)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Kafka on loopback."""
    _need_kafka()
    made = Broker(tmp_path_factory.mktemp("kafka"))
    yield made
    made.stop()


@pytest.fixture
def up(broker: Broker) -> Broker:
    """The same, running whatever the drill before did to it."""
    broker.ensure()
    return broker
