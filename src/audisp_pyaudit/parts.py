"""Makes the parts that the configuration names: sinks, and the queue that some of them take from.

In: a configuration, and each sink's bit in the routes of frames. Out: parts that have not begun to work.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from audisp_pyaudit._engine import __version__
from audisp_pyaudit.config import Config
from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from audisp_pyaudit.exporter import Exporter
from audisp_pyaudit.intake import REST_SECONDS, Intake
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.notices import Notices
from audisp_pyaudit.sink_settings import (
    FileSettings,
    ForwardSettings,
    HoldSettings,
    KafkaSettings,
    QueuedSettings,
    SinkSettings,
    StdoutSettings,
    SubscriberSettings,
    UnixSettings,
)
from audisp_pyaudit.sinks.base import Sink
from audisp_pyaudit.sinks.durable import DurableSink
from audisp_pyaudit.sinks.file import FileSink
from audisp_pyaudit.sinks.forward import ForwardSink
from audisp_pyaudit.sinks.hold import HoldSink
from audisp_pyaudit.sinks.kafka import KafkaSink
from audisp_pyaudit.sinks.stdout import StdoutSink
from audisp_pyaudit.sinks.unix import UnixSink


class Slots:
    """Each sink's bit in the routes of frames. It stays the same as long as there is such a sink."""

    def __init__(self) -> None:
        self.names: list[str] = []  # by bit; empty where there is no sink any more

    def change(self, names: Iterable[str]) -> None:
        """These are the sinks from now on."""
        wanted = list(names)
        self.names[:] = [name if name in wanted else "" for name in self.names]
        for name in wanted:
            if name not in self.names and "" in self.names:
                self.names[self.names.index("")] = name
            elif name not in self.names:
                self.names.append(name)

    def bit(self, name: str) -> int:
        """A sink's bit."""
        return self.names.index(name)


def queued(config: Config) -> dict[str, QueuedSettings]:
    """The sinks that take from the queue."""
    return {name: each for name, each in config.sinks.items() if isinstance(each, QueuedSettings)}


def cursor(name: str, settings: QueuedSettings, slots: Slots) -> Cursor:
    """A sink's place in the queue."""
    return Cursor(name, slots.bit(name), max_lag(settings))


def max_lag(settings: QueuedSettings) -> int | None:
    """How far a sink may fall behind; None if others wait for it."""
    return None if settings.required else settings.max_lag_bytes


def queue_settings(config: Config) -> QueueSettings:
    """How much the queue keeps in memory, and for how long."""
    wanted = config.queue
    return QueueSettings(wanted.memory_bytes, wanted.commit_bytes, wanted.commit_ms / 1000, wanted.when_full)


def spool_settings(config: Config) -> SpoolSettings | None:
    """Where and how much on disk; None for nothing."""
    wanted = config.queue
    if wanted.mode == "lossy":
        return None
    return SpoolSettings(
        Path(wanted.path),
        wanted.quota_bytes,
        wanted.share_percent / 100,
        when_full=wanted.when_full,
        fsync=wanted.fsync,
    )


def may_block(config: Config) -> bool:
    """Whether auditd is to wait for room."""
    return bool(queued(config)) and config.queue.mode == "lossless" and config.queue.when_full == "block"


def rest_seconds(config: Config) -> float:
    """How long records may gather in intake; no longer than who wants events sooner lets them gather in the queue."""
    return min(REST_SECONDS, config.queue.commit_ms / 1000)


def fit_intake(intake: Intake, config: Config) -> None:
    """Have intake do as the configuration says, which may have changed."""
    intake.make_room(config.limits.intake_bytes, waits=may_block(config))
    intake.rest_seconds = rest_seconds(config)


def make_queue(
    config: Config,
    slots: Slots,
    about: Mapping[str, object],
    ledger: Callable[[], Mapping[str, int]],
    *,
    knows_all: bool = True,
) -> Queue:
    """The queue.

    Args:
        config: the configuration, with at least one sink that takes from it.
        slots: the sinks' bits.
        about: what stands in the head of each segment, see `make_about`.
        ledger: what is put beside each commit.
        knows_all: whether the configuration is the one that was asked for, so that sinks it does not name are gone.
    """
    where = spool_settings(config)
    cursors = [cursor(name, each, slots) for name, each in queued(config).items()]
    open_spool = None if where is None else lambda: Spool(where, about)
    return Queue(queue_settings(config), cursors, open_spool, ledger, knows_all=knows_all)


def make_about(config: Config, slots: Slots) -> dict[str, object]:
    """What stands in the head of each segment; `sinks` are those there are when the segment is begun."""
    return {"sinks": slots.names, "encodings": config.encodings, "version": __version__}


def make_exporter(settings: Metrics) -> Exporter | None:
    """Who makes metrics; None if nobody wants any."""
    return Exporter(settings) if settings.textfile or settings.listen else None


def make_sink(name: str, config: Config, slots: Slots, notices: Notices, queue: Queue | None) -> Sink:
    """A sink that has not begun to work."""
    settings: SinkSettings = config.sinks[name]
    if isinstance(settings, UnixSettings):
        return UnixSink(name, slots.bit(name), settings, notices)
    if isinstance(settings, FileSettings):
        return FileSink(name, slots.bit(name), settings)
    if isinstance(settings, StdoutSettings):
        return StdoutSink(name, slots.bit(name), settings)
    if queue is None:
        raise TypeError(settings)
    return _queued_sink(name, settings, queue, drains=config.queue.mode == "lossy")


def _queued_sink(name: str, settings: QueuedSettings, queue: Queue, *, drains: bool) -> Sink:
    if isinstance(settings, SubscriberSettings):
        return DurableSink(name, settings, queue, drains=drains)
    if isinstance(settings, KafkaSettings):
        return KafkaSink(name, settings, queue, drains=drains)
    if isinstance(settings, ForwardSettings):
        return ForwardSink(name, settings, queue, drains=drains)
    if isinstance(settings, HoldSettings):
        return HoldSink(name, queue)
    raise TypeError(settings)
