"""The errors a user can meet. Each says what is wrong, where, and what was expected; everything else is a bug."""

from collections.abc import Iterable


class PyauditError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(PyauditError):
    """One thing wrong in a configuration file.

    Args:
        file: the file's name as the user gave it.
        key: the dotted key (`sinks.events.mode`), empty if the file as a whole is meant.
        message: what is wrong and what was expected.
        line: line number, from 1, where known.
    """

    def __init__(self, file: str, key: str, message: str, line: int | None = None) -> None:
        super().__init__(file, key, message, line)
        self.file = file
        self.key = key
        self.message = message
        self.line = line

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigFileError(PyauditError):
    """Everything that is wrong in a configuration file, so that it can be put right in one go."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__(*self.errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class SinkError(PyauditError):
    """A sink cannot deliver now; it is worth trying again after `retry_after` seconds.

    Args:
        message: what failed, for the log.
        reason: one word under which frames are counted as lost meanwhile, such as `ENOSPC`.
        retry_after: seconds.
    """

    def __init__(self, message: str, reason: str, retry_after: float) -> None:
        super().__init__(message, reason, retry_after)
        self.message = message
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class ConsumerError(PyauditError):
    """Events cannot be read, or something that came is none.

    Args:
        where: what is read, as the user named it, and the place in it where that is known.
        message: what is wrong and what was expected.
    """

    def __init__(self, where: str, message: str) -> None:
        super().__init__(where, message)
        self.where = where
        self.message = message

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class StatusError(PyauditError):
    """A status cannot be read; says which and why."""
