"""The configuration to run with: the one that was asked for, or the last one that was right.

In: the file's name. Out: a configuration in any case, and what is wrong with the one that was asked for. A copy of each
configuration that was right at a start lies beside the state, where nobody but root can put another one that we would
read. Where there is no copy either, the defaults hold everything for whoever is to have it.
"""

import contextlib
import re
import stat
import zlib
from pathlib import Path

from audisp_pyaudit.config import CONFIG_PATH, MAX_CONFIG_BYTES, Config, Queue, State, load, parse, read
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.files import read_trusted, replace_file
from audisp_pyaudit.sink_settings import DEFAULT_SINKS, HoldSettings

WITH_LAST_GOOD = "configuration is wrong; running with the last one that was right"
GOING_ON = "configuration is wrong; going on with the one before"
WITH_DEFAULTS = "configuration is wrong; running with the defaults, holding events for the sinks it will name"
# A path in a table, by text alone; of a file that is not TOML, too.
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
    state, queue = _paths(file or CONFIG_PATH)
    copy = Path(state).parent / copy_name(file or CONFIG_PATH)
    with contextlib.suppress(OSError, ValueError, ConfigFileError):
        content = read_trusted(str(copy), stat.S_IRWXG | stat.S_IRWXO, "", MAX_CONFIG_BYTES)
        return parse(content, str(copy)), problems, WITH_LAST_GOOD
    return holding(state, queue), problems, WITH_DEFAULTS


def copy_name(file: str) -> str:
    """The name of a configuration's copy: those of several plugins may lie in one folder."""
    return "last-good.toml" if file == CONFIG_PATH else f"last-good-{zlib.crc32(file.encode()):08x}.toml"


def holding(state: str = "", queue: str = "") -> Config:
    """The defaults, with everything held for sinks that are not known.

    Args:
        state: where the state is.
        queue: where the spool is, which should be where that of the right configuration is.
    """
    return Config(
        sinks={**DEFAULT_SINKS, HOLD: HoldSettings()},
        state=State(path=state or State().path),
        queue=Queue(path=queue or Queue().path),
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
            if read_trusted(str(copy), stat.S_IRWXG | stat.S_IRWXO, "", MAX_CONFIG_BYTES) == content:
                return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(copy, content)


def _paths(file: str) -> tuple[str, str]:
    """Where state and spool are, by a file that is wrong: those lines may still be readable."""
    text = ""
    with contextlib.suppress(OSError, ConfigFileError):
        text = read(file).decode(errors="replace")

    def path(table: str, default: str) -> str:
        found = re.search(_PATH_IN.format(table), text, re.MULTILINE)
        return found[1] if found and found[1].startswith("/") else default

    return path("state", State().path), path("queue", Queue().path)
