"""Files that are replaced as a whole (a crash leaves the old or the new one), or read only if they can be trusted."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

Version = tuple[int, int]


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> Version:
    """Put data in the place of a file; it is readable by its owner only, unless `mode` says otherwise.

    Not synced: it survives the end of the process, and a power cut may leave the old one.

    Returns:
        What tells the new file from others, see `version_of`.

    Raises:
        OSError: it could not be written; the old file is still there.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            if mode != 0o600:  # noqa: PLR2004  # what it was made with
                os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            version = _version(os.fstat(stream.fileno()))
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return version


def version_of(path: Path) -> Version | None:
    """What tells a file from those that were or will be in its place; None if there is none.

    An inode alone does not: it is used again.
    """
    try:
        return _version(path.stat())
    except OSError:
        return None


def _version(found: os.stat_result) -> Version:
    return found.st_ino, found.st_mtime_ns


def read_trusted(path: str, forbidden: int, refusal: str, limit: int, *, follow: bool = True) -> bytes:
    """What stands in a file that only root or we ourselves can have written, up to a byte more than `limit`.

    Args:
        path: the file.
        forbidden: bits of its mode that must not be set.
        refusal: what they mean and what was expected; `{mode}` stands for the mode.
        limit: bytes that it may have.
        follow: whether it may be a link; not where others than root can lay one, which might lead to a device.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or not to be trusted; says why, without its name.
    """
    # Without O_NONBLOCK a FIFO that nobody writes would hold us up.
    more = os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | more)) as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("expected a regular file")
        if about.st_mode & forbidden:
            raise ValueError(refusal.format(mode=f"{stat.S_IMODE(about.st_mode):04o}"))
        if about.st_uid not in {0, os.geteuid()}:
            raise ValueError(f"it belongs to user {about.st_uid}; expected root or the plugin's user")
        return stream.read(limit + 1)
