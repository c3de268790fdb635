"""The log: what the process has to say about itself, on standard error.

In: events with fields. Out: a readable line on a terminal, logfmt elsewhere. It never says what stands in audit
records, and it never stops the process: a standard error that is gone, or that nobody reads, costs the line. structlog
is loaded here, so this is imported after intake has begun to read.
"""

import logging
import sys
from typing import IO, Any, Protocol

import structlog

from audisp_pyaudit.escaping import escape
from audisp_pyaudit.stderr import Stderr


class Log(Protocol):
    """What is wanted of a log."""

    def info(self, event: str, **fields: Any) -> Any: ...  # noqa: ANN401, D102  # as structlog has it
    def warning(self, event: str, **fields: Any) -> Any: ...  # noqa: ANN401, D102
    def error(self, event: str, **fields: Any) -> Any: ...  # noqa: ANN401, D102


class _Forgiving:
    """A text stream without a descriptor, whose writing never fails."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


def _escape_values(_log: object, _method: str, event: Any) -> Any:  # noqa: ANN401  # structlog's types
    """Values may hold what strangers wrote: a key of a configuration, the message of a panic."""
    return {
        key: escape(value) if isinstance(value, str) and key != "exception" else value for key, value in event.items()
    }


def _target(stream: IO[str] | None) -> Stderr | _Forgiving:
    """The stream's descriptor, written to without waiting; the stream itself, if it has none (in tests)."""
    if stream is None:  # we were started without a standard error
        return Stderr(None)
    try:
        return Stderr(stream.fileno())
    except (OSError, ValueError):
        return _Forgiving(stream)


def make_log(stream: IO[str] | None = None) -> structlog.typing.FilteringBoundLogger:
    """A log of our own; structlog's global configuration stays as it is."""
    target = _target(sys.stderr if stream is None else stream)
    on_terminal = target.isatty()
    processors: list[Any] = [
        _escape_values,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not on_terminal),
    ]
    if on_terminal:
        processors.append(structlog.dev.ConsoleRenderer())
    else:
        processors.append(structlog.processors.format_exc_info)
        processors.append(structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]))
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(target),  # type: ignore[arg-type]  # it writes and flushes, no more is used
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return log
