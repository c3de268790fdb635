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


def test_accounts_of_two_that_followed_each_other() -> None:
    """One line in the ledger for a name, whichever sinks had it; where it goes is where the last one goes."""
    first = SinkStats(frames=5, offered=5, delivered=4, lost=Counter(slow=1), peers={"old": "UP"}, absent=2)
    second = SinkStats(frames=3, offered=3, queued=3, lost=Counter(), cut=1, peers={"new": "UP"})
    total = first + second
    assert (total.frames, total.offered, total.delivered, total.queued, total.cut, total.absent) == (8, 8, 4, 3, 1, 2)
    assert (total.lost, total.peers) == (Counter(slow=1), {"new": "UP"})
    assert total.closed
