"""Tables of values (data/values/*.tsv) from the constants that facts/values.tsv picks out of headers.

A table holds rows of (families, value, mask, name). Families that number things alike share a row; `*` stands for all
families that no row of the table names. So a family that differs in one value is named in all rows that it has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowledge.macros import MacroError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from knowledge.constants import Unit

GENERIC = "generic"
COLUMNS = ["arches", "value", "mask", "name"]
# An int that is negative stands in the table as the unsigned number that a register shows.
_INT = 0xFFFF_FFFF

# Where programs know a constant by another name than the kernel's headers.
_RENAMED = {"FASYNC": "O_ASYNC"}


@dataclass(frozen=True, order=True)
class Value:
    """One row of a table for one family: flags have a mask, members of an enumeration have none."""

    mask: int | None
    value: int
    name: str

    @property
    def order(self) -> tuple[int, int, str]:
        """What comes first is tried first: values of several bits before the bits they hold."""
        return (-(self.mask or 0).bit_count(), self.value, self.name)


@dataclass(frozen=True)
class Pick:
    """A line of facts/values.tsv: which constants of which headers belong to a kind."""

    kind: str
    scope: str
    headers: tuple[str, ...]
    match: str
    without: str
    mask: str
    only: str = ""
    without_family: str = ""

    @classmethod
    def from_row(cls, row: dict[str, str]) -> Pick:
        """Read a row of facts/values.tsv."""
        headers = tuple(row["headers"].split())
        scope, _, families = row["scope"].partition(" ")
        only, without = families.removeprefix("only "), families.removeprefix("not ")
        return cls(
            row["kind"],
            scope,
            headers,
            row["match"],
            row["except"],
            row["mask"],
            only if only != families else "",
            without if without != families else "",
        )

    def values(self, unit: Unit) -> list[Value]:
        """Return the constants of `unit` that this line picks, without second names for a number."""
        found = unit.values(self._names(unit))
        mask = None if self.mask in {"-", "=", "<<"} else self._mask(unit)
        by_number: dict[tuple[int, int | None], str] = {}
        # A name that is defined by another one gives way to it.
        for name in sorted(found, key=lambda name: (unit.is_alias(name), name)):
            number = found[name] & _INT if found[name] < 0 else found[name]
            match self.mask[0]:
                case "&":
                    number, own = number & (mask or 0), mask
                case "-":
                    number, own = number if mask is None else number & mask, None
                case "=":
                    own = number
                case "<":
                    number = own = 1 << number
                case _:
                    own = mask
            if own is not None and number & ~own:
                raise MacroError(f"facts/values.tsv: {self.kind}: {name} has bits outside of {self.mask}")
            if own != 0:
                by_number.setdefault((number, own), self._label(name))
        return [Value(own, number, label) for (number, own), label in by_number.items()]

    def _names(self, unit: Unit) -> list[str]:
        without = re.compile(self.without) if self.without != "-" else None
        if self.match.startswith("enum "):
            names = unit.enumerators(self.match.removeprefix("enum ").split()[0])
        else:
            names = [name for name in unit.names if re.fullmatch(self.match, name)]
        return [name for name in names if not (without and without.fullmatch(name))]

    def _mask(self, unit: Unit) -> int:
        mask = self.mask.lstrip("-&")
        if mask.startswith("0x"):
            return int(mask, 16)
        found = unit.values([mask])
        if mask not in found:
            raise MacroError(f"facts/values.tsv: {self.kind}: {mask} is no constant of {' '.join(self.headers)}")
        return found[mask] & _INT

    def _label(self, name: str) -> str:
        """Return the name in the table: what stands in a group of `match` is taken in lower case."""
        _, _, prefix = self.match.removeprefix("enum ").partition(" ")
        if prefix:
            return name.removeprefix(prefix).lower()
        match = re.fullmatch(self.match, name) if not self.match.startswith("enum ") else None
        return match[1].lower() if match and match.groups() else _RENAMED.get(name, name)


def merged(values: Iterable[Value]) -> list[Value]:
    """Return `values` in the order of a table; of two names for one number the first counts."""
    kept: dict[tuple[int, int | None], Value] = {}
    for value in values:
        kept.setdefault((value.value, value.mask), value)
    return sorted(kept.values(), key=lambda value: value.order)


def table(picks: list[Pick], families: list[str], unit_of: Callable[[str, Pick], Unit | None]) -> list[list[str]]:
    """Return the rows of the table that `picks` (of one kind) make.

    `unit_of(family, pick)` gives the headers as an architecture sees them, None where it does not have them; for
    picks of scope `one` and `libc` only the generic family is asked.
    """
    by_family: dict[str, list[Value]] = {}
    empty = set(picks)
    only = {pick.only for pick in picks if pick.only}
    without = {pick.without_family for pick in picks if pick.without_family}
    each = any(pick.scope == "each" for pick in picks)
    for family in only or ([family for family in families if family not in without] if each else [GENERIC]):
        values: list[Value] = []
        for pick in picks:
            if pick.scope == "fact":
                number = int(pick.match, 16)
                values.append(Value(number, number, pick.match))
                empty.discard(pick)
                continue
            scope = family if pick.scope == "each" else pick.scope
            unit = unit_of(scope if scope in families else GENERIC, pick)
            found = pick.values(unit) if unit else []
            values += found
            if found:
                empty.discard(pick)
        by_family[family] = merged(values)
    for pick in empty:
        raise MacroError(f"facts/values.tsv: {pick.kind}: no constant of {' '.join(pick.headers)} matches {pick.match}")
    # Where a family has no such values at all, all others are named; else the generic numbers are everybody's.
    everybody = not only and not without
    rows: dict[Value, list[str]] = {}
    for family, values in by_family.items():
        if family == GENERIC and everybody:
            named = "*"
        elif everybody and values == by_family[GENERIC]:
            continue
        else:
            named = family
        for value in values:
            rows.setdefault(value, []).append(named)
    lines = sorted(rows.items(), key=lambda line: (line[0].order, line[1][0] != "*", line[1]))
    return [
        [",".join(named), f"{value.value:#x}", "-" if value.mask is None else f"{value.mask:#x}", value.name]
        for value, named in lines
    ]
