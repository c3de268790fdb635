"""Text from strangers, made safe to show."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.escaping import command_line, escape


def test_control_characters_show_as_escapes() -> None:
    """A file name cannot clear the screen, forge a line or turn the reading direction."""
    assert escape("a\x1b[2Jb\n\r\t\0\x9b") == r"a\x1b[2Jb\n\r\t\0\x9b"
    assert escape("a\u202eb\u2028\U000e0001") == r"a\u202eb\u2028\U000e0001"
    assert escape("é 漢 \N{GRINNING FACE}") == "é 漢 \N{GRINNING FACE}"


@given(st.text())
def test_the_result_always_prints(text: str) -> None:
    """Whatever the text, one line that prints."""
    assert escape(text).isprintable()


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"])), max_size=5))
def test_command_lines_can_be_pasted(words: list[str]) -> None:
    """Boundaries of arguments stay visible, as a shell writes them."""
    assert shlex.split(command_line(words)) == words


def test_a_missing_argument_shows() -> None:
    """An argument that never reached us is not hidden."""
    assert command_line(["a", None, "b c", "x\x1b"]) == "a ? 'b c' 'x\\x1b'"
