"""What the kernel knows of a process: when it began, its memory, its processor time.

In: a pid. Out: numbers of /proc; None where they cannot be had.
"""

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
# Of /proc/PID/stat, counted behind the name in brackets, which may have blanks and brackets of its own.
_STATE, _START_TIME = 0, 19


def start_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None if there is none, or it has ended and nobody noticed.

    With its pid that tells it from all other processes since boot.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[_STATE] in {"Z", "X"} else int(fields[_START_TIME])
    except (OSError, ValueError, IndexError):
        return None


def lives(pid: int, ticks: int | None) -> bool:
    """Whether a process is there that has this pid and began then.

    Where /proc hides the processes of others (hidepid), the pid has to do.
    """
    found = start_ticks(pid)
    if found is not None:
        return found == ticks
    if Path(f"/proc/{pid}").exists():
        return False  # it has ended, and nobody noticed yet
    try:
        os.kill(pid, 0)  # sends nothing
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False  # it may be signalled, so it would be seen: it began, or ended, this moment


def resident_bytes() -> int | None:
    """Bytes of memory that this process has."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def cpu_seconds() -> float:
    """Processor time that this process used, user and system, all threads."""
    times = os.times()
    return times.user + times.system
