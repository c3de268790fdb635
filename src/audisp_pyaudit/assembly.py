"""Builds the pipeline from the configuration. What cannot be had is said in the log and done without.

In: the plugin's arguments. Out: a pipeline that is ready to run. A wrong configuration never keeps the plugin from
running, auditd would give up on it: then it runs with the defaults, and says so every minute.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from audisp_pyaudit._engine import __version__
from audisp_pyaudit.config import CONFIG_PATH, Config, load
from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.feed import Feed
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from audisp_pyaudit.engine import Build, Engine, build_raw
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.host import host_facts
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.logs import Log, make_log
from audisp_pyaudit.names import Lookup, NameLookup, look_up
from audisp_pyaudit.notices import Notices
from audisp_pyaudit.pipeline import Pipeline
from audisp_pyaudit.plugin import Arguments
from audisp_pyaudit.sink_settings import (
    FileSettings,
    ForwardSettings,
    KafkaSettings,
    QueuedSettings,
    StdoutSettings,
    SubscriberSettings,
)
from audisp_pyaudit.sinks.base import Sink
from audisp_pyaudit.sinks.durable import DurableSink
from audisp_pyaudit.sinks.file import FileSink
from audisp_pyaudit.sinks.forward import ForwardSink
from audisp_pyaudit.sinks.kafka import KafkaSink
from audisp_pyaudit.sinks.stdout import StdoutSink
from audisp_pyaudit.sinks.unix import UnixSink
from audisp_pyaudit.state import StateLock, load_state

_WRONG = "configuration is wrong; running with the defaults"


def build(
    arguments: Arguments, intake: Intake, *, start_ms: int, lookup: Lookup = look_up, raw: Build = build_raw
) -> tuple[Pipeline, Config, Log]:
    """Build everything behind intake, and start the sinks.

    Args:
        arguments: what the plugin was started with.
        intake: already reading.
        start_ms: when the process started, Unix time in milliseconds.
        lookup: how names are looked up.
        raw: how the engine is made.
    """
    log: Log = make_log()
    problems = [*arguments.problems]
    try:
        config = load(arguments.config)
    except ConfigFileError as error:
        problems += [str(each) for each in error.errors]
        config = Config()
    except Exception as error:  # noqa: BLE001  # a bug in reading it, which is not worth a stop either
        problems.append(f"{arguments.config or CONFIG_PATH}: cannot be understood: {error!r}")
        config = Config()
    for problem in problems:
        log.error(_WRONG, problem=problem)
    intake.limit = config.limits.intake_bytes
    host = host_facts(config.host.name, config.host.id, config.host.nodes)
    lock = _lock(config, log)
    try:
        engine = _engine(config, config.engine_options(host, start_ms), lock, log, raw)
    except Exception as error:  # noqa: BLE001  # the engine is stricter than our checks: a bug, but not worth a stop
        problems.append(f"{config.source}: {error}")
        log.error(_WRONG, problem=problems[-1])  # noqa: TRY400  # no traceback for what a user wrote
        if lock is not None:
            lock.release()
        config = Config()
        lock = _lock(config, log)
        engine = _engine(config, config.engine_options(host, start_ms), lock, log, raw)
    notices = Notices(host, start_ms)
    queue = _queue(config, lambda: _said({**engine.stats(), "records_intake_full": intake.dropped().records}))
    intake.may_wait |= queue is not None and config.queue.mode == "lossless" and config.queue.when_full == "block"
    sinks = _sinks(config, notices, queue)
    for sink in sinks:
        sink.start()
    names = NameLookup(intake.knock, lookup) if config.decode.names else None
    described = ",".join(f"{name}:{sink.type}" for name, sink in config.sinks.items())
    log.info("reading", version=__version__, config=config.source or "defaults", sinks=described, host=host.name)
    pipeline = Pipeline(
        intake=intake,
        engine=engine,
        names=names,
        sinks=sinks,
        notices=notices,
        log=log,
        state_path=config.state.path,
        state_lock=lock,
        problems=problems,
        feed=None if queue is None else Feed(queue, config.encodings),
    )
    return pipeline, config, log


def _lock(config: Config, log: Log) -> StateLock | None:
    """The right to use the state; another plugin that has it is told of."""
    if not config.state.path:
        return None
    lock = StateLock(config.state.path)
    if not lock.take():
        log.warning("another process has the state; running without", file=config.state.path)
    return lock


def _engine(config: Config, options: dict[str, object], lock: StateLock | None, log: Log, raw: Build) -> Engine:
    """The engine, with what the process before remembered if that is of use."""
    reports = Path(config.state.path).parent if config.state.path else None
    state = None
    if lock is not None and lock.held:
        try:
            state = load_state(config.state.path)
        except OSError as error:
            log.warning("state not read; starting without", file=config.state.path, why=error.strerror)
    if state is not None:
        try:
            return Engine(options, state, reports, raw)
        except ValueError as error:
            log.warning("state is of no use; starting without", file=config.state.path, why=str(error))
    return Engine(options, None, reports, raw)


def _said(counters: Mapping[str, int]) -> dict[str, int]:
    """Counters that have counted: they stand beside every commit, and most never do."""
    return {name: count for name, count in counters.items() if count}


def _queue(config: Config, ledger: Callable[[], Mapping[str, int]]) -> Queue | None:
    """The queue, if a sink acknowledges what it has."""
    names = list(config.sinks)
    cursors = [
        Cursor(name, names.index(name), None if sink.required else sink.max_lag_bytes)
        for name, sink in config.sinks.items()
        if isinstance(sink, QueuedSettings)
    ]
    if not cursors:
        return None
    wanted = config.queue
    settings = QueueSettings(wanted.memory_bytes, wanted.commit_bytes, wanted.commit_ms / 1000, wanted.when_full)
    where = SpoolSettings(
        Path(wanted.path),
        wanted.quota_bytes,
        wanted.share_percent / 100,
        when_full=wanted.when_full,
        fsync=wanted.fsync,
    )
    about = {"sinks": names, "encodings": config.encodings, "version": __version__}
    return Queue(settings, cursors, None if wanted.mode == "lossy" else lambda: Spool(where, about), ledger)


def _sinks(config: Config, notices: Notices, queue: Queue | None) -> list[Sink]:
    sinks: list[Sink] = []
    for index, (name, settings) in enumerate(config.sinks.items()):
        if isinstance(settings, StdoutSettings):
            sinks.append(StdoutSink(name, index, settings))
        elif isinstance(settings, FileSettings):
            sinks.append(FileSink(name, index, settings))
        elif isinstance(settings, QueuedSettings):
            if queue is not None:
                sinks.append(_queued_sink(name, settings, queue, drains=config.queue.mode == "lossy"))
        else:
            sinks.append(UnixSink(name, index, settings, notices))
    return sinks


def _queued_sink(name: str, settings: QueuedSettings, queue: Queue, *, drains: bool) -> Sink:
    if isinstance(settings, SubscriberSettings):
        return DurableSink(name, settings, queue, drains=drains)
    if isinstance(settings, KafkaSettings):
        return KafkaSink(name, settings, queue, drains=drains)
    if isinstance(settings, ForwardSettings):
        return ForwardSink(name, settings, queue, drains=drains)
    raise TypeError(settings)
