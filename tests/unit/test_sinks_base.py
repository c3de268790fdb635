"""What all sinks share."""

import errno
from collections import Counter

from audisp_pyaudit.sinks.base import SinkStats, reason, sink_error


def test_a_sink_ledger_closes_or_not() -> None:
    """Every frame offered is delivered, filtered, queued or lost under a reason."""
    assert SinkStats(offered=6, delivered=1, filtered=1, queued=1, lost=Counter(slow=2, left=1)).closed
    assert not SinkStats(offered=1).closed


def test_reasons_are_the_systems_own_words() -> None:
    """Losses are counted under the names that people can look up."""
    assert reason(OSError(errno.ENOSPC, "x")) == "ENOSPC"
    assert reason(OSError()) == "EIO"
    error = sink_error("/x", OSError(errno.EACCES, "Permission denied"))
    assert (str(error), error.reason) == ("/x: Permission denied", "EACCES")
