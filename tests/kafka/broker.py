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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from tests.kafka.certificates import Certificates
from tests.kafka.read import end_of, everything, messages

JARS = Path(sys.prefix) / "kafka"
_JAVA = ("java", "-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
_START_SECONDS = 60.0
_PROPERTIES = """\
process.roles={roles}
node.id={node}
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port}{also}{voting}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{also}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
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

# Who may do what: the plain listener is the administrator's, everybody else needs to be let in.
_SECURED = """\
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN,OAUTHBEARER
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
    user_{user}="{password}" user_{stranger}="{password}";
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=\
    org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user};User:CN=plugin
"""
# Who may everything, and who may nothing until somebody says so.
USER, STRANGER, PASSWORD = "pyaudit", "stranger", "pyaudit-secret"


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
        certificates: makes it listen with TLS too; see `tests.kafka.certificates`.
        join: the broker whose cluster it is to be in; of its own, if None.
    """

    def __init__(self, folder: Path, certificates: Certificates | None = None, join: "Broker | None" = None) -> None:
        self._folder = folder
        self.sasl_ssl = self.ssl = ""
        self._process: subprocess.Popen[bytes] | None = None
        given = os.environ.get("KAFKA_BOOTSTRAP")
        if given:
            self.bootstrap = given
            return
        port = _free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.controller: int = join.controller if join else _free_port()
        also = ""
        if certificates is not None:
            self.sasl_ssl, self.ssl = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
            also = f",SASL_SSL://{self.sasl_ssl},SSL://{self.ssl}"
        properties = _PROPERTIES.format(
            port=port,
            controller=self.controller,
            folder=folder,
            also=also,
            roles="broker" if join else "broker,controller",
            node=2 if join else 1,
            voting="" if join else f",CONTROLLER://127.0.0.1:{self.controller}",
        )
        users: list[str] = []
        if certificates is not None:
            properties += _SECURED.format(folder=certificates.folder, user=USER, stranger=STRANGER, password=PASSWORD)
            users = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
        file = folder / "server.properties"
        file.write_text(properties)
        self._run("kafka.tools.StorageTool", "format", "-t", "A" * 22, "-c", str(file), *users).wait()
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

    def ensure(self) -> None:
        """Start, unless it runs."""
        if self._process is None:
            self.start()

    def stop(self) -> None:
        """Stop, as an administrator does; a broker that was given stays."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._process.kill()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """End without a word, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart_or_skip(self) -> None:
        """For tests that take the broker away: only one of our own may be."""
        if self._process is None:
            pytest.skip("KAFKA_BOOTSTRAP is somebody else's broker: it is not stopped")

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def make_topic(
        self, name: str, partitions: int = 1, config: dict[str, str] | None = None, nodes: Sequence[int] = ()
    ) -> None:
        """Make a topic; with `nodes`, of one partition on these, the first of which leads."""
        admin = self._admin()  # it ends with the last reference, and its requests with it
        if nodes:
            topic = NewTopic(name, 1, replica_assignment=[list(nodes)], config=config or {})
        else:
            topic = NewTopic(name, partitions, 1, config=config or {})
        for future in admin.create_topics([topic]).values():
            future.result(20)

    def let_in(self, user: str, topic: str) -> None:
        """Allow a user to write to a topic."""
        may = AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            AclOperation.WRITE,
            AclPermissionType.ALLOW,
        )
        admin = self._admin()  # it ends with the last reference, and its requests with it
        for future in admin.create_acls([may]).values():
            future.result(20)

    def leader(self, topic: str) -> int:
        """The node that leads a topic of one partition; -1 if none does."""
        return int(self._admin().list_topics(topic, timeout=10).topics[topic].partitions[0].leader)

    def size(self, topic: str) -> int:
        """How many messages a topic of one partition has had."""
        return end_of(self.bootstrap, topic)

    def everything(self, topic: str) -> list[bytes]:
        """The values of all messages of a topic, of a partition in order."""
        return [each.value() for each in everything(self.bootstrap, topic)]

    def messages(self, topic: str, count: int, seconds: float = 30.0) -> list[Any]:
        """The first so many messages of a topic, or fewer if they do not come; of a partition in order."""
        return messages(self.bootstrap, topic, count, seconds)
