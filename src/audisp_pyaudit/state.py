"""What the engine remembers across restarts, in a file.

In: the engine's own bytes, which it versions itself. Out: the same bytes, or nothing where there are none. Saving
replaces the file as a whole, so a crash leaves the old one or the new one. A folder that cannot be written costs the
memory across restarts, nothing else.
"""

import contextlib
import os
import tempfile
from pathlib import Path

# The engine's state is bounded by what it may hold; this only keeps a wrong path from filling the memory.
MAX_STATE_BYTES = 256 * 1024 * 1024


def load_state(path: str) -> bytes | None:
    """Read the state; None if there is none.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return stream.read(MAX_STATE_BYTES)
    except FileNotFoundError:
        return None


def save_state(path: str, state: bytes) -> None:
    """Replace the state; the file is readable by its owner only, it holds audit records.

    The file is not synced to disk: state survives the end of the process, and after a power cut serials start anew.

    Raises:
        OSError: it could not be written; the old state is still there.
    """
    folder = Path(path).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".engine.state.", dir=folder)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(state)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
