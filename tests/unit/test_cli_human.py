"""Numbers as people read them."""

import pytest

from audisp_pyaudit.cli.human import clock, count, duration, size

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC


def test_counts() -> None:
    """Thousands are told apart; one is one."""
    assert count(1234567) == "1,234,567"
    assert count(1, "events") == "1 event"
    assert count(0, "events") == "0 events"
    assert count(1200, "records") == "1,200 records"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (12_345, "12.3 kB"),
        (129_000_000, "129 MB"),
        (1_073_741_824, "1.1 GB"),
        (4.5e13, "45.0 TB"),
    ],
)
def test_sizes(number: float, text: str) -> None:
    """Three digits are enough."""
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.12, "120 ms"),
        (12.4, "12 s"),
        (720, "12 min"),
        (3600, "1 h"),
        (3 * 3600 + 305, "3 h 5 min"),
        (86400, "1 d"),
        (3 * 86400 + 4 * 3600 + 59, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Two units at most."""
    assert duration(seconds) == text


def test_times() -> None:
    """The day stands there if it is another one; what is no time does no harm."""
    assert clock(NOON + 62, NOON + 3600) == "12:01:02 UTC"
    assert clock(NOON - 86400, NOON) == "2026-11-20 12:00:00 UTC"
    assert clock(1e30, NOON) == "a time that cannot be"
