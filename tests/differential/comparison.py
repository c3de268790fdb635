"""Compares whole logs: the oracle reads them in its process while the engine decodes them in this one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.differential import libauparse, names, oracle, tables
from tests.differential.facts import Checker, Comparison

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.differential.excuses import Excuses

# The differences were written down for this version; newer ones read some things in another way (LOGIN, seccomp).
VERSION = "1:3.0."


class Log(NamedTuple):
    """A log to be compared."""

    name: str
    # What libauparse opens: not packed.
    path: Path
    content: bytes
    # Engine options that differ from those of the vectors.
    options: dict[str, object]


def compare(logs: Iterable[Log]) -> Comparison:
    """Compare every log."""
    logs = list(logs)
    total = Comparison()
    with oracle.reading(log.path for log in logs) as readings:
        for log, records in zip(logs, readings, strict=False):
            total.add(Checker(log.name, log.content, names.documents(log.content, log.options)).check(records))
    return total


def need_oracle() -> None:
    """Skip, with the reason, where the comparison cannot be made; in CI that is a failure, since it would go unseen."""
    reason = oracle.missing()
    version = libauparse.version()
    if reason is None and (version is None or not version.startswith(VERSION)):
        reason = f"differences.toml is about libauparse {VERSION}*, this machine has {version}"
    if reason is not None and os.environ.get("CI"):
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)


def figures_of(what: str, total: Comparison, excuses: Excuses, unexplained: int) -> list[str]:
    """The figures, as lines."""
    differing = len(total.differences)
    sides = ", ".join(f"{times} {side}" for side, times in excuses.by_side().items())
    reasons = ", ".join(f"{reason} {times}" for reason, times in excuses.by_reason().most_common())
    facts = f"{total.records} records, {total.compared} facts compared with libauparse"
    said = (
        f"{total.meanings - total.beyond} in libauparse's words, {total.beyond} that it has no words for, by the tables"
    )
    excused = f"{differing - unexplained} excused ({sides})"
    return [
        f"{what}: {facts}: {total.compared - differing} equal, {excused}, {unexplained} unexplained",
        f"  excused: {reasons}",
        f"  {total.meanings} were what a value means: {said}; exercised: {coverage(total)}",
    ]


def coverage(total: Comparison) -> str:
    """How much of what the knowledge says of arguments and kinds was compared with libauparse, or the tables alone."""
    rows = {
        (argument.kind, f"{syscall} a{index}")
        for (syscall, index), choices in tables.arguments().items()
        for argument in choices
    }
    kinds = set(tables.kinds())
    theirs, all_ = total.exercised, total.exercised | total.alone
    kinds_of_theirs, kinds_of_all = ({kind for kind, _ in used} & kinds for used in (theirs, all_))
    return (
        f"{len(rows & all_)} of {len(rows)} arguments of syscalls ({len(rows & theirs)} with libauparse), "
        f"{len(kinds_of_all)} of {len(kinds)} kinds ({len(kinds_of_theirs)} with libauparse)"
    )
