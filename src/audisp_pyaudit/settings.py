"""From a TOML table to a frozen dataclass, one `setting` per key.

In: a table as `tomllib` gives it. Out: the dataclass, and every problem found, each with its dotted key.
It never stops at the first problem, never guesses a value, and knows nothing of what the keys mean.
"""

import dataclasses
import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")
Check = Callable[[object], T]
_MODE = re.compile(r"0?[0-7]{3}\Z")
_ID = re.compile(r"[0-9]{1,10}\*?\Z|\*\Z")
_USER = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,31}\$?)?\Z")
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]#]+)\]")
# More than anybody mends in one go; each may cost a search for what was meant.
MAX_PROBLEMS = 100
_UNIX_PATH_BYTES = 107  # sun_path of a Unix socket is 108 bytes with its closing NUL


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong with the value of one dotted key."""

    key: str
    message: str


def setting(default: T, check: Check[T]) -> T:
    """A key of a table: its default and what a value has to be. For use as a dataclass field."""
    return dataclasses.field(default=default, metadata={"check": check})


def required(check: Check[T]) -> T:
    """A key that has to be there."""
    return cast("T", dataclasses.field(metadata={"check": check}))


def shown(value: object) -> str:
    """The value as it would stand in TOML, cut to a readable length."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=not value.isprintable())
    elif isinstance(value, dict):
        text = "a table"
    else:
        try:
            text = str(value)
        except ValueError:  # Python does not write numbers of more than 4,300 digits, alone or in a list
            text = "a number of very many digits"
        except RecursionError:
            text = "lists in lists in lists"
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004  # half a terminal line


def whole(low: int, high: int, unit: str = "") -> Check[int]:
    """A whole number from `low` to `high`."""
    what = f"a whole number{' of ' + unit if unit else ''} from {low} to {high}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"expected {what}, found {shown(value)}")
        return value

    return check


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {shown(value)}")  # noqa: TRY004  # one error type for values
    return value


def choice(*words: str) -> Check[str]:
    """One of some words."""
    listed = ", ".join(f'"{word}"' for word in words)

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"expected one of {listed}, found {shown(value)}{hint(value, words)}")
        return value

    return check


def text(value: object) -> str:
    """A text, which may be empty; without NUL, which no path or name can hold."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"expected a text, found {shown(value)}")
    return value


def user_name(value: object) -> str:
    """The name of a user as /etc/passwd has it, or the empty text for none."""
    if not isinstance(value, str) or not _USER.match(value):
        raise ValueError(f'expected the name of a user, or "" for none, found {shown(value)}')
    return value


def texts(value: object) -> tuple[str, ...]:
    """A list of texts that are not empty."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError(f"expected a list of texts that are not empty, found {shown(value)}")
    return tuple(value)


def one_or_more(value: object) -> tuple[str, ...]:
    """One text, or a list with at least one; a number stands for its digits (`uid = 0`)."""
    values = value if isinstance(value, list) else [value]
    found = tuple(shown(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in values)
    if not found or not all(isinstance(each, str) and each for each in found):
        raise ValueError(f"expected a text or a list of texts that are not empty, found {shown(value)}")
    return cast("tuple[str, ...]", found)


def ids(value: object) -> tuple[str, ...]:
    """One or more ids of users: numbers, or the beginning of a number and `*`."""
    found = one_or_more(value)
    if not all(_ID.match(each) for each in found):
        raise ValueError(f"expected numbers (or the beginning of one and *), found {shown(value)}; names are not known")
    return found


def path(value: object) -> str:
    """An absolute path: auditd starts plugins in /, a person may be anywhere."""
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError(f"expected an absolute path, found {shown(value)}")
    return value


def path_or_none(value: object) -> str:
    """An absolute path, or the empty text for none."""
    if value == "":
        return ""
    try:
        return path(value)
    except ValueError:
        raise ValueError(f'expected an absolute path, or "" for none, found {shown(value)}') from None


def socket_path(value: object) -> str:
    """An absolute path that fits a Unix socket's address, with a temporary name of ours beside it."""
    found = path(value)
    folder = found.rpartition("/")[0]
    if max(len(found.encode()), len(folder.encode()) + len("/.12345678")) > _UNIX_PATH_BYTES:
        raise ValueError(f"expected a path of at most {_UNIX_PATH_BYTES - 10} bytes, found {shown(value)}")
    return found


def mode(value: object) -> int:
    """A file mode as octal text, `"0600"`; as a number TOML would read it in decimal."""
    if not isinstance(value, str) or not _MODE.match(value):
        raise ValueError(f'expected a file mode in octal as a text, such as "0600", found {shown(value)}')
    return int(value, 8)


def hint(wrong: object, known: Iterable[str]) -> str:
    """`; did you mean X?` if a known word is near."""
    near = difflib.get_close_matches(str(wrong), list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def read_table(cls: type[T], table: object, key: str, problems: list[Problem]) -> T | None:
    """Build `cls` from a table.

    Args:
        cls: a dataclass whose fields are made by `setting` and `required`.
        table: what TOML holds under `key`.
        key: dotted name of the table, empty at the top.
        problems: what is wrong is appended here.

    Returns:
        The object; None if something that `cls` cannot be built without is missing. With problems it is of no use.
    """
    if not isinstance(table, Mapping):
        problems.append(Problem(key, f"expected a table ([{key}]), found {shown(table)}"))
        return None
    fields = {each.name: each for each in dataclasses.fields(cls)}  # type: ignore[arg-type]  # checked by use
    values: dict[str, Any] = {}
    for name, value in table.items():
        if len(problems) >= MAX_PROBLEMS:
            break
        if name in fields:
            try:
                values[name] = fields[name].metadata["check"](value)
            except ValueError as error:
                problems.append(Problem(dotted(key, name), str(error)))
        else:
            problems.append(unknown(key, name, fields))
    lacking = [name for name, each in fields.items() if each.default is dataclasses.MISSING and name not in table]
    problems.extend(Problem(dotted(key, name), "is missing") for name in lacking)
    try:
        return cls(**values)
    except TypeError:  # a required value is missing or wrong, which is in `problems` already
        return None


def unknown(key: str, name: str, known: Iterable[str]) -> Problem:
    """The problem of a key that nobody reads."""
    known = list(known)
    near = hint(name, known)
    return Problem(dotted(key, name), "unknown key" + (near or f"; known here: {', '.join(known)}"))


def dotted(key: str, name: str) -> str:
    """`name` under `key`."""
    return f"{key}.{name}" if key else name


def line_of(source: str, key: str) -> int | None:
    """Find the line of a dotted key in TOML text.

    tomllib does not say where it found a key, so this looks for the key below its table's header. Spellings it does not
    know (inline tables, dotted keys, keys in text of several lines) cost the line number, nothing else.

    Returns:
        The line from 1; None if the key was not found.
    """
    place = re.search(r"\[(\d+)\]", key)
    wanted = re.sub(r"\[\d+\]", "", key)
    table_wanted, _, name = wanted.rpartition(".")
    key_line = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*=""")
    table, entry = "", -1
    for number, line in enumerate(source.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = re.sub(r"[\"'\s]", "", header[2])
            entry += header[1] == "[["
        if place is not None and (entry != int(place[1])):
            continue
        if (header and table == wanted) or (not header and table == table_wanted and key_line.match(line)):
            return number
    return None
