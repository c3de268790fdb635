"""`[decode.fields]`: how a site's own fields of audit records are read.

In: the table as `tomllib` gives it. Out: pairs of field and kind, as the engine takes them, and every problem found.
Names that the engine knows already cannot be redefined: documents must mean the same everywhere.
"""

import re
from collections.abc import Iterable, Mapping

from audisp_pyaudit.settings import Problem, dotted, hint, shown

KEY = "decode.fields"
# Each is compared with every field that the engine does not know; a site has a handful.
MAX_FIELDS = 256
# What a program can write before `=`: auditd splits at blanks.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}\Z")
# Names that people know from elsewhere, and what the engine calls them.
ALIASES: Mapping[str, str] = {"hex_string": "escaped", "user": "uid", "group": "gid", "hex": "escaped"}


def read_site_fields(
    table: object, kinds: Iterable[str], known: Iterable[str], problems: list[Problem]
) -> tuple[tuple[str, str], ...]:
    """Check the table.

    Args:
        table: what TOML holds under `decode.fields`.
        kinds: the kinds that the engine has for a site's fields.
        known: names that the engine knows already.
        problems: what is wrong is appended here.

    Returns:
        Pairs of name and kind, in the order of the file.
    """
    if not isinstance(table, Mapping):
        problems.append(Problem(KEY, f"expected a table ([{KEY}]), found {shown(table)}"))
        return ()
    if len(table) > MAX_FIELDS:
        problems.append(Problem(KEY, f"expected at most {MAX_FIELDS} fields, found {len(table)}"))
        return ()
    words = sorted({*kinds, *ALIASES})
    taken = frozenset(known)
    found: list[tuple[str, str]] = []
    for name, kind in table.items():
        key = dotted(KEY, name)
        if not _NAME.match(name):
            problems.append(Problem(key, "expected the name of a field: letters, digits, _ - . (at most 64)"))
        elif name in taken:
            problems.append(Problem(key, "is known already and is read as it should be; remove the line"))
        elif not isinstance(kind, str) or kind not in words:
            listed = ", ".join(f'"{word}"' for word in words)
            problems.append(Problem(key, f"expected one of {listed}, found {shown(kind)}{hint(kind, words)}"))
        else:
            found.append((name, ALIASES.get(kind, kind)))
    return tuple(found)
