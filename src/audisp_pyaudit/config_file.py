"""A configuration file, in TOML: read, if it can be trusted, and understood.

In: a file's name, or nothing. Out: a `Config` that is right as a whole, or `ConfigFileError` with everything that is
wrong in the file. It opens no socket, creates no file and looks no name up.
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from typing import Any, cast

from audisp_pyaudit.config import Config, Decode, Host, Limits, Privileges, Queue, Rule, State, Timing
from audisp_pyaudit.config_checks import check_together
from audisp_pyaudit.errors import ConfigError, ConfigFileError
from audisp_pyaudit.files import read_trusted
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.settings import MAX_PROBLEMS, Problem, dotted, hint, line_of, read_table, shown, unknown
from audisp_pyaudit.sink_settings import DEFAULT_SINKS, MIB, SINK_TYPES, KafkaSettings, SinkSettings, StdoutSettings
from audisp_pyaudit.site_fields import read_site_fields

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
        check_together(config, problems)
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
