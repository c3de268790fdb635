"""From TOML tables to typed settings."""

from dataclasses import dataclass
from typing import Any

import pytest

from audisp_pyaudit import settings
from audisp_pyaudit.settings import Problem, read_table, required, setting


@dataclass(frozen=True)
class _Example:
    name: str = required(settings.text)
    count: int = setting(3, settings.whole(1, 10, "things"))


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (settings.whole(1, 10, "bytes"), True, "a whole number of bytes from 1 to 10, found true"),
        (settings.whole(1, 10), 11, "a whole number from 1 to 10, found 11"),
        (settings.whole(1, 10), 1.5, "found 1.5"),
        (settings.flag, 1, "true or false, found 1"),
        (settings.choice("json", "msgpack"), "jsn", 'one of "json", "msgpack", found "jsn"; did you mean "json"?'),
        (settings.choice("json"), [], "found []"),
        (settings.text, 5, "a text, found 5"),
        (settings.text, "a\0b", "a text"),
        (settings.texts, "a", "a list of texts"),
        (settings.texts, [""], "a list of texts"),
        (settings.one_or_more, [], "a text or a list of texts"),
        (settings.one_or_more, True, "found true"),
        (settings.path, "var/log", 'an absolute path, found "var/log"'),
        (settings.path_or_none, "x", 'or "" for none'),
        (settings.socket_path, "/" + "x" * 120, "at most 97 bytes"),
        (settings.mode, 600, 'such as "0600", found 600'),
        (settings.mode, "0x1", "octal"),
        (settings.mode, "9999", "octal"),
    ],
)
def test_wrong_values_say_what_was_expected(check: Any, value: object, expected: str) -> None:  # noqa: ANN401
    """Whoever writes a wrong value reads what would have been right, and what stood there."""
    with pytest.raises(ValueError, match="expected") as caught:
        check(value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("check", "value", "result"),
    [
        (settings.whole(1, 10), 10, 10),
        (settings.flag, False, False),
        (settings.texts, ["a", "b"], ("a", "b")),
        (settings.one_or_more, 0, ("0",)),
        (settings.one_or_more, ["a", 5], ("a", "5")),
        (settings.path_or_none, "", ""),
        (settings.path_or_none, "/x", "/x"),
        (settings.socket_path, "/run/a.sock", "/run/a.sock"),
        (settings.mode, "0640", 0o640),
        (settings.mode, "640", 0o640),
    ],
)
def test_right_values_become_typed(check: Any, value: object, result: object) -> None:  # noqa: ANN401
    """What is right is taken as the type the program works with."""
    assert check(value) == result


def test_all_problems_of_a_table_are_found() -> None:
    """One run of check-config shows everything that is wrong, not the first thing only."""
    problems: list[Problem] = []
    assert read_table(_Example, {"count": 11, "nam": "x", "zzz": 1}, "part", problems) is None
    assert [(each.key, each.message.split(";")[0]) for each in problems] == [
        ("part.count", "expected a whole number of things from 1 to 10, found 11"),
        ("part.nam", "unknown key"),
        ("part.zzz", "unknown key"),
        ("part.name", "is missing"),
    ]
    assert "did you mean" in problems[1].message
    assert "known here: name, count" in problems[2].message


def test_a_table_that_is_none() -> None:
    """`limits = 5` is answered with how a table is written."""
    problems: list[Problem] = []
    assert read_table(_Example, 5, "limits", problems) is None
    assert problems[0].message == "expected a table ([limits]), found 5"


def test_long_and_strange_values_are_cut_and_escaped() -> None:
    """A message stays on one readable line, whatever was in the file."""
    assert settings.shown("x" * 100).endswith("...")
    assert settings.shown("a\nb\x1b") == '"a\\nb\\u001b"'
    assert settings.shown({"a": 1}) == "a table"


SOURCE = """\
top = 1
[limits]
# events = 3
events = "x"
["sinks"."a"]
"mode" = 1
[[rules]]
name = "one"
[[rules]]
name = "two"
[rules.match]
key = 1
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("top", 1),
        ("limits", 2),
        ("limits.events", 4),
        ("sinks.a.mode", 6),
        ("rules[0].name", 8),
        ("rules[1].name", 10),
        ("rules[1]", 9),
        ("rules[1].match", 11),
        ("limits.nothing", None),
        ("rules[2].name", None),
    ],
)
def test_lines_are_found(key: str, line: int | None) -> None:
    """An error names the line, in the right one of several tables."""
    assert settings.line_of(SOURCE, key) == line
