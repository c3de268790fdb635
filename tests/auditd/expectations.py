"""What each auditd is known to do (`expectations.toml`), as one object for the version at hand."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Expectations:
    """One field a fact; the table says what they mean."""

    reload: str
    restarted_blocked: bool
    stop_signals: bool
    most_args: int
    longest_line: int
    nul_before_newline: bool
    raw_cut: int
    reload_revives: bool
    run_folder: str


def expected(version: tuple[int, ...]) -> Expectations:
    """What an auditd of this version does."""
    found: dict[str, tuple[tuple[int, ...], Any]] = {}
    for fact in tomllib.loads(_TABLE.read_text())["fact"]:
        since = tuple(int(each) for each in fact["since"].split("."))
        if since <= version and (fact["name"] not in found or found[fact["name"]][0] < since):
            found[fact["name"]] = (since, fact["value"])
    assert found.keys() == {each.name for each in fields(Expectations)}, sorted(found)
    return Expectations(**{name: value for name, (_, value) in found.items()})
