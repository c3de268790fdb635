"""Builds the pipeline from the configuration. What cannot be had is said in the log and done without.

In: the plugin's arguments. Out: a pipeline that is ready to run. A wrong configuration never keeps the plugin from
running, auditd would give up on it: then it runs with another one, and says so every minute.
"""

from collections.abc import Mapping
from pathlib import Path

from audisp_pyaudit import parts
from audisp_pyaudit._engine import ECS_VERSION, SCHEMA, __version__
from audisp_pyaudit.config import Config
from audisp_pyaudit.delivery.feed import Feed
from audisp_pyaudit.engine import Build, Engine, build_raw
from audisp_pyaudit.host import host_facts
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.kernel_audit import KernelAudit
from audisp_pyaudit.last_good import WITH_DEFAULTS, Salvaged, choose, holding, keep
from audisp_pyaudit.logs import Log, make_log
from audisp_pyaudit.names import Lookup, NameLookup, look_up
from audisp_pyaudit.notices import Notices
from audisp_pyaudit.outlets import Outlets
from audisp_pyaudit.pipeline import Pipeline, Wrong
from audisp_pyaudit.plugin import Arguments
from audisp_pyaudit.privileges import give_up, prepare
from audisp_pyaudit.reload import Reload, Running
from audisp_pyaudit.state import StateLock, load_state
from audisp_pyaudit.status import About, Reporter

_ARGUMENTS = "argument is wrong; going on without it"


def build(
    arguments: Arguments, intake: Intake, *, start_ms: int, lookup: Lookup = look_up, raw: Build = build_raw
) -> tuple[Pipeline, Running, Log]:
    """Build everything behind intake, and start the sinks.

    Args:
        arguments: what the plugin was started with.
        intake: already reading.
        start_ms: when the process started, Unix time in milliseconds.
        lookup: how names are looked up.
        raw: how the engine is made.
    """
    log: Log = make_log()
    problems = [Wrong(each, _ARGUMENTS, lasts=True) for each in arguments.problems]
    config, wrong, meanwhile = choose(arguments.config)
    problems += [Wrong(each, meanwhile) for each in wrong]
    user = prepare(config, log)
    if not wrong:
        keep(config)
    kernel = KernelAudit() if config.metrics.kernel else None
    # auditd.conf is root's own.
    host = host_facts(config.host.name, config.host.id, config.host.nodes)
    rights = give_up(config, user, intake, log, kernel)
    lock = _lock(config, log)
    slots = parts.Slots()
    slots.change(config.sinks)
    try:
        engine = _engine(config, config.engine_options(host, start_ms), lock, log, raw)
    except Exception as error:  # noqa: BLE001  # the engine is stricter than our checks: a bug, but not worth a stop
        problems.append(Wrong(f"{config.source}: {error}", WITH_DEFAULTS))
        if lock is not None:
            lock.release()
        config = holding(Salvaged(config.state.path, config.queue.path, config.privileges))
        slots = parts.Slots()
        slots.change(config.sinks)
        lock = _lock(config, log)
        engine = _engine(config, config.engine_options(host, start_ms), lock, log, raw)
    for problem in problems:
        log.error(problem.meanwhile, problem=problem.what)
    parts.fit_intake(intake, config)
    notices = Notices(host, start_ms)

    def counters() -> dict[str, int]:
        return _said({**engine.stats(), "records_intake_full": intake.dropped().records})

    about = parts.make_about(config, slots)
    queue = parts.make_queue(config, slots, about, counters, knows_all=not wrong) if parts.queued(config) else None
    outlets = Outlets(
        [parts.make_sink(name, config, slots, notices, queue) for name in config.sinks],
        None if queue is None else Feed(queue, config.encodings, config.timing.event_timeout_ms),
        lambda name, error: log.error("sink failed; this is a bug, please report it", sink=name, why=repr(error)),
    )
    for sink in outlets.sinks:
        sink.start()
    described = ",".join(f"{name}:{sink.type}" for name, sink in config.sinks.items())
    log.info(
        "reading",
        version=__version__,
        engine=f"{__version__}, schema {SCHEMA}, ECS {ECS_VERSION}",
        config=config.source or "defaults",
        sinks=described,
        host=host.name,
        **rights.words(),
    )
    reporter = _reporter(config, host.name, start_ms, kernel, log)
    pipeline = Pipeline(
        intake=intake,
        engine=engine,
        names=NameLookup(intake.knock, lookup) if config.decode.names else None,
        outlets=outlets,
        notices=notices,
        log=log,
        state_path=config.state.path,
        state_lock=lock,
        problems=problems,
        reporter=reporter,
    )
    running = Running(
        arguments.config,
        config,
        intake,
        engine,
        host,
        slots,
        about,
        queue,
        outlets,
        notices,
        counters,
        start_ms,
        lookup,
        rights,
        reporter,
    )
    pipeline.on_hangup = Reload(running, pipeline, log)
    return pipeline, running, log


def _reporter(config: Config, host: str, start_ms: int, kernel: KernelAudit | None, log: Log) -> Reporter:
    """Who says where everything stands, and who makes metrics of that."""
    exporter = parts.make_exporter(config.metrics)
    if exporter is not None:
        exporter.start()
    about = About(host, config.source, start_ms / 1000)
    return Reporter(config.metrics.status, about, log, exporter, kernel)


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
