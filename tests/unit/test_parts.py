"""Parts by the configuration."""

import pytest

from audisp_pyaudit import parts
from audisp_pyaudit.config import Config, Queue
from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.intake import REST_SECONDS
from audisp_pyaudit.notices import Notices
from audisp_pyaudit.sink_settings import HoldSettings, KafkaSettings, UnixSettings
from audisp_pyaudit.sinks.hold import HoldSink
from audisp_pyaudit.sinks.kafka import KafkaSink


def test_a_bit_stays_a_sinks() -> None:
    """A frame that was routed to a sink before a reload is that sink's after it, whatever came and went."""
    slots = parts.Slots()
    slots.change(["a", "b", "c"])
    assert [slots.bit(name) for name in "abc"] == [0, 1, 2]
    slots.change(["c", "d", "a"])
    assert slots.names == ["a", "d", "c"]
    slots.change(["c"])
    assert slots.names == ["", "", "c"]
    slots.change(["x", "c", "y", "z"])
    assert slots.names == ["x", "y", "c", "z"]


def test_who_takes_from_the_queue() -> None:
    """Sinks that acknowledge have a queue, and may have auditd wait; others never do."""
    kafka = KafkaSettings(bootstrap="a:1", required=False, max_lag_bytes=2**20)
    both = Config(sinks={"k": kafka, "u": UnixSettings(path="/s")}, queue=Queue(when_full="block"))
    assert list(parts.queued(both)) == ["k"]
    assert parts.max_lag(kafka) == 2**20
    assert parts.max_lag(KafkaSettings(bootstrap="a:1")) is None
    assert parts.may_block(both)
    assert not parts.may_block(Config(sinks={"k": kafka}, queue=Queue(when_full="block", mode="lossy")))
    assert not parts.may_block(Config(queue=Queue(when_full="block")))


def test_where_the_spool_is() -> None:
    """Lossy has no disk; lossless has what the configuration says."""
    assert parts.spool_settings(Config(queue=Queue(mode="lossy"))) is None
    found = parts.spool_settings(Config(queue=Queue(path="/x", share_percent=25)))
    assert found is not None
    assert (str(found.folder), found.share) == ("/x", 0.25)


def test_each_type_has_its_sink() -> None:
    """What the configuration calls a type is made as such."""
    config = Config(sinks={"k": KafkaSettings(bootstrap="a:1"), "h": HoldSettings()}, queue=Queue(mode="lossy"))
    slots = parts.Slots()
    slots.change(config.sinks)
    queue = parts.make_queue(config, slots, parts.make_about(config, slots), dict)
    notices = Notices(HostFacts("a", "b", ()), 1)
    assert isinstance(parts.make_sink("k", config, slots, notices, queue), KafkaSink)
    assert isinstance(parts.make_sink("h", config, slots, notices, queue), HoldSink)
    with pytest.raises(TypeError):
        parts.make_sink("k", config, slots, notices, None)
    queue.close()


def test_who_wants_events_at_once_gets_them() -> None:
    """A short `commit_ms` is not undone by what gathers before the queue; a long one does not make intake wait."""
    assert parts.rest_seconds(Config(queue=Queue(commit_ms=1))) == 0.001
    assert parts.rest_seconds(Config()) == parts.rest_seconds(Config(queue=Queue(commit_ms=10_000))) == REST_SECONDS
