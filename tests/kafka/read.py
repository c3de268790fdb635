"""What stands in a topic, for the tests."""

import time
from typing import Any

from confluent_kafka import Consumer, TopicPartition

# What reading a whole topic may take.
_ALL_SECONDS = 120.0


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


def everything(bootstrap: str, topic: str) -> list[Any]:
    """All that stands in a topic now; of a partition in order."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "log_level": 0})
    found: list[Any] = []
    for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
        place = TopicPartition(topic, partition, 0)
        _, end = consumer.get_watermark_offsets(place, timeout=20)
        consumer.assign([place])
        last = -1
        deadline = time.monotonic() + _ALL_SECONDS
        while last < end - 1:
            assert time.monotonic() < deadline, f"{topic}: {last + 1} of {end} messages"
            for each in consumer.consume(5000, 0.2):
                if each.error() is None:
                    found.append(each)
                    last = int(each.offset() or 0)
    consumer.close()
    return found


def end_of(bootstrap: str, topic: str) -> int:
    """The offset behind the last message of a topic of one partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "log_level": 0})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
    consumer.close()
    return int(end)
