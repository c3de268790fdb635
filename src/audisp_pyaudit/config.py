"""The configuration, typed: what the plugin does where nothing is said, and what may be said in TOML.

In: a file's name, or nothing. Out: a `Config` that is right as a whole, or `ConfigFileError` with everything that is
wrong in the file. Every default stands here and nowhere else; `plugin/audisp-pyaudit.toml` repeats them for people, and
a test keeps the two equal. Reading a configuration opens no socket, creates no file and looks no name up.
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from posixpath import normpath
from typing import Any, cast

from audisp_pyaudit.address import split
from audisp_pyaudit.errors import ConfigError, ConfigFileError
from audisp_pyaudit.files import read_trusted
from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.settings import (
    MAX_PROBLEMS,
    Problem,
    choice,
    dotted,
    flag,
    hint,
    ids,
    line_of,
    one_or_more,
    path,
    path_or_none,
    read_table,
    required,
    setting,
    shown,
    text,
    texts,
    unknown,
    user_name,
    whole,
)
from audisp_pyaudit.sink_settings import (
    DEFAULT_SINKS,
    MIB,
    SINK_TYPES,
    ForwardSettings,
    HoldSettings,
    KafkaSettings,
    SinkSettings,
    StdoutSettings,
    SubscriberSettings,
    UnixSettings,
)
from audisp_pyaudit.site_fields import read_site_fields
from audisp_pyaudit.state import LOCK_SUFFIX

CONFIG_PATH = "/etc/audisp-pyaudit/audisp-pyaudit.toml"
# A file this large is not a configuration; reading stops here, so that a wrong path cannot fill the memory.
MAX_CONFIG_BYTES = 4 * MIB
# Settings of librdkafka that are nobody else's business.
_SECRET = re.compile(r"(password|secret|key\.pem)\Z")
_OTHERS_READ = "others may read this file; expected mode 0640, or the value in a file that `secrets` names"
_OTHERS_WRITE = "others may write it (mode {mode}); expected 0640, or stricter"
# Route bits are one 64 bit word in every frame's header.
MAX_SINKS = 64
_SINK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_MANY_DIGITS = re.compile(r"[0-9][0-9_]{4299}")  # Python reads no number with more
_TOML_PLACE = re.compile(r"\s*\(at line (\d+), column (\d+)\)\Z")


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


def load(file: str | None = None) -> Config:
    """Read the configuration.

    Args:
        file: the file; None for the usual place, which need not exist.

    Raises:
        ConfigFileError: with everything that is wrong.
    """
    name = CONFIG_PATH if file is None else file
    try:
        config = parse(read(name), name)
        mode = os.stat(name).st_mode  # noqa: PTH116  # a text
    except FileNotFoundError as error:
        if file is None:
            return Config()
        raise ConfigFileError([ConfigError(file, "", f"cannot be read: {error.strerror}")]) from None
    if mode & stat.S_IROTH:
        told = [
            ConfigError(name, f"sinks.{sink}.librdkafka", f'"{key}" stands here, and {_OTHERS_READ}')
            for sink, settings in config.sinks.items()
            if isinstance(settings, KafkaSettings)
            for key, _ in settings.librdkafka
            if _SECRET.search(key)
        ]
        if told:
            raise ConfigFileError(told)
    return config


def read(file: str) -> bytes:
    """The bytes of a configuration file.

    Raises:
        FileNotFoundError: there is none.
        ConfigFileError: it cannot be read, or not be trusted.
    """
    try:
        # It decides what becomes of the audit trail.
        content = read_trusted(file, stat.S_IWOTH, _OTHERS_WRITE, MAX_CONFIG_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigFileError([ConfigError(file, "", f"cannot be read: {error.strerror}")]) from None
    except ValueError as error:
        raise ConfigFileError([ConfigError(file, "", str(error))]) from None
    if len(content) > MAX_CONFIG_BYTES:
        raise ConfigFileError([ConfigError(file, "", f"is larger than {MAX_CONFIG_BYTES} bytes; not a configuration")])
    return content


def parse(content: bytes, file: str) -> Config:
    """Turn the bytes of a configuration file into a `Config`.

    Raises:
        ConfigFileError: with everything that is wrong; `file` is how they name the file.
    """
    try:
        source = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigFileError([ConfigError(file, "", "is not UTF-8 text", line)]) from None
    try:
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigFileError([_syntax_error(file, source, str(error))]) from None
    except RecursionError:
        raise ConfigFileError([ConfigError(file, "", "tables or lists are nested too deep")]) from None
    except ValueError:  # what Python's int() refuses comes through tomllib as it is
        digits = _MANY_DIGITS.search(source)
        where = source.count("\n", 0, digits.start()) + 1 if digits else None
        raise ConfigFileError([ConfigError(file, "", "a number has too many digits", where)]) from None
    problems: list[Problem] = []
    config = _config(table, file, problems)
    if problems:
        found = [ConfigError(file, each.key, each.message, _line(source, each.key)) for each in problems]
        raise ConfigFileError(sorted(found, key=lambda each: (each.line is None, each.line or 0)))
    return config


def _line(source: str, key: str) -> int | None:
    """The line of a key; of its table where the key is missing."""
    return line_of(source, key) or line_of(source, key.rpartition(".")[0] or key)


def _syntax_error(file: str, source: str, message: str) -> ConfigError:
    place = _TOML_PLACE.search(message)
    if place is None:  # "(at end of document)"
        return ConfigError(file, "", f"not TOML: {message}", source.count("\n") + 1)
    return ConfigError(file, "", f"not TOML: {message[: place.start()]}, column {place[2]}", int(place[1]))


def _config(table: Mapping[str, object], file: str, problems: list[Problem]) -> Config:
    sections: dict[str, type] = {
        "host": Host,
        "decode": Decode,
        "limits": Limits,
        "timing": Timing,
        "privileges": Privileges,
        "state": State,
        "queue": Queue,
        "metrics": Metrics,
    }
    known = [*sections, "sinks", "rules"]
    empty = not table
    strangers = [name for name in table if name not in known]
    problems.extend(unknown("", name, known) for name in strangers[:MAX_PROBLEMS])
    table, own_fields = _without_fields(table, problems)
    parts: dict[str, Any] = {
        name: read_table(cls, table[name], name, problems) for name, cls in sections.items() if name in table
    }
    if table.get("sinks", {}) != {}:
        parts["sinks"] = _sinks(table["sinks"], problems)
    sink_names = parts.get("sinks", DEFAULT_SINKS)
    parts["rules"] = _rules(table.get("rules", []), sink_names, problems)
    parts["site_fields"] = own_fields
    config = Config(**parts, source=file, empty=empty)
    if not problems:
        _check_together(config, problems)
    return config


def _without_fields(
    table: Mapping[str, object], problems: list[Problem]
) -> tuple[Mapping[str, object], tuple[tuple[str, str], ...]]:
    """Read [decode.fields], whose keys are a site's own; give the rest of the table for the usual way."""
    decode = table.get("decode")
    if not isinstance(decode, dict) or "fields" not in decode:
        return table, ()
    from audisp_pyaudit._engine import FIELDS, KINDS  # noqa: PLC0415  # few sites need it; the start must be fast

    fields = read_site_fields(decode["fields"], KINDS, FIELDS, problems)
    return {**table, "decode": {key: value for key, value in decode.items() if key != "fields"}}, fields


def _sinks(table: object, problems: list[Problem]) -> dict[str, SinkSettings]:
    if not isinstance(table, dict):
        problems.append(Problem("sinks", f"expected tables ([sinks.NAME]), found {shown(table)}"))
        return {}
    if len(table) > MAX_SINKS:
        problems.append(Problem("sinks", f"expected at most {MAX_SINKS} sinks, found {len(table)}"))
    found: dict[str, SinkSettings] = {}
    for name, entry in table.items():
        if len(problems) >= MAX_PROBLEMS:
            break
        key = dotted("sinks", name)
        if not _SINK_NAME.match(name):
            problems.append(Problem(key, "expected a name of lower-case letters, digits, - and _ (at most 63)"))
        elif not isinstance(entry, dict):
            problems.append(Problem(key, f"expected a table ([{key}]), found {shown(entry)}"))
        elif not isinstance(entry.get("type"), str) or entry["type"] not in SINK_TYPES:
            listed = ", ".join(f'"{each}"' for each in SINK_TYPES)
            kind = shown(entry.get("type"))
            near = hint(kind.strip('"'), SINK_TYPES)
            told = f"found {kind}{near}" if "type" in entry else "is missing"
            problems.append(Problem(dotted(key, "type"), f"expected one of {listed}, {told}"))
        else:
            settings = read_table(SINK_TYPES[cast("str", entry["type"])], entry, key, problems)
            if settings is not None:
                found[name] = settings
                continue
        found[name] = StdoutSettings()  # a stand-in, so that rules which name this sink are not blamed for it
    return found


def _rules(entries: object, sinks: Mapping[str, SinkSettings], problems: list[Problem]) -> tuple[Rule, ...]:
    if not isinstance(entries, list):
        problems.append(Problem("rules", f"expected tables in a list ([[rules]]), found {shown(entries)}"))
        return ()
    rules: list[Rule] = []
    names: set[object] = set()
    for number, entry in enumerate(entries):
        if len(problems) >= MAX_PROBLEMS:
            break
        key = f"rules[{number}]"
        if not isinstance(entry, dict):
            problems.append(Problem(key, f"expected a table ([[rules]]), found {shown(entry)}"))
            continue
        before = len(problems)
        rule = read_table(Rule, entry, key, problems)
        if rule is not None:
            rules.append(rule)
            if len(problems) == before and rule.drop == (rule.route is not None or bool(rule.keep)):
                problems.append(Problem(key, "expected either drop = true, or route = [sinks], keep, or both"))
        route = entry.get("route")
        if route == []:
            problems.append(Problem(dotted(key, "route"), "expected at least one sink; drop = true publishes nowhere"))
        problems.extend(
            Problem(dotted(key, "route"), f'there is no sink "{name}"{hint(name, sinks)}')
            for name in (route if isinstance(route, list) else [])
            if isinstance(name, str) and name not in sinks
        )
        name = shown(entry.get("name"))
        if "name" in entry and name in names:
            problems.append(Problem(dotted(key, "name"), f"another rule has the name {name}"))
        names.add(name)
    return tuple(rules)


def _check_together(config: Config, problems: list[Problem]) -> None:
    """What each value allows and only all of them together show."""
    limits, timing = config.limits, config.timing
    for small, large in (("line_bytes", "event_bytes"), ("event_bytes", "held_bytes"), ("line_bytes", "intake_bytes")):
        if getattr(limits, small) > getattr(limits, large):
            problems.append(Problem(f"limits.{small}", f"expected at most limits.{large} ({getattr(limits, large)})"))
    if timing.grace_ms > timing.event_timeout_ms:
        problems.append(
            Problem("timing.grace_ms", f"expected at most timing.event_timeout_ms ({timing.event_timeout_ms})")
        )
    owner: dict[str, str] = {}
    for name, sink in config.sinks.items():
        if isinstance(sink, KafkaSettings | ForwardSettings | HoldSettings):
            continue
        place = "standard output" if isinstance(sink, StdoutSettings) else _same(sink.path)
        other = owner.setdefault(place, name)
        if other != name:
            problems.append(Problem(f"sinks.{name}", f'sink "{other}" has {place} already'))
        if config.state.path and place in (_same(config.state.path), _same(config.state.path + LOCK_SUFFIX)):
            problems.append(Problem(f"sinks.{name}.path", f"{place} is used for the state already (state.path)"))
    _check_metrics(config, owner, problems)
    listening = (
        (name, each) for name, each in config.sinks.items() if isinstance(each, UnixSettings | SubscriberSettings)
    )
    ours = {_same(each.path): name for name, each in listening}
    for name, sink in config.sinks.items():
        peer = split(sink.address) if isinstance(sink, ForwardSettings) else None
        if isinstance(peer, str) and _same(peer) in ours:
            other = ours[_same(peer)]
            problems.append(
                Problem(f"sinks.{name}.address", f'sink "{other}" of our own listens there; expected a peer')
            )


def _check_metrics(config: Config, owner: Mapping[str, str], problems: list[Problem]) -> None:
    """What is written about us is no place where something else is written."""
    taken = {place: f'sink "{name}"' for place, name in owner.items()}
    if config.state.path:
        for used in (config.state.path, config.state.path + LOCK_SUFFIX):
            taken[_same(used)] = "the state (state.path)"
    for name, each in config.metrics.paths():
        place = _same(each)
        other = taken.setdefault(place, f"metrics.{name}")
        if other != f"metrics.{name}":
            problems.append(Problem(f"metrics.{name}", f"{other} has {place} already"))


def _same(path: str) -> str:
    """One spelling for all that mean the same path; links are not followed, they may change."""
    return "/" + normpath(path).lstrip("/")
