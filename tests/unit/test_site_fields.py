"""`[decode.fields]`: a site's own fields, and what is said when one cannot be."""

import pytest

from audisp_pyaudit.settings import Problem
from audisp_pyaudit.site_fields import MAX_FIELDS, read_site_fields

KINDS = ("escaped", "gid", "mode", "uid")
KNOWN = ("exe", "acct")


def read(table: object) -> tuple[tuple[tuple[str, str], ...], list[Problem]]:
    """What is read, and what is wrong."""
    problems: list[Problem] = []
    return read_site_fields(table, KINDS, KNOWN, problems), problems


def test_names_and_kinds() -> None:
    """A site says once that its field holds a user id, and gets user names."""
    assert read({"site_user": "uid", "payload-1": "hex_string"}) == (
        (("site_user", "uid"), ("payload-1", "escaped")),
        [],
    )


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ({"x": "uidd"}, "decode.fields.x", 'did you mean "uid"?'),
        ({"x": 7}, "decode.fields.x", "found 7"),
        ({"exe": "uid"}, "decode.fields.exe", "is known already"),
        ({"a b": "uid"}, "decode.fields.a b", "expected the name of a field"),
        ({"": "uid"}, "decode.fields.", "expected the name of a field"),
        ("uid", "decode.fields", "expected a table ([decode.fields])"),
        ({f"f{n}": "uid" for n in range(MAX_FIELDS + 1)}, "decode.fields", f"at most {MAX_FIELDS}"),
    ],
)
def test_what_is_wrong_is_named(table: object, key: str, message: str) -> None:
    """A wrong line in the configuration is found by its key, with what was expected there."""
    found, problems = read(table)
    assert found == ()
    assert [problem.key for problem in problems] == [key]
    assert message in problems[0].message


def test_a_wrong_line_does_not_hide_the_others() -> None:
    """All mistakes of a file are shown at once."""
    found, problems = read({"x": "nosuch", "y": "mode", "acct": "uid"})
    assert found == (("y", "mode"),)
    assert [problem.key for problem in problems] == ["decode.fields.x", "decode.fields.acct"]
