"""The log: what the process has to say about itself, on standard error; in the system's log if that is /dev/null.

In: events with fields. Out: a readable line on a terminal, logfmt elsewhere. It never says what stands in audit
records, and it never stops the process: a standard error that is gone, or that nobody reads, costs the line. What is
said again and again is left out and counted. structlog is loaded here, so this is imported after intake has begun to
read.
"""

import logging
import sys
import time
from typing import IO, Any, Protocol

import structlog

from audisp_pyaudit.escaping import escape
from audisp_pyaudit.stderr import Stderr
from audisp_pyaudit.system_log import SystemLog, nobody_reads

# How often the same is said of the same sink, file or peer, in which time.
_BURST, _BURST_SECONDS = 10, 60.0
# What tells one thing from another.
_ABOUT = ("sink", "file", "peer", "why", "problem", "key", "folder")
# What somebody did by hand is answered each time.
_ANSWERS = frozenset({"configuration reloaded", "configuration unchanged"})
# How many such things are remembered at most.
_KNOWN = 1000


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


class _Repeated:
    """Leaves out what is said too often; the next that is said has the number of those (`left_out`)."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, ...], tuple[float, int]] = {}  # since when, and how often

    def __call__(self, _log: object, _method: str, event: Any) -> Any:  # noqa: ANN401  # structlog's types
        if event.get("event") in _ANSWERS:
            return event
        key = (str(event.get("event")), *(str(event.get(each)) for each in _ABOUT))
        now = time.monotonic()
        begun, count = self._said.get(key, (now, 0))
        if now - begun < _BURST_SECONDS and count >= _BURST:
            self._said[key] = (begun, count + 1)
            raise structlog.DropEvent
        if now - begun >= _BURST_SECONDS:
            if count > _BURST:
                event["left_out"] = count - _BURST
            begun, count = now, 0
        if len(self._said) >= _KNOWN:
            self._said.clear()
        self._said[key] = (begun, count + 1)
        return event


def _target(stream: IO[str] | None) -> Stderr | _Forgiving:
    """The stream's descriptor, written to without waiting; the stream itself, if it has none (in tests)."""
    if stream is None:  # we were started without a standard error
        return Stderr(None)
    try:
        return Stderr(stream.fileno())
    except (OSError, ValueError):
        return _Forgiving(stream)


def make_log(stream: IO[str] | None = None) -> structlog.typing.FilteringBoundLogger:
    """A log of our own; structlog's global configuration stays as it is.

    Args:
        stream: where to; standard error, or the system's log if nobody reads that.
    """
    if stream is None and nobody_reads():
        return _wrapped(
            SystemLog(),
            [structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer(key_order=["event"])],
        )
    target = _target(sys.stderr if stream is None else stream)
    on_terminal = target.isatty()
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not on_terminal),
    ]
    if on_terminal:
        processors.append(structlog.dev.ConsoleRenderer())
    else:
        processors.append(structlog.processors.format_exc_info)
        processors.append(structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]))
    return _wrapped(structlog.PrintLogger(target), processors)  # type: ignore[arg-type]  # it writes and flushes


def _wrapped(logger: object, processors: list[Any]) -> structlog.typing.FilteringBoundLogger:
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        logger,
        processors=[_Repeated(), _escape_values, *processors],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return log
