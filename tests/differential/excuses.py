"""Why the document may say something else than libauparse: the rules of `differences.toml`, and what they ask.

A rule names the records and fields, what both sides say (regular expressions for the whole text), and, where these
cannot say it, a predicate of `predicates.py`, which looks at the record itself. It belongs to a reason, and a reason
to a side: `reference` where libauparse is wrong or lacks something, `representation` where both say the same in other
words. A rule must be so narrow that an error in our decoding is no case of it.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.differential.predicates import PREDICATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.differential.facts import Difference

LISTED = Path(__file__).resolve().parent / "differences.toml"
SIDES = ("reference", "representation")


def _one_or_more(value: str | list[str] | None) -> frozenset[str] | None:
    return None if value is None else frozenset([value] if isinstance(value, str) else value)


@dataclass(frozen=True)
class Rule:
    """One rule; what it leaves out (None) may be anything."""

    reason: str
    fields: frozenset[str]
    logs: frozenset[str] | None
    records: frozenset[str] | None
    theirs: re.Pattern[str] | None
    ours: re.Pattern[str] | None
    predicate: Callable[[Difference], bool] | None
    # Whether only logs of the corpus have a case of it.
    corpus: bool

    def excuses(self, found: Difference) -> bool:
        """Whether the difference is a case of this rule."""
        return (
            found.field in self.fields
            and (self.records is None or found.record_type in self.records)
            and (self.logs is None or found.log in self.logs)
            and (self.theirs is None or self.theirs.fullmatch(found.theirs) is not None)
            and (self.ours is None or self.ours.fullmatch(found.ours) is not None)
            and (self.predicate is None or self.predicate(found))
        )


@dataclass
class Excuses:
    """All rules, and how often each has excused a difference."""

    rules: list[Rule]
    # Of each reason: its side, and why.
    sides: dict[str, str]
    whys: dict[str, str]
    fired: Counter[Rule] = field(default_factory=Counter)

    def covers(self, found: Difference) -> bool:
        """Whether any rule excuses a difference."""
        return any(rule.excuses(found) for rule in self.rules)

    def unexplained(self, differences: Iterable[Difference]) -> list[Difference]:
        """The differences that no rule excuses; counts those that it does."""
        left = []
        for found in differences:
            rule = next((rule for rule in self.rules if rule.excuses(found)), None)
            if rule is None:
                left.append(found)
            else:
                self.fired[rule] += 1
        return left

    def idle(self, *, corpus: bool) -> list[Rule]:
        """Rules that have excused nothing; those for the corpus only if it was compared."""
        return [rule for rule in self.rules if not self.fired[rule] and (corpus or not rule.corpus)]

    def by_side(self) -> dict[str, int]:
        """How many differences were excused on each side."""
        sides: Counter[str] = Counter()
        for rule, times in self.fired.items():
            sides[self.sides[rule.reason]] += times
        return {side: sides[side] for side in SIDES}

    def by_reason(self) -> Counter[str]:
        """How many differences each reason has excused."""
        reasons: Counter[str] = Counter()
        for rule, times in self.fired.items():
            reasons[rule.reason] += times
        return reasons


def _rule(row: dict[str, Any]) -> Rule:
    pattern = {side: re.compile(row[side], re.DOTALL) if side in row else None for side in ("theirs", "ours")}
    unknown = row.keys() - {"reason", "log", "record", "field", "theirs", "ours", "predicate", "corpus"}
    assert not unknown, f"{row}: {unknown}"
    assert row.keys() & {"theirs", "ours", "predicate"}, f"{row}: excuses whatever is said"
    return Rule(
        reason=row["reason"],
        fields=_one_or_more(row["field"]) or frozenset(),
        logs=_one_or_more(row.get("log")),
        records=_one_or_more(row.get("record")),
        theirs=pattern["theirs"],
        ours=pattern["ours"],
        predicate=PREDICATES[row["predicate"]] if "predicate" in row else None,
        corpus=row.get("corpus", False),
    )


def listed() -> Excuses:
    """The rules of `differences.toml`."""
    content = tomllib.loads(LISTED.read_text(encoding="utf-8"))
    sides = {name: reason["side"] for name, reason in content["reasons"].items()}
    whys = {name: reason["why"] for name, reason in content["reasons"].items()}
    return Excuses([_rule(row) for row in content["rule"]], sides, whys)
