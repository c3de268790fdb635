"""Passwords and keys that stand in files of their own."""

import os
import stat
from pathlib import Path

_MAX_BYTES = 64 * 1024


def read_secret(path: str) -> str:
    """What stands in the file, without the newline at its end.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not safe, or no text; says what was expected.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as stream:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"{path}: expected a regular file")
        if about.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
            mode = stat.S_IMODE(about.st_mode)
            raise ValueError(f"{path}: others may read or write it (mode {mode:04o}); expected 0600 or 0640")
        if about.st_uid not in {0, os.geteuid()}:
            raise ValueError(f"{path}: it belongs to user {about.st_uid}; expected root or the plugin's user")
        data = stream.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{path}: expected at most {_MAX_BYTES} bytes")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8") from None


def with_secrets(files: tuple[tuple[str, str], ...]) -> dict[str, object]:
    """Settings whose values stand in files; read anew each time, so that a new password needs no restart.

    Raises:
        ValueError: a file cannot be read or is not safe; names the file.
    """
    found: dict[str, object] = {}
    for name, path in files:
        try:
            found[name] = read_secret(path)
        except OSError as error:
            raise ValueError(f"{Path(path)}: {error.strerror}") from None
    return found
