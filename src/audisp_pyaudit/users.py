"""Users and groups of this system, from its files.

In: names. Out: numbers. A name service may ask a server that does not answer, and the plugin starts before there is a
network; a user that a service runs as stands in /etc/passwd.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ETC = Path("/etc")
# More than any host has that keeps its users in a file.
_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class User:
    """A user: its number, its group's, and those of the other groups it is in."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def find_user(name: str, etc: Path = ETC) -> User | None:
    """A user by name; None if the system's files have none."""
    for fields in _entries(etc / "passwd", 7):
        if fields[0] == name and fields[2].isdecimal() and fields[3].isdecimal():
            others = (int(group[2]) for group in _groups(etc) if name in group[3].split(","))
            return User(name, int(fields[2]), int(fields[3]), tuple(others))
    return None


def find_group(name: str, etc: Path = ETC) -> int | None:
    """The number of a group; None if the system's files have none."""
    return next((int(group[2]) for group in _groups(etc) if group[0] == name), None)


def _groups(etc: Path) -> Iterator[list[str]]:
    return (fields for fields in _entries(etc / "group", 4) if fields[2].isdecimal())


def _entries(path: Path, fields: int) -> Iterator[list[str]]:
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_BYTES).decode(errors="surrogateescape")
    except OSError:
        return
    for line in text.splitlines():
        found = line.split(":")
        if len(found) == fields:
            yield found
