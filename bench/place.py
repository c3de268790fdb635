"""Where a bench's files go: memory if there is room, so that no disk is measured; else a folder below `bench/out`."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.contenders import HERE

_SHM = Path("/dev/shm")  # noqa: S108  # the folder in it gets a name of its own


def place(room: int, work: Path | None = None) -> Path:
    """A folder.

    Args:
        room: bytes that are needed.
        work: what the user said.
    """
    if work:
        work.mkdir(parents=True, exist_ok=True)
        return work
    if _SHM.is_dir() and shutil.disk_usage(_SHM).free > room and _memory_free() > room:
        return _SHM
    folder = HERE / "out"
    folder.mkdir(exist_ok=True)
    return folder


def _memory_free() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
