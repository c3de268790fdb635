"""librdkafka's own mock cluster: a broker on loopback that lives as long as the object."""

from typing import Any

from confluent_kafka import Producer

from tests.kafka.read import messages


class MockBroker:
    """A broker that makes topics as they are asked for. It keeps the newest 5 MiB of a partition."""

    def __init__(self) -> None:
        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        found = self._cluster.list_topics(timeout=10).brokers.values()
        self.bootstrap = ",".join(f"{each.host}:{each.port}" for each in found)

    def make_topic(self, name: str) -> None:
        """Have a topic, empty."""
        self._cluster.list_topics(name, timeout=10)

    def messages(self, topic: str, count: int, seconds: float = 20.0) -> list[Any]:
        """The first so many messages of a topic, or fewer if they do not come; of a partition in order."""
        return messages(self.bootstrap, topic, count, seconds)
