"""What stands in a topic, for the tests."""

import time
from typing import Any

from confluent_kafka import Consumer, TopicPartition


def messages(bootstrap: str, topic: str, count: int, seconds: float) -> list[Any]:
    """The first so many messages of a topic, or fewer if they do not come; of a partition in order."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "test", "log_level": 0, "enable.auto.commit": False}
    consumer = Consumer(settings)
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
    found: list[Any] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found += [each for each in consumer.consume(1000, 0.1) if each.error() is None]
    consumer.close()
    return found
