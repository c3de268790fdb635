"""The status file, read back: what was said last, and whether whoever said it is still there.

In: a path. Out: the status, and what has become of its process. A process is known by its pid and the time at which it
began, as pids are used again.
"""

import json
from pathlib import Path

from audisp_pyaudit.errors import StatusError
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.proc import lives
from audisp_pyaudit.status import VERSION, Status

# With 64 sinks it has some hundred KiB; this only keeps a wrong file from filling the memory.
_MAX_BYTES = 16 * 1024 * 1024
# The status is written about once a second. Later than this, its process is there and does not work.
SILENT_SECONDS = 10.0


def read(path: str) -> Status:
    """What the status file says.

    Raises:
        StatusError: there is none, or it is something else.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_MAX_BYTES)
    except OSError as error:
        raise StatusError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise StatusError(f"{path}: expected a status of audisp-pyaudit, found no JSON") from None
    if not isinstance(found, dict) or "ledger" not in found:
        raise StatusError(f"{path}: expected a status of audisp-pyaudit, found something else")
    if found.get("version") != VERSION:
        raise StatusError(f"{path}: expected version {VERSION} of the status, found {found.get('version')!r}")
    return found


def ledger_of(status: Status) -> Ledger:
    """The ledger in a status.

    Raises:
        KeyError, TypeError: there is none.
    """
    return Ledger.from_dict(status["ledger"])


def condition(status: Status, now: float) -> str:
    """What has become of the process: `running`, `silent` (there, but says nothing), `ended` (as it should), `gone`."""
    if not status["running"]:
        return "ended"
    if not lives(int(status["pid"]), status["start_ticks"]):
        return "gone"
    return "silent" if now - status["written"] > SILENT_SECONDS else "running"
