"""Passwords and keys that stand in files of their own."""

import stat
from pathlib import Path

from audisp_pyaudit.files import read_trusted

_MAX_BYTES = 64 * 1024
_OTHERS = "others may read or write it (mode {mode}); expected 0600 or 0640"


def read_secret(path: str) -> str:
    """What stands in the file, without the newline at its end.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not safe, or no text; says what was expected.
    """
    try:
        data = read_trusted(path, stat.S_IWGRP | stat.S_IRWXO, _OTHERS, _MAX_BYTES)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
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
