"""The configuration, typed: what the plugin does where nothing is said, and what may be said.

In: what `config_file` read, or nothing. Out: a `Config`, and what the engine is built from. Every default stands here
and nowhere else; `plugin/audisp-pyaudit.toml` repeats them for people, and a test keeps the two equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.settings import (
    Problem,
    choice,
    flag,
    ids,
    one_or_more,
    path,
    path_or_none,
    read_table,
    required,
    setting,
    shown,
    text,
    texts,
    user_name,
    whole,
)
from audisp_pyaudit.sink_settings import DEFAULT_SINKS, MIB, SinkSettings


@dataclass(frozen=True)
class Host:
    """Who we are. Empty texts mean: ask the system."""

    name: str = setting("", text)
    id: str = setting("", text)
    nodes: tuple[str, ...] = setting((), texts)


@dataclass(frozen=True)
class Decode:
    """How records become documents."""

    include_raw: str = setting("unparsed", choice("never", "unparsed", "always"))
    names: bool = setting(default=True, check=flag)
    name_ttl_seconds: int = setting(300, whole(1, 86400, "seconds"))
    name_negative_ttl_seconds: int = setting(60, whole(1, 86400, "seconds"))


@dataclass(frozen=True)
class Limits:
    """What bounds the memory; past a limit something is cut or published early, and counted."""

    # auditd's longest line is 9.3 KiB; audit.log lines of other writers may be longer.
    line_bytes: int = setting(65536, whole(1024, 16 * MIB, "bytes"))
    # Events in flight: each waits for more records of its own; a busy machine has a few hundred.
    events: int = setting(4096, whole(16, 1_000_000))
    # The longest command line the kernel allows makes about 1,700 EXECVE records.
    event_records: int = setting(4096, whole(16, 1_000_000))
    # The longest command line there can be: 6 MiB in hex, with its record headers.
    event_bytes: int = setting(16 * MIB, whole(16384, 256 * MIB, "bytes"))
    held_bytes: int = setting(64 * MIB, whole(MIB, 1024 * MIB, "bytes"))
    # What intake may hold while the engine is busy: at 10,000 records/s of 400 bytes four seconds.
    intake_bytes: int = setting(16 * MIB, whole(MIB, 1024 * MIB, "bytes"))


@dataclass(frozen=True)
class Timing:
    """How long something may take, in milliseconds."""

    grace_ms: int = setting(100, whole(0, 60_000, "milliseconds"))
    event_timeout_ms: int = setting(2000, whole(1, 600_000, "milliseconds"))
    idle_ms: int = setting(1000, whole(1, 600_000, "milliseconds"))
    name_wait_ms: int = setting(20, whole(0, 10_000, "milliseconds"))
    # At EOF auditd 4.2 waits for us, or is gone 30 ms later with systemd's SIGKILL behind it. State is saved before.
    drain_ms: int = setting(500, whole(0, 60_000, "milliseconds"))


@dataclass(frozen=True)
class Privileges:
    """Whom the process becomes, and what it gives up."""

    user: str = setting("audisp-pyaudit", user_name)
    sandbox: bool = setting(default=True, check=flag)


@dataclass(frozen=True)
class State:
    """What survives a restart."""

    path: str = setting("/var/lib/audisp-pyaudit/engine.state", path_or_none)


@dataclass(frozen=True)
class Queue:
    """What waits for sinks that acknowledge what they have."""

    mode: str = setting("lossless", choice("lossless", "lossy"))
    path: str = setting("/var/lib/audisp-pyaudit/spool", path)
    quota_bytes: int = setting(1024 * MIB, whole(16 * MIB, 1024 * 1024 * MIB, "bytes"))
    # Of the file system that the spool is on, whatever the quota says.
    share_percent: int = setting(50, whole(1, 100, "percent"))
    when_full: str = setting("drop_oldest", choice("drop_oldest", "drop_newest", "block"))
    fsync: str = setting("interval", choice("always", "interval", "never"))
    # At 10,000 events/s of 1.7 KB half a second; in lossy mode all there is.
    memory_bytes: int = setting(8 * MIB, whole(MIB, 1024 * MIB, "bytes"))
    commit_bytes: int = setting(256 * 1024, whole(4096, 16 * MIB, "bytes"))
    commit_ms: int = setting(50, whole(1, 10_000, "milliseconds"))


@dataclass(frozen=True)
class Match:
    """What a rule looks at: every field named has to match, by any of its values; `abc*` matches what begins so."""

    key: tuple[str, ...] = setting((), one_or_more)
    record_type: tuple[str, ...] = setting((), one_or_more)
    action: tuple[str, ...] = setting((), one_or_more)
    category: tuple[str, ...] = setting((), one_or_more)
    syscall: tuple[str, ...] = setting((), one_or_more)
    exe: tuple[str, ...] = setting((), one_or_more)
    uid: tuple[str, ...] = setting((), ids)
    auid: tuple[str, ...] = setting((), ids)
    unit: tuple[str, ...] = setting((), one_or_more)
    host: tuple[str, ...] = setting((), one_or_more)


def _match(value: object) -> Match:
    if not isinstance(value, Mapping):
        raise ValueError(f'expected a table (match = {{ key = "..." }}), found {shown(value)}')  # noqa: TRY004  # as every check
    problems: list[Problem] = []
    found = read_table(Match, value, "", problems)
    if problems:
        raise ValueError("; ".join(f"{each.key}: {each.message}" if each.key else each.message for each in problems))
    if found is None or found == Match():
        raise ValueError(f"expected at least one of {', '.join(each.name for each in fields(Match))}")
    return found


@dataclass(frozen=True)
class Rule:
    """Events that match are dropped, go to the sinks named, or are kept longer or no longer than others."""

    name: str = required(text)
    match: Match = required(_match)  # noqa: RUF009  # the field's check, not a value
    drop: bool = setting(default=False, check=flag)
    route: tuple[str, ...] | None = setting(default=None, check=texts)
    keep: str = setting("", choice("longest", "normal"))


@dataclass(frozen=True)
class Config:
    """The whole configuration. `source` is the file it came from, None for the defaults."""

    host: Host = field(default_factory=Host)
    decode: Decode = field(default_factory=Decode)
    limits: Limits = field(default_factory=Limits)
    timing: Timing = field(default_factory=Timing)
    privileges: Privileges = field(default_factory=Privileges)
    state: State = field(default_factory=State)
    queue: Queue = field(default_factory=Queue)
    metrics: Metrics = field(default_factory=Metrics)
    sinks: Mapping[str, SinkSettings] = field(default_factory=lambda: dict(DEFAULT_SINKS))
    rules: tuple[Rule, ...] = ()
    # A site's own fields and their kinds.
    site_fields: tuple[tuple[str, str], ...] = ()
    source: str | None = field(default=None, compare=False)
    # Whether it says nothing.
    empty: bool = field(default=True, compare=False)
    # Further folders that have to be within reach: those that a configuration names which is not understood.
    reach: tuple[str, ...] = field(default=(), compare=False)

    @property
    def encodings(self) -> list[str]:
        """What the engine has to write."""
        return sorted({sink.format for sink in self.sinks.values()})

    def engine_options(
        self, host: HostFacts, process_start_ms: int, sinks: Sequence[str] | None = None
    ) -> dict[str, object]:
        """What the engine is built from (the seam's `options`).

        Args:
            host: this host, as `audisp_pyaudit.host.host_facts` found it.
            process_start_ms: Unix time in milliseconds; part of the ids of our own events.
            sinks: names of the sinks by their bits in the routes of frames; None for those of the configuration in a
                row. An empty name is a bit that nobody has.
        """
        limits = {each.name: getattr(self.limits, each.name) for each in fields(Limits) if each.name != "intake_bytes"}
        timing = {each.name: getattr(self.timing, each.name) for each in fields(Timing) if each.name != "drain_ms"}
        timing["name_ttl_ms"] = self.decode.name_ttl_seconds * 1000
        timing["name_negative_ttl_ms"] = self.decode.name_negative_ttl_seconds * 1000
        return {
            "host": {
                "name": host.name,
                "id": host.id,
                "nodes": list(host.nodes),
                "boot_id": host.boot_id,
                "architecture": host.architecture,
            },
            "process_start_ms": process_start_ms,
            "encodings": self.encodings,
            "include_raw": self.decode.include_raw,
            "names": "ask" if self.decode.names else "off",
            "limits": limits,
            "timing": timing,
            "sinks": list(self.sinks if sinks is None else sinks),
            "rules": [_rule_option(rule) for rule in self.rules],
            "fields": list(self.site_fields),
        }


def _rule_option(rule: Rule) -> dict[str, object]:
    match = {each.name: list(getattr(rule.match, each.name)) for each in fields(Match)}
    return {
        "name": rule.name,
        "match": {name: values for name, values in match.items() if values},
        "drop": rule.drop,
        "route": None if rule.route is None else list(rule.route),
        "class": {"longest": "keep", "normal": "normal"}.get(rule.keep),
    }
