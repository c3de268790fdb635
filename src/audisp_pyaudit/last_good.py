"""The configuration to run with: the one that was asked for, or the last one that was right.

In: the file's name. Out: a configuration in any case, and what is wrong with the one that was asked for. A copy of each
configuration that was right at a start lies beside the state, where nobody but root can put another one that we would
read. Where there is no copy either, the defaults hold everything for whoever is to have it.
"""

import contextlib
import os
import re
import stat
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audisp_pyaudit.config import Config, Privileges, Queue, State
from audisp_pyaudit.config_file import CONFIG_PATH, MAX_CONFIG_BYTES, load, parse, read
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.files import read_trusted, replace_file
from audisp_pyaudit.settings import Problem, read_table
from audisp_pyaudit.sink_settings import DEFAULT_SINKS, HoldSettings

WITH_LAST_GOOD = "configuration is wrong; running with the last one that was right"
GOING_ON = "configuration is wrong; going on with the one before"
WITH_DEFAULTS = "configuration is wrong; running with the defaults, holding events for the sinks it will name"
# All paths of a file, and one in a table, by text alone: of a file that is not TOML, too.
_ANY_PATH = re.compile(r"[\"'](?:unix://)?(/[^\"'\n\0]*)[\"']")
_PATH_IN = r"^[ \t]*\[{}\][^\n]*\n(?:(?![ \t]*\[)[^\n]*\n)*?[ \t]*path[ \t]*=[ \t]*[\"']([^\"'\n]*)[\"']"


def choose(file: str | None) -> tuple[Config, list[str], str]:
    """Find a configuration to run with.

    Args:
        file: the file; None for the usual one.

    Returns:
        The configuration, what is wrong with the one that was asked for, and what is done meanwhile.
    """
    try:
        return load(file), [], ""
    except ConfigFileError as error:
        problems = [str(each) for each in error.errors]
    except Exception as error:  # noqa: BLE001  # a bug in reading it, which is not worth a stop
        problems = [f"{file or CONFIG_PATH}: cannot be understood: {error!r}"]
    found = salvage(file or CONFIG_PATH)
    copy = Path(found.state).parent / copy_name(file or CONFIG_PATH)
    with contextlib.suppress(OSError, ValueError, ConfigFileError):
        content = read_trusted(str(copy), stat.S_IRWXG | stat.S_IRWXO, "", MAX_CONFIG_BYTES, follow=False)
        return parse(content, str(copy)), problems, WITH_LAST_GOOD
    return holding(found), problems, WITH_DEFAULTS


def copy_name(file: str) -> str:
    """The name of a configuration's copy: those of several plugins may lie in one folder."""
    return "last-good.toml" if file == CONFIG_PATH else f"last-good-{zlib.crc32(file.encode()):08x}.toml"


def holding(found: "Salvaged | None" = None) -> Config:
    """The defaults, with everything held for sinks that are not known.

    Args:
        found: what the wrong configuration still says; nothing, if None.
    """
    found = found or Salvaged()
    return Config(
        sinks={**DEFAULT_SINKS, HOLD: HoldSettings()},
        state=State(path=found.state),
        queue=Queue(path=found.queue),
        privileges=found.privileges,
        reach=found.folders,
    )


def keep(config: Config) -> None:
    """Copy a configuration that is right, as root if we are; where that cannot be, there is no copy."""
    if config.source is None or not config.state.path:
        return
    folder = Path(config.state.path).parent
    copy = folder / copy_name(config.source)
    with contextlib.suppress(OSError, ValueError, ConfigFileError):
        content = read(config.source)
        with contextlib.suppress(OSError, ValueError):
            if read_trusted(str(copy), stat.S_IRWXG | stat.S_IRWXO, "", MAX_CONFIG_BYTES, follow=False) == content:
                return
        parse(content, config.source)  # it may be another one by now
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(copy, content)


def outdated(config: Config) -> None:
    """Another configuration runs by now: keep that one if we may, and none otherwise.

    A start that finds its file wrong must not run with a copy that knows nothing of the sinks that came since.
    """
    if os.geteuid() == 0:
        keep(config)
        return
    if config.source is not None and config.state.path:
        with contextlib.suppress(OSError):
            (Path(config.state.path).parent / copy_name(config.source)).unlink(missing_ok=True)


@dataclass(frozen=True)
class Salvaged:
    """What a configuration that is wrong still says: where state and spool are, whom to become, and all folders."""

    state: str = field(default_factory=lambda: State().path)
    queue: str = field(default_factory=lambda: Queue().path)
    privileges: Privileges = field(default_factory=Privileges)
    folders: tuple[str, ...] = ()


def salvage(file: str) -> Salvaged:
    """Read what can be read of a wrong configuration: by table where it is TOML, by lines where it is not."""
    try:
        text = read(file).decode(errors="replace")
    except (OSError, ConfigFileError):
        return Salvaged()
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError):
        table = {name: {"path": _path_in(name, text)} for name in ("state", "queue")}
    folders = {path.rpartition("/")[0] for path in _ANY_PATH.findall(text)}
    return Salvaged(
        _path_of(table, "state", State().path),
        _path_of(table, "queue", Queue().path),
        _privileges(table.get("privileges")),
        tuple(sorted(each for each in folders if each)),
    )


def _path_in(table: str, text: str) -> str:
    found = re.search(_PATH_IN.format(table), text, re.MULTILINE)
    return found[1] if found else ""


def _path_of(table: Mapping[str, object], name: str, default: str) -> str:
    found = table.get(name)
    path = found.get("path") if isinstance(found, dict) else None
    return path if isinstance(path, str) and path.startswith("/") and "\0" not in path else default


def _privileges(table: object) -> Privileges:
    problems: list[Problem] = []
    found = read_table(Privileges, table, "privileges", problems) if isinstance(table, dict) else None
    return Privileges() if problems or found is None else found
