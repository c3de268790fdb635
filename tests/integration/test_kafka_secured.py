"""The whole process with an Apache Kafka that lets in only who may. Every test asserts that the ledger closes."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.kafka import broker as kafka_broker
from tests.kafka.broker import PASSWORD, STRANGER, USER, Broker
from tests.kafka.certificates import Certificates

Start = Callable[..., Any]
Records = Callable[..., bytes]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """For the broker and for us."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Broker]:
    """Kafka with TLS, SASL and ACLs on loopback; in CI it has to be there."""
    why = kafka_broker.why_not()
    if not why and os.environ.get("KAFKA_BOOTSTRAP"):
        why = "KAFKA_BOOTSTRAP is somebody else's broker: its certificates and passwords are not known"
    if why:
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    made = Broker(tmp_path_factory.mktemp("kafka"), certificates)
    yield made
    made.stop()


def config(folder: Path, bootstrap: str, topic: str, librdkafka: dict[str, object]) -> str:
    """A configuration with Kafka alone, its password in a file."""
    said = "".join(f'"{name}" = {json.dumps(str(value))}\n' for name, value in librdkafka.items())
    return (
        f'[queue]\npath = "{folder}/spool"\n[sinks.topic]\ntype = "kafka"\nbootstrap = "{bootstrap}"\n'
        f'topic = "{topic}"\n[sinks.topic.librdkafka]\n"reconnect.backoff.max.ms" = "1000"\n{said}'
        f'[sinks.topic.secrets]\n"sasl.password" = "{folder}/password"\n'
    )


def password(folder: Path, text: str) -> None:
    """Put a password where the configuration says."""
    (folder / "password").write_text(text + "\n")
    (folder / "password").chmod(0o600)


def sasl(certificates: Certificates, mechanism: str) -> dict[str, object]:
    """What librdkafka is told for a log-in with a password."""
    return {
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": certificates.authority,
        "sasl.mechanism": mechanism,
        "sasl.username": USER,
    }


def arrives(start: Start, broker: Broker, topic: str, text: str, make_records: Records) -> None:
    """Events that go in are on the topic, once, in order."""
    plugin = start(text)
    plugin.stdin.sendall(make_records(1, 100))
    found = broker.messages(topic, 100)
    plugin.end()
    assert [json.loads(each.value())["event"]["sequence"] for each in found] == list(range(1, 101))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_password_over_tls(  # noqa: PLR0913, PLR0917  # fixtures
    start: Start, broker: Broker, certificates: Certificates, tmp_path: Path, make_records: Records, mechanism: str
) -> None:
    """A broker as companies run them: an authority of their own, and a user with a password that stands in a file."""
    topic = f"sasl-{mechanism}"
    broker.make_topic(topic)
    password(tmp_path, PASSWORD)
    arrives(start, broker, topic, config(tmp_path, broker.sasl_ssl, topic, sasl(certificates, mechanism)), make_records)


def test_a_token(
    start: Start, broker: Broker, certificates: Certificates, tmp_path: Path, make_records: Records
) -> None:
    """OAUTHBEARER, as managed services ask for: here with the unsigned tokens that broker and client have for tests."""
    broker.make_topic("token")
    password(tmp_path, "not asked for")
    said = {
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": certificates.authority,
        "sasl.mechanism": "OAUTHBEARER",
        "enable.sasl.oauthbearer.unsecure.jwt": "true",
        "sasl.oauthbearer.config": f"principal={USER}",
    }
    arrives(start, broker, "token", config(tmp_path, broker.sasl_ssl, "token", said), make_records)


def test_a_topic_that_may_not_be_written_costs_nothing(
    start: Start, broker: Broker, certificates: Certificates, tmp_path: Path, make_records: Records
) -> None:
    """An ACL that is missing is told in the log; with it, everything arrives."""
    broker.make_topic("denied")
    password(tmp_path, PASSWORD)
    said = sasl(certificates, "PLAIN") | {"sasl.username": STRANGER}
    plugin = start(config(tmp_path, broker.sasl_ssl, "denied", said))
    plugin.stdin.sendall(make_records(1, 100))
    plugin.wait_for("uthorization failed")
    broker.let_in(STRANGER, "denied")
    found = broker.messages("denied", 100)
    plugin.end()
    assert [json.loads(each.value())["event"]["sequence"] for each in found] == list(range(1, 101))


def test_a_certificate_of_our_own(
    start: Start, broker: Broker, certificates: Certificates, tmp_path: Path, make_records: Records
) -> None:
    """Mutual TLS: the broker knows us by our certificate."""
    broker.make_topic("mtls")
    password(tmp_path, "not asked for")
    said = {
        "security.protocol": "ssl",
        "ssl.ca.location": certificates.authority,
        "ssl.certificate.location": certificates.certificate,
        "ssl.key.location": certificates.key,
    }
    arrives(start, broker, "mtls", config(tmp_path, broker.ssl, "mtls", said), make_records)


def test_a_wrong_password_costs_nothing_and_is_told(
    start: Start, broker: Broker, certificates: Certificates, tmp_path: Path, make_records: Records
) -> None:
    """A password that was changed at the broker is told in the log, not printed, and mended in its file."""
    broker.make_topic("wrong")
    password(tmp_path, "wrong-secret")
    text = config(tmp_path, broker.sasl_ssl, "wrong", sasl(certificates, "SCRAM-SHA-512"))
    plugin = start(text)
    plugin.stdin.sendall(make_records(1, 100))
    plugin.wait_for("SASL authentication error")
    plugin.end()
    assert "wrong-secret" not in plugin.log.read_text()
    assert plugin.sink("topic")["queued"] == 100
    password(tmp_path, PASSWORD)
    plugin = start(text)
    found = broker.messages("wrong", 100)
    plugin.end()
    assert [json.loads(each.value())["event"]["sequence"] for each in found] == list(range(1, 101))


def test_an_impostor_gets_nothing(
    start: Start, broker: Broker, certificates: Certificates, tmp_path: Path, make_records: Records
) -> None:
    """A broker that the authority did not sign for gets neither an event nor the password, and that is told."""
    broker.make_topic("impostor")
    password(tmp_path, PASSWORD)
    (tmp_path / "stranger").mkdir()
    stranger = Certificates(tmp_path / "stranger")
    said = sasl(certificates, "PLAIN") | {"ssl.ca.location": stranger.authority}
    plugin = start(config(tmp_path, broker.sasl_ssl, "impostor", said))
    plugin.stdin.sendall(make_records(1, 100))
    plugin.wait_for("certificate")
    plugin.end()
    assert (plugin.sink("topic")["delivered"], plugin.sink("topic")["queued"]) == (0, 100)
    assert broker.messages("impostor", 1, 1.0) == []
