"""Reload: what SIGHUP does. A configuration that is right as a whole takes the place of the one that runs.

In: the file, read again. Out: sinks that come, go or are replaced, an engine that goes on with other rules from where
it stands. What did not change is not touched: its subscribers stay, its queue goes on. Nothing that was read is lost. A
configuration that is wrong changes nothing, and is told every minute until one is right.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from audisp_pyaudit import parts
from audisp_pyaudit.config import Config
from audisp_pyaudit.config_file import load
from audisp_pyaudit.delivery.feed import Feed
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.delivery.queue import Queue
from audisp_pyaudit.engine import Engine
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.host import HostFacts, host_facts
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.last_good import GOING_ON, outdated
from audisp_pyaudit.logs import Log
from audisp_pyaudit.names import Lookup, NameLookup
from audisp_pyaudit.notices import Notices
from audisp_pyaudit.outlets import Outlets
from audisp_pyaudit.pipeline import Pipeline, Wrong
from audisp_pyaudit.privileges import Rights, ports, runs_programs, writable
from audisp_pyaudit.sink_settings import KafkaSettings, QueuedSettings, SinkSettings
from audisp_pyaudit.sinks.base import Sink
from audisp_pyaudit.sinks.kafka import refusal
from audisp_pyaudit.status import Reporter

# What a process has for its life: rights that it has given up, files that it holds locks on.
_FOR_LIFE = (
    ("privileges", "user"),
    ("privileges", "sandbox"),
    ("state", "path"),
    ("queue", "mode"),
    ("queue", "path"),
    ("metrics", "kernel"),
)


@dataclass
class Running:
    """What runs, and by which configuration."""

    file: str | None
    config: Config
    intake: Intake
    engine: Engine
    host: HostFacts
    slots: parts.Slots
    about: dict[str, object]
    queue: Queue | None
    outlets: Outlets
    notices: Notices
    counters: Callable[[], Mapping[str, int]]
    start_ms: int
    lookup: Lookup
    rights: Rights
    reporter: Reporter


class Reload:
    """Has a pipeline reload its configuration. Everything here happens on the pipeline's thread.

    Args:
        running: what runs; changed with it.
        pipeline: tells of signals, and has the problems that are told every minute.
        log: where to tell people.
    """

    def __init__(self, running: Running, pipeline: Pipeline, log: Log) -> None:
        self._running = running
        self._pipeline = pipeline
        self._log = log
        self._stranded = 0  # events that were held for sinks that will not find them

    def __call__(self) -> None:
        """Read the configuration, and make it the one that runs if it is right."""
        try:
            self._reload()
        except Exception as error:  # noqa: BLE001  # a bug must not end the process
            self._log.error("reload failed; this is a bug, please report it", why=repr(error))

    def _reload(self) -> None:
        running = self._running
        try:
            new = load(running.file)
            _is_there(running.config, new)
            _try_out(new)
        except ConfigFileError as error:
            self._refuse([str(each) for each in error.errors])
            return
        except ValueError as error:
            self._refuse([str(error)])
            return
        new, fixed = self._with_fixed(new)
        changed = sorted(_changes(running.config, new))
        try:
            self._change(new)
        except ValueError as error:  # the engine is stricter than our checks
            self._refuse([f"{new.source}: {error}"])
            return
        self._pipeline.problems = self._lasting()
        if changed:
            outdated(new)
        if running.rights.landlock:
            self._tell_out_of_reach(new)
        for key in fixed:
            self._log.warning("takes effect at the next start of auditd", key=key)
        if changed:
            self._log.info("configuration reloaded", config=new.source or "defaults", changed=",".join(changed))
        else:
            self._log.info("configuration unchanged", config=new.source or "defaults")

    def _tell_out_of_reach(self, new: Config) -> None:
        """What the sandbox, which was made for another configuration, does not let us have."""
        rights = self._running.rights
        for folder in sorted(writable(new)):
            if not any(f"{folder}/".startswith(f"{each.rstrip('/')}/") for each in rights.folders):
                self._log.warning("cannot be written before auditd is started again (sandbox)", folder=folder)
        for port in set(ports(new)) - rights.ports:
            self._log.warning("cannot be listened on before auditd is started again (sandbox)", port=port)
        if runs_programs(new) and not rights.may_run:
            self._log.warning("takes effect at the next start of auditd", key="GSSAPI, which runs kinit")

    def _lasting(self) -> list[Wrong]:
        return [each for each in self._pipeline.problems if each.lasts]

    def _refuse(self, problems: list[str]) -> None:
        self._pipeline.problems = [*self._lasting(), *(Wrong(each, GOING_ON) for each in problems)]
        for each in problems:
            self._log.error(GOING_ON, problem=each)

    def _with_fixed(self, new: Config) -> tuple[Config, list[str]]:
        """The configuration with what cannot change as it is, and the keys of that."""
        old, fixed = self._running.config, []
        for section, key in _FOR_LIFE:
            before, after = getattr(old, section), getattr(new, section)
            if section == "queue" and (self._running.queue is None or HOLD in old.sinks):
                continue
            if getattr(before, key) != getattr(after, key):
                fixed.append(f"{section}.{key}")
                kept: Any = replace(after, **{key: getattr(before, key)})
                new = replace(new, **{section: kept})
        return new, fixed

    # --- the change ---------------------------------------------------------------------------------------------------

    def _change(self, new: Config) -> None:
        """Go over to another configuration.

        Raises:
            ValueError: the engine cannot; everything is as before.
        """
        running, old = self._running, self._running.config
        self._change_engine(old, new)
        running.config = new
        running.about.update(parts.make_about(new, running.slots))
        parts.fit_intake(running.intake, new)
        if new.decode.names != old.decode.names:
            self._change_names(wanted=new.decode.names)
        self._change_queue(old, new)
        self._change_sinks(old, new)
        self._change_metrics(old, new)
        if self._stranded:
            self._log.warning("events that were held are in a spool that nobody reads", folder=old.queue.path)
            lost = {"reason": "removed", "sink": HOLD, "frames": self._stranded, "total": self._stranded}
            self._pipeline.tell_lost("frames-dropped", lost)
            self._stranded = 0

    def _change_engine(self, old: Config, new: Config) -> None:
        """What it holds goes on under the new rules; what it has given goes where the old ones said."""
        running = self._running
        names = list(running.slots.names)
        host = host_facts(new.host.name, new.host.id, new.host.nodes, auditd_names=running.host.auditd_names)
        running.slots.change(new.sinks)
        options = new.engine_options(host, running.start_ms, running.slots.names)
        try:
            if options != old.engine_options(running.host, running.start_ms, names):
                running.engine.reconfigure(options)
        except ValueError:
            running.slots.names[:] = names
            raise
        running.host = host
        running.notices.describe(host)

    def _change_names(self, *, wanted: bool) -> None:
        if self._pipeline.names is not None:
            self._pipeline.names.close()
        self._pipeline.names = NameLookup(self._running.intake.knock, self._running.lookup) if wanted else None

    def _change_queue(self, old: Config, new: Config) -> None:
        """Sinks that need it no more leave the queue; it begins and ends with the first and the last."""
        running = self._running
        before, after = parts.queued(old), parts.queued(new)
        if HOLD in before and running.queue is not None:  # what it holds is for those that come, who find it on disk
            same = after and (old.queue.mode, old.queue.path) == (new.queue.mode, new.queue.path)
            self._stranded = 0 if same else running.queue.counts(HOLD).queued
            for name in before:
                running.outlets.remove(name)
            self._end_queue()
        else:
            for name in before.keys() - after.keys():
                self._remove(name)
            if before and not after:
                self._end_queue()
        if running.queue is not None:
            lags = {name: parts.max_lag(each) for name, each in after.items()}
            running.queue.configure(parts.queue_settings(new), parts.spool_settings(new), lags)
            if running.outlets.feed is not None:
                running.outlets.feed.encodings = new.encodings
        elif after:
            running.queue = parts.make_queue(new, running.slots, running.about, running.counters)
            running.outlets.feed = Feed(running.queue, new.encodings, new.timing.event_timeout_ms)

    def _end_queue(self) -> None:
        self._pipeline.announce()
        feed, self._running.queue, self._running.outlets.feed = self._running.outlets.feed, None, None
        if feed is not None:
            feed.close()

    def _change_sinks(self, old: Config, new: Config) -> None:
        running = self._running
        for name in [sink.name for sink in running.outlets.sinks]:
            if name not in new.sinks or _is_queued(old.sinks[name]) != _is_queued(new.sinks[name]):
                self._remove(name)
        there = {sink.name for sink in running.outlets.sinks}
        for name, settings in new.sinks.items():
            if name not in there:
                if running.queue is not None and isinstance(settings, QueuedSettings) and not running.queue.has(name):
                    running.queue.add(parts.cursor(name, settings, running.slots))
                running.outlets.add(self._sink(name))
            elif settings != old.sinks[name] or _reads_files(settings):
                running.outlets.replace(self._sink(name))

    def _change_metrics(self, old: Config, new: Config) -> None:
        reporter = self._running.reporter
        reporter.about = replace(reporter.about, host=self._running.host.name, config=new.source)
        publisher = reporter.publisher
        if replace(old.metrics, status="") != replace(new.metrics, status=""):
            before, publisher = publisher, parts.make_exporter(new.metrics)
            if publisher is not None:
                publisher.start(before)
        reporter.change(new.metrics.status, publisher)

    def _remove(self, name: str) -> None:
        self._running.outlets.remove(name)
        if self._running.queue is not None and self._running.queue.has(name):
            self._running.queue.remove(name)

    def _sink(self, name: str) -> Sink:
        running = self._running
        return parts.make_sink(name, running.config, running.slots, running.notices, running.queue)


def _is_there(old: Config, new: Config) -> None:
    """Whether a file was replaced, and is not away or empty for a moment: that would take away every sink.

    Raises:
        ValueError: it is not there, or nothing stands in it.
    """
    if old.source is not None and new.source is None:
        raise ValueError(f"{old.source}: is not there any more")
    if new.empty and not old.empty:
        raise ValueError(f"{new.source}: is empty; for the defaults, write one of them down")


def _try_out(new: Config) -> None:
    """What only librdkafka can tell.

    Raises:
        ValueError: it will not have something.
    """
    for name, settings in new.sinks.items():
        if isinstance(settings, KafkaSettings):
            why = refusal(settings)
            if why:
                raise ValueError(f"{new.source}: sinks.{name}: {why}")


def _changes(old: Config, new: Config) -> Iterator[str]:
    """What differs, for people: `limits.intake_bytes`, `sinks.topic`."""
    for each in fields(Config):
        before, after = getattr(old, each.name), getattr(new, each.name)
        if not each.compare or before == after:
            continue
        if isinstance(before, Mapping):
            names = before.keys() | after.keys()
            yield from (f"{each.name}.{name}" for name in names if before.get(name) != after.get(name))
        elif is_dataclass(before):
            yield from (
                f"{each.name}.{key.name}"
                for key in fields(before)
                if getattr(before, key.name) != getattr(after, key.name)
            )
        else:
            yield each.name


def _is_queued(settings: SinkSettings) -> bool:
    return isinstance(settings, QueuedSettings)


def _reads_files(settings: SinkSettings) -> bool:
    """Whether it reads files of its own when it begins: passwords and certificates may be others by now."""
    return isinstance(settings, KafkaSettings) and bool(
        settings.secrets or any(key.endswith(".location") for key, _ in settings.librdkafka)
    )
