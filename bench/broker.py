"""A broker for the benches: Apache Kafka on loopback, see `tests/kafka/broker.py`; none where it is not there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.kafka import broker as kafka_broker
from tests.kafka.broker import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What is kept of a topic that is only written to.
SHORT = {"retention.bytes": "268435456", "segment.bytes": "67108864"}


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[Broker | None]:
    """A broker, for as long as it is needed; None if there is none, which is said."""
    why = kafka_broker.why_not()
    if why:
        print(f"without Kafka: {why}")
        yield None
        return
    (folder / "kafka").mkdir()
    made = Broker(folder / "kafka")
    try:
        yield made
    finally:
        made.stop()


def sink(made: Broker, topic: str, librdkafka: str = "", *, config: dict[str, str] | None = None) -> str:
    """Make a topic, and the configuration of the sink `out` that writes to it, as lossless as can be: acks=all, zstd.

    Args:
        made: the broker.
        topic: its name.
        librdkafka: further lines for it, in TOML.
        config: the topic's.
    """
    made.make_topic(topic, config=config or SHORT)
    return (
        f'[sinks.out]\ntype = "kafka"\nbootstrap = "{made.bootstrap}"\ntopic = "{topic}"\n'
        f'[sinks.out.librdkafka]\n"acks" = "all"\n"compression.type" = "zstd"\n{librdkafka}'
    )
