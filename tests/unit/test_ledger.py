"""The ledger adds up, or says that it does not."""

import json
from collections import Counter
from dataclasses import replace

from audisp_pyaudit.intake import Dropped
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.sinks.base import SinkStats

ENGINE = {
    "records_in": 10,
    "records_restored": 2,
    "records_published": 8,
    "records_held": 1,
    "records_end_of_event": 1,
    "records_filtered": 2,
    "events_published": 3,
    "gaps": 1,
}
SINK = SinkStats(frames=4, offered=4, delivered=1, filtered=1, queued=1, lost=Counter(ENOSPC=1))


def test_a_ledger_that_closes() -> None:
    """A person sees where every record and every event went."""
    ledger = Ledger(ENGINE, Dropped(5, 500), frames=4, notices=1, sinks={"a": SINK})
    assert ledger.closed
    assert list(ledger.lines()) == [
        "records read 15 = engine 10 + intake_full 5 (500 bytes)",
        "records in 10 + restored 2 = published 8 + held 1 + end_of_event 1 + filtered 2",
        "events published 3 (gaps 1)",
        "sink a: offered 4 = delivered 1 + filtered 1 + queued 1 + lost 1 (ENOSPC 1)",
        "ledger closed",
    ]


def test_it_can_be_written_and_read_back() -> None:
    """Whoever reads a status has the same ledger, to the last number; a copy, that does not change any more."""
    sink = replace(SINK, lost=Counter(ENOSPC=1), peers={"a": "UP"})
    ledger = Ledger(ENGINE, Dropped(5, 500), frames=4, notices=1, sinks={"a": sink})
    written = json.loads(json.dumps(ledger.as_dict()))
    assert written["closed"]
    assert written["intake_full"] == {"records": 5, "bytes": 500}
    assert Ledger.from_dict(written) == ledger
    found = ledger.as_dict()
    sink.lost["slow"] += 1
    assert found["sinks"]["a"]["lost"] == {"ENOSPC": 1}


def test_a_record_that_is_nowhere() -> None:
    """One record that nobody accounts for is seen."""
    ledger = Ledger(ENGINE | {"records_published": 7}, frames=3)
    assert not ledger.engine_closed
    assert list(ledger.lines())[-1] == "ledger NOT closed"


def test_a_panic_is_accounted_for() -> None:
    """What a bug cost has its own place."""
    ledger = Ledger(ENGINE | {"records_published": 7, "records_lost_panic": 1}, frames=3)
    assert ledger.closed
    assert any("lost_panic 1" in line for line in ledger.lines())


def test_frames_that_a_sink_never_saw() -> None:
    """Each sink has to have been offered every frame."""
    assert not Ledger(ENGINE, frames=4, notices=1, sinks={"a": replace(SINK, frames=3)}).closed
    assert not Ledger(ENGINE, frames=4, notices=1, sinks={"a": replace(SINK, delivered=0)}).closed
    assert not Ledger(ENGINE, frames=4, notices=0).closed


def test_refused_subscribers_are_told() -> None:
    """Whoever wonders why a consumer does not get in finds it in the ledger."""
    ledger = Ledger(ENGINE, frames=4, notices=1, sinks={"a": replace(SINK, refused=2)})
    assert ledger.closed
    assert any(line.endswith("; subscribers refused 2") for line in ledger.lines())
