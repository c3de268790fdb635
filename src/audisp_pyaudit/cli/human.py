"""Numbers as people read them.

In: seconds, bytes, counts, times. Out: short texts.
"""

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_KILO = 1000


def count(number: int, what: str = "") -> str:
    """`1,234 events`; one of them without the `s`."""
    if not what:
        return f"{number:,}"
    return f"{number:,} {what[:-1] if number == 1 else what}"


def size(number: float) -> str:
    """`12.3 MB`, in powers of ten."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < _KILO:
            return f"{number:.0f} {unit}" if unit == "bytes" or number >= _KILO / 10 else f"{number:.1f} {unit}"
        number /= _KILO
    return f"{number:,.1f} TB"


def duration(seconds: float) -> str:
    """`120 ms`, `12 s`, `3 min`, `4 h 5 min`, `2 d 3 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < _DAY:
        return _two(seconds, _HOUR, "h", _MINUTE, "min")
    return _two(seconds, _DAY, "d", _HOUR, "h")


def _two(seconds: float, large: int, large_name: str, small: int, small_name: str) -> str:
    whole, rest = divmod(int(seconds), large)
    return f"{whole:,} {large_name} {rest // small} {small_name}" if rest >= small else f"{whole:,} {large_name}"


def clock(when: float, now: float) -> str:
    """`14:03:22 UTC`; with the day, if it is not today's."""
    try:
        then, today = datetime.fromtimestamp(when, UTC), datetime.fromtimestamp(now, UTC).date()
    except (OverflowError, ValueError, OSError):
        return "a time that cannot be"
    return f"{then:%H:%M:%S} UTC" if then.date() == today else f"{then:%Y-%m-%d %H:%M:%S} UTC"
