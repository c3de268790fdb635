"""Tables of values from picked constants (src/knowledge/values.py)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge.constants import Unit
from knowledge.macros import MacroError
from knowledge.values import Pick, table

# A pick is given as scope, match, except and mask.
RowsOf = Callable[..., list[list[str]]]

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="asks the C compiler")

GENERIC = """
#define F_MASK 3
#define F_READ 0
#define F_WRITE 1
#define F_SYNC (F_DATA | 0x100)
#define F_DATA 0x10
#define F_NEW 0x20
#define F_SAME F_NEW
#define AT_CWD -100
#define CAP_B 1
#define PER_X (5 | 0x100)
enum op { OP_NOP, OP_READ, OP_LAST };
"""
OTHER = GENERIC.replace("F_NEW 0x20", "F_NEW 0x40")


@pytest.fixture
def rows_of(tmp_path: Path) -> RowsOf:
    """Return a function that makes the rows of picks, each given as the cells of a line of facts/values.tsv."""
    for family in ("generic", "like", "other"):
        (tmp_path / family).mkdir()
        text = OTHER if family == "other" else GENERIC
        (tmp_path / family / "own.h").write_text(text, encoding="utf-8")

    def unit(family: str, pick: Pick) -> Unit | None:
        return Unit(pick.headers, (tmp_path / family,)) if "own.h" in pick.headers else None

    def rows(*lines: tuple[str, str, str, str]) -> list[list[str]]:
        columns = ("scope", "match", "except", "mask")
        picks = [
            Pick.from_row({"kind": "k", "headers": "own.h", **dict(zip(columns, line, strict=True))}) for line in lines
        ]
        return table(picks, ["generic", "like", "other"], unit)

    return rows


def test_flags_and_fields(rows_of: RowsOf) -> None:
    """What has several bits is tried before its parts, and zero is a value only where bits belong together."""
    lines = [("one", "F_READ|F_WRITE", "-", "F_MASK"), ("one", "F_[A-Z]+", "F_(READ|WRITE|MASK)", "=")]
    assert rows_of(*lines) == [
        ["*", "0x0", "0x3", "F_READ"],
        ["*", "0x1", "0x3", "F_WRITE"],
        ["*", "0x110", "0x110", "F_SYNC"],
        ["*", "0x10", "0x10", "F_DATA"],
        ["*", "0x20", "0x20", "F_NEW"],
    ]


def test_architectures_that_differ_are_named_in_all_their_rows(rows_of: RowsOf) -> None:
    """A machine that numbers one flag its own way has a table of its own, the others share one."""
    assert rows_of(("each", "F_DATA|F_NEW", "-", "=")) == [
        ["*,other", "0x10", "0x10", "F_DATA"],
        ["*", "0x20", "0x20", "F_NEW"],
        ["other", "0x40", "0x40", "F_NEW"],
    ]


def test_values_that_some_architectures_do_not_have(rows_of: RowsOf) -> None:
    """An argument that is somewhere else on s390 is not decoded there."""
    assert rows_of(("each not like", "F_DATA", "-", "=")) == [["generic,other", "0x10", "0x10", "F_DATA"]]
    assert rows_of(("each only other", "F_NEW", "-", "=")) == [["other", "0x40", "0x40", "F_NEW"]]


def test_enumerations(rows_of: RowsOf) -> None:
    """Members of an enum, negative ints, numbers of bits, parts of numbers and bare facts."""
    assert rows_of(("one", "enum op", "OP_LAST", "-")) == [["*", "0x0", "-", "OP_NOP"], ["*", "0x1", "-", "OP_READ"]]
    assert rows_of(("one", "enum op OP_", "OP_LAST", "-"))[1] == ["*", "0x1", "-", "read"]
    assert rows_of(("one", "AT_CWD", "-", "-")) == [["*", "0xffffff9c", "-", "AT_CWD"]]
    assert rows_of(("one", "CAP_B", "-", "<<")) == [["*", "0x2", "0x2", "CAP_B"]]
    assert rows_of(("one", "PER_X", "-", "&0xff")) == [["*", "0x5", "0xff", "PER_X"]]
    assert rows_of(("one", "PER_X", "-", "-&0xff")) == [["*", "0x5", "-", "PER_X"]]
    assert rows_of(("one", "F_(NEW)", "-", "=")) == [["*", "0x20", "0x20", "new"]]
    assert rows_of(("fact", "0xffffffff", "-", "=")) == [["*", "0xffffffff", "0xffffffff", "0xffffffff"]]


def test_a_pick_that_picks_nothing_is_an_error(rows_of: RowsOf) -> None:
    """When Linux renames a constant, the update stops and says which line looked for it."""
    with pytest.raises(MacroError, match=r"k: no constant of own\.h matches GONE_"):
        rows_of(("one", "GONE_.*", "-", "="))
    with pytest.raises(MacroError, match="k: NO_MASK is no constant"):
        rows_of(("one", "F_READ", "-", "NO_MASK"))
    with pytest.raises(MacroError, match="k: F_NEW has bits outside of F_MASK"):
        rows_of(("one", "F_NEW", "-", "F_MASK"))
