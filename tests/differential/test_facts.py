"""The facts test: every fact that libauparse reads in the vectors is in our documents, or it is said why not.

libauparse is the audit project's own reader. Where the two do not agree, `differences.toml` says why the document is
right; nothing else may differ.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.differential import comparison, excuses, facts
from tests.differential.comparison import Log
from tests.vectors import golden

# Below this something of the comparison must have gone missing.
MIN_COMPARED = 32_000
MIN_MEANINGS = 1_600

pytestmark = pytest.mark.oracle


@dataclasses.dataclass
class Outcome:
    """What came of comparing all vectors."""

    total: facts.Comparison
    excuses: excuses.Excuses
    unexplained: list[facts.Difference]


@pytest.fixture(scope="module")
def outcome(figures: list[str]) -> Outcome:
    """All vectors, compared once."""
    comparison.need_oracle()
    vectors = [(golden.HERE / f"{name}.log", golden.load(name)) for name in golden.names()]
    total = comparison.compare(Log(vector.name, path, vector.log, vector.options) for path, vector in vectors)
    listed = excuses.listed()
    unexplained = listed.unexplained(total.differences)
    figures.extend(comparison.figures_of("vectors", total, listed, len(unexplained)))
    return Outcome(total, listed, unexplained)


def test_every_fact_is_in_the_document(outcome: Outcome) -> None:
    """Whoever moves from ausearch to these documents misses nothing that ausearch would have shown."""
    assert not outcome.unexplained, "not in differences.toml:\n" + "\n".join(map(str, outcome.unexplained))
    assert outcome.total.compared >= MIN_COMPARED
    assert outcome.total.meanings >= MIN_MEANINGS


def test_every_excuse_is_needed(outcome: Outcome) -> None:
    """The list of differences is the truth about today: an excuse for something mended is taken off it."""
    idle = outcome.excuses.idle(corpus=False)
    assert not idle, "in differences.toml, but there is no such difference:\n" + "\n".join(map(str, idle))


def test_no_excuse_covers_a_wrong_value(outcome: Outcome) -> None:
    """Where the document may differ, an error in it is still found: one more, one less or another byte is none."""
    hidden = []
    for found in outcome.total.differences:
        for wrong in {found.ours + "x", found.ours[:-1], "x" + found.ours[1:]} - {found.ours}:
            changed = dataclasses.replace(found, ours=wrong)
            if wrong != found.theirs and outcome.excuses.covers(changed):
                hidden.append(changed)
    assert not hidden, "\n".join(map(str, hidden))


def test_every_excuse_has_a_reason() -> None:
    """Anyone who doubts a difference finds why it is right."""
    listed = excuses.listed()
    assert {rule.reason for rule in listed.rules} == set(listed.whys)
    assert set(listed.sides.values()) <= set(excuses.SIDES)
