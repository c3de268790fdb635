"""What the engine remembers across restarts, in a file.

In: the engine's own bytes, which it versions itself. Out: the same bytes, or nothing where there are none. Saving
replaces the file as a whole, so a crash leaves the old one or the new one. A folder that cannot be written costs the
memory across restarts, nothing else. One process at a time has the state: two would overwrite each other's, and both
would publish what was held.
"""

import fcntl
import os
from pathlib import Path

from audisp_pyaudit.files import replace_file

# The engine's state is bounded by what it may hold; this only keeps a wrong path from filling the memory.
MAX_STATE_BYTES = 256 * 1024 * 1024

# Beside the state; locked by whoever has it. The state itself is replaced at every save, a lock on it would go with it.
LOCK_SUFFIX = ".lock"


class StateLock:
    """The right to read and write the state, among the living processes.

    Args:
        path: the state's path.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path + LOCK_SUFFIX)
        self._fd: int | None = None
        self.held = False

    def take(self) -> bool:
        """Take the lock if nobody else has it; never waits.

        A lock file that cannot be made or locked at all keeps nobody out: then saving fails too, and is told.
        """
        if self.held:
            return True
        self.held = True
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
        except OSError:
            return True
        return self.held

    def release(self) -> None:
        """Let another process have the state. The lock file stays: removing it would let two have a lock each."""
        self.held = False
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


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
    """Replace the state. It survives the end of the process; after a power cut serials may start anew.

    Raises:
        OSError: it could not be written; the old state is still there.
    """
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(Path(path), state)
