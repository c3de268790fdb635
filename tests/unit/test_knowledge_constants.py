"""Constants as the compiler sees them (src/knowledge/constants.py)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge.constants import Unit
from knowledge.macros import MacroError

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="asks the C compiler")

HEADER = """
struct pair { int first; long second; };
#define REQUEST ((2U << 30) | (sizeof(struct pair) << 16) | 7)
#define PLAIN 0x10
#define ALIAS PLAIN
#define NEGATIVE -100
#define CAST ((unsigned int)1 << 31)
#define EMPTY
#define TEXT "text"
#define CALL(x) ((x) + 1)
#define UNKNOWN (NO_SUCH_NAME + 1)
#define CODE do { } while (0)
#ifdef WIDE
#define FLAG 2
#else
#define FLAG 1
#endif
enum command { CMD_FIRST, CMD_FIFTH = CALL(4), CMD_SIXTH };
enum { NAMELESS = 9 };
"""


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    """A header with what headers hold."""
    (tmp_path / "own.h").write_text(HEADER, encoding="utf-8")
    return Unit(("own.h",), (tmp_path,))


def test_what_a_compiler_computes(unit: Unit) -> None:
    """Requests that hold the size of a structure, casts and enumerators are numbers, as the programs saw them."""
    names = ["REQUEST", "PLAIN", "ALIAS", "NEGATIVE", "CAST", "CMD_FIRST", "CMD_FIFTH", "CMD_SIXTH", "NAMELESS"]
    assert unit.values(names) == {
        "REQUEST": 2 << 30 | 16 << 16 | 7,
        "PLAIN": 16,
        "ALIAS": 16,
        "NEGATIVE": -100,
        "CAST": 1 << 31,
        "CMD_FIRST": 0,
        "CMD_FIFTH": 5,
        "CMD_SIXTH": 6,
        "NAMELESS": 9,
    }


def test_what_is_no_number_is_left_out(unit: Unit) -> None:
    """One odd macro of a header does not cost the others."""
    assert unit.values(["UNKNOWN", "CODE", "PLAIN"]) == {"PLAIN": 16}
    assert unit.values(["UNKNOWN"]) == {}


def test_names(unit: Unit) -> None:
    """Every constant of a header can be picked, and only constants."""
    assert {"PLAIN", "REQUEST", "CMD_FIFTH", "NAMELESS"} <= set(unit.names)
    assert not {"EMPTY", "CALL", "command", "first"} & set(unit.names)
    assert unit.enumerators("command") == ["CMD_FIRST", "CMD_FIFTH", "CMD_SIXTH"]
    assert unit.enumerators("no_such_enum") == []


def test_second_names(unit: Unit) -> None:
    """Of two names for a number the one that is defined by the other is known, so it can give way."""
    assert unit.is_alias("ALIAS")
    assert not unit.is_alias("PLAIN")
    assert not unit.is_alias("CMD_FIRST")


def test_the_architecture_is_the_callers(tmp_path: Path) -> None:
    """The tables of another machine do not depend on the machine that makes them."""
    (tmp_path / "own.h").write_text(HEADER + "#ifdef __linux__\n#define HOST 1\n#endif\n", encoding="utf-8")
    assert Unit(("own.h",), (tmp_path,)).values(["FLAG"]) == {"FLAG": 1}
    assert Unit(("own.h",), (tmp_path,), ("WIDE",)).values(["FLAG"]) == {"FLAG": 2}
    assert "HOST" not in Unit(("own.h",), (tmp_path,)).names


def test_a_header_that_cannot_be_read(tmp_path: Path) -> None:
    """A header that is gone is named, with what the compiler says."""
    with pytest.raises(MacroError, match=r"gone\.h"):
        _ = Unit(("gone.h",), (tmp_path,)).names
    (tmp_path / "bad.h").write_text("int broken(;\n#define A 1\n", encoding="utf-8")
    with pytest.raises(MacroError, match=r"bad\.h"):
        Unit(("bad.h",), (tmp_path,)).values(["A"])
