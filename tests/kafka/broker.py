"""Apache Kafka on loopback, one node in KRaft mode, in a folder of its own.

`make test` brings its jars into the environment (`tests/kafka/pom.xml`). KAFKA_BOOTSTRAP names a broker that is there
already, which then is neither stopped nor started.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.kafka.read import messages

JARS = Path(sys.prefix) / "kafka"
_JAVA = ("java", "-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
_START_SECONDS = 60.0
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=20000000
"""


def why_not() -> str:
    """Why there can be no broker here; empty if there can."""
    if os.environ.get("KAFKA_BOOTSTRAP") or any(JARS.glob("kafka_*.jar")):
        return ""
    return f"there is no Kafka in {JARS} (make test brings it), and KAFKA_BOOTSTRAP names none"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A broker.

    Args:
        folder: where its data are, empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        given = os.environ.get("KAFKA_BOOTSTRAP")
        if given:
            self.bootstrap = given
            return
        port = _free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        properties = _PROPERTIES.format(port=port, controller=_free_port(), folder=folder)
        (folder / "server.properties").write_text(properties)
        self._run("kafka.tools.StorageTool", "format", "-t", "A" * 22, "-c", f"{folder}/server.properties").wait()
        self.start()

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "broker.log").open("ab") as log:
            command = [*_JAVA, "-cp", f"{JARS}/*", name, *arguments]
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = self._run("kafka.Kafka", f"{self._folder}/server.properties")
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._admin().list_topics(timeout=1)
            except KafkaException:
                assert time.monotonic() < deadline, (self._folder / "broker.log").read_text()
            else:
                return

    def stop(self) -> None:
        """Stop, as an administrator does; a broker that was given stays."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart_or_skip(self) -> None:
        """For tests that take the broker away: only one of our own may be."""
        if self._process is None:
            pytest.skip("KAFKA_BOOTSTRAP is somebody else's broker: it is not stopped")

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def make_topic(self, name: str, partitions: int = 1, config: dict[str, str] | None = None) -> None:
        """Make a topic."""
        admin = self._admin()  # it ends with the last reference, and its requests with it
        for future in admin.create_topics([NewTopic(name, partitions, 1, config=config or {})]).values():
            future.result(20)

    def messages(self, topic: str, count: int, seconds: float = 30.0) -> list[Any]:
        """The first so many messages of a topic, or fewer if they do not come; of a partition in order."""
        return messages(self.bootstrap, topic, count, seconds)
