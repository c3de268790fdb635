"""Segments that were found damaged, set aside for whoever wants to know what happened, or to read them after all.

In: a damaged segment. Out: a second name for it, in a folder beside the spool's generations; so it costs no copy, and
stays when the spool gives the segment back. No more is kept than a part of the quota; the oldest goes first.
"""

import contextlib
import os
from pathlib import Path


class Aside:
    """A folder of damaged segments.

    Args:
        folder: the folder; it is made when it is needed.
        limit: bytes that may be in it.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit

    @property
    def bytes(self) -> int:
        """Bytes that only this folder keeps on the disk."""
        return sum(each.st_size for _, each in self._files() if each.st_nlink == 1)

    def keep(self, segment: Path) -> Path | None:
        """Set a segment aside; where, or None if it is there already.

        Raises:
            OSError: it could not be.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        name = self.folder / f"{segment.parent.name}-{segment.name}"
        try:
            os.link(segment, name)
        except FileExistsError:
            return None
        files = self._files()
        while len(files) > 1 and sum(each.st_size for _, each in files) > self._limit:
            files.pop(0)[0].unlink(missing_ok=True)
        return name

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """What is there, oldest first."""
        found: list[tuple[Path, os.stat_result]] = []
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self.folder.iterdir()):
                with contextlib.suppress(FileNotFoundError):
                    found.append((path, path.stat()))
        return found
