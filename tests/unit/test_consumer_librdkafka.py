"""What librdkafka is told, and what is made of what it says."""

import pytest

from audisp_pyaudit.consumer.address import KafkaAddress
from audisp_pyaudit.consumer.librdkafka import Code, client_settings, code, is_fatal, make_client, reason
from audisp_pyaudit.errors import ConsumerError

GROUP = KafkaAddress("b:9092", "t", "siem", "")
ALONE = KafkaAddress("b:9092", "t", "", "")


@pytest.mark.parametrize("address", [GROUP, ALONE])
@pytest.mark.parametrize("auto_commit", [True, False])
def test_offsets_are_ours(address: KafkaAddress, *, auto_commit: bool) -> None:
    """No offset is stored before its event is finished with; without a group nothing is committed at all."""
    settings = client_settings(address, {}, auto_commit=auto_commit)
    assert settings["enable.auto.offset.store"] is False
    assert settings["enable.auto.commit"] is (auto_commit and address is GROUP)
    make_client(settings).close()  # librdkafka knows all of them


@pytest.mark.parametrize(("start", "expected"), [("", "earliest"), ("beginning", "earliest"), ("end", "latest")])
def test_where_a_new_group_begins(start: str, expected: str) -> None:
    """A group that is new gets everything there is, unless it was told otherwise."""
    settings = client_settings(KafkaAddress("b:1", "t", "siem", start), {}, auto_commit=True)
    assert settings["auto.offset.reset"] == expected


def test_what_the_user_says_goes_before_our_defaults() -> None:
    """TLS and log-ins are librdkafka's own, and whoever knows better can have it."""
    said = {"security.protocol": "SASL_SSL", "log_level": 6, "oauth_cb": print}
    assert said.items() <= client_settings(GROUP, said, auto_commit=True).items()
    assert client_settings(ALONE, {"group.id": "allowed-by-acl"}, auto_commit=True)["group.id"] == "allowed-by-acl"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"bootstrap.servers": "x"}, "the brokers stand in the URL"),
        ({"auto.offset.reset": "latest"}, "from=beginning or from=end"),
        ({"enable.auto.commit": True}, "it is auto_commit"),
        ({"enable.auto.offset.store": True}, "finished with"),
        ({"group.id": "x"}, "the URL names a group"),
        ({"ssl.ca.location": None}, 'the setting "ssl.ca.location" is a NoneType; expected a text, a number'),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], expected: str) -> None:
    """Nobody turns off by accident what the promises depend on; where the setting belongs is said."""
    with pytest.raises(ConsumerError, match="kafka://b:9092/t: ") as caught:
        client_settings(GROUP, settings, auto_commit=True)
    assert expected in str(caught.value)


def test_the_numbers_are_the_librarys() -> None:
    """What something is done about is what the library means, though it is not imported for it."""
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415  # only here

    names = {
        Code.NO_LEADER: KafkaError.LEADER_NOT_AVAILABLE,
        Code.UNKNOWN_TOPIC: KafkaError.UNKNOWN_TOPIC_OR_PART,
        Code.TOPIC_REFUSED: KafkaError.TOPIC_AUTHORIZATION_FAILED,
        Code.GROUP_REFUSED: KafkaError.GROUP_AUTHORIZATION_FAILED,
        Code.TRANSPORT: KafkaError._TRANSPORT,
        Code.RESOLVE: KafkaError._RESOLVE,
        Code.PARTITION_EOF: KafkaError._PARTITION_EOF,
        Code.ALL_BROKERS_DOWN: KafkaError._ALL_BROKERS_DOWN,
        Code.NO_OFFSET: KafkaError._NO_OFFSET,
    }
    assert set(names) == set(Code)
    for ours, theirs in names.items():
        assert ours == theirs, ours.name
    error = KafkaError(KafkaError._TRANSPORT, "refused")
    for each in (error, KafkaException(error)):
        assert (code(each), reason(each), is_fatal(each)) == (Code.TRANSPORT, "refused", False)
    assert is_fatal(KafkaError(KafkaError._FATAL, "fenced", True))  # noqa: FBT003  # as the library has it
    assert (code(ValueError("x")), reason(ValueError("x")), is_fatal(ValueError("x"))) == (None, "x", False)
