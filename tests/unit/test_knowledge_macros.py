"""C macros that stand for numbers (src/knowledge/macros.py)."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge.macros import MacroError, Macros, evaluate, named_numbers

ARM = """
#define __NR_SYSCALL_BASE 0
#define __NR_read (__NR_SYSCALL_BASE + 3)   /* comment */
#  define __ARM_NR_BASE	(__NR_SYSCALL_BASE+0x0f0000)
#define __ARM_NR_breakpoint (__ARM_NR_BASE+1)
#define SOMETHING(x) (x + 1)
#define GUARD
"""


def test_numbers_relative_to_a_base() -> None:
    """A user on arm or mips sees the right call: its number is the base plus an offset, not the offset."""
    macros = Macros.parse(ARM)
    assert evaluate("__NR_read", macros) == 3
    assert evaluate("__ARM_NR_breakpoint", macros) == 0xF0001
    assert evaluate("(__NR_Linux + 57)", Macros({"__NR_Linux": "5000"})) == 5057
    assert evaluate("(__X32_SYSCALL_BIT + 520)", Macros({"__X32_SYSCALL_BIT": "0x40000000"})) == 0x40000208


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0", 0),
        ("017", 15),
        ("0x80000000U", 0x80000000),
        ("7UL", 7),
        ("(1U << 4) | 1", 17),
        ("~0 & 0xff", 255),
        ("-1 + 3", 2),
        ("(183|0x80000000|0x40000000)", 0xC00000B7),
    ],
)
def test_c_literals_and_operators(expression: str, value: int) -> None:
    """Numbers come out as the C compiler reads them: suffixes, octal, bit operations."""
    assert evaluate(expression, Macros({})) == value


@pytest.mark.parametrize("expression", ["", "foo", "sizeof(int)", "((int)", '"text"', "1.5", "A", "08", "f(1)"])
def test_what_is_no_number_is_refused(expression: str) -> None:
    """A macro that is no number is an error that shows it, never a wrong row in a table."""
    with pytest.raises(MacroError, match="is not a number"):
        evaluate(expression, Macros({"A": "B", "B": "A"}))


@given(st.text(alphabet="0123456789xXuUlL()+-|&~ _AB", max_size=30))
def test_any_text_is_a_number_or_refused(expression: str) -> None:
    """Whatever a future header holds, the extraction ends with a number or a message."""
    with contextlib.suppress(MacroError):
        assert isinstance(evaluate(expression, Macros({"A": "1", "B": "A + 1"})), int)


def test_macros_with_arguments_are_left_out() -> None:
    """Function-like macros are no constants and make no rows."""
    assert "SOMETHING" not in Macros.parse(ARM).bodies
    assert Macros.parse(ARM).bodies["GUARD"] == ""


def test_one_name_per_number() -> None:
    """A number has one name, and it is the one people know: EAGAIN, not EWOULDBLOCK."""
    macros = Macros.parse(
        "#define EAGAIN 11\n#define EWOULDBLOCK EAGAIN\n#define ECANCELLED 253\n#define ECANCELED ECANCELLED\n"
        "#define EZ 7\n#define EA 7\n#define EMAX 9\n#define ETEXT foo\n"
    )
    names = named_numbers(macros, "E", {"ECANCELED"}, {"MAX"})
    assert names == {11: "AGAIN", 253: "CANCELED", 7: "A"}
