"""The logs that figures are measured on, by name.

In: the project's vectors, and `bench.worst`. Out: what each log is made of; `bench.corpus` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import worst
from bench.corpus import default_vectors, read_events, templates
from bench.vary import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.corpus import Format
    from bench.vary import Template

# Captured, or written by hand, to break readers, to have every value of a table once, or records out of order: no host
# sends these often.
_ODD = (
    "arguments-",
    "exec-many-",
    "exec-split-",
    "file-long-path",
    "inject-",
    "late-",
    "no-end",
    "quirks-",
    "reversed",
    "truncated-",
    "user-cmd-long",
    "written-",
)
# laurel 0.8.2 gives 4,545 documents for 7,274 events whose quotes do not end.
_UNREAD = {"deep-quoting": ("laurel",)}
# What whole executions have; the loader of another machine's programs and the like may be there or not.
_EXECUTION = {b"SYSCALL", b"EXECVE", b"CWD", b"PATH", b"PROCTITLE"}

Events = list[list[bytes]]


@dataclass(frozen=True)
class Set:
    """What a log is made of.

    Args:
        about: for people.
        wanted: the log_format.
        events: the events that it is made of, in the order in which they come.
        repeats: see `bench.vary.make_template`.
        compared: everybody is measured on it; otherwise only ours and the newest laurel.
        default: it is measured when nobody names sets.
        unread_by: beginnings of names of contenders that were seen to leave out events of it: theirs is no figure.
    """

    about: str
    wanted: Format
    events: Callable[[], Iterable[list[bytes]]]
    repeats: bool = True
    compared: bool = True
    default: bool = True
    unread_by: tuple[str, ...] = ()

    def kinds(self, *, repeats: bool = True) -> list[Template]:
        """What the log is made of, ready to be varied.

        Args:
            repeats: False to have no record repeated, whatever the set says.

        Raises:
            CorpusError: there are no vectors.
        """
        return templates(self.events(), self.wanted, repeats=self.repeats and repeats)


def _vectors() -> Events:
    return read_events(default_vectors())


def _mixed() -> Events:
    return read_events(path for path in default_vectors() if not path.name.startswith(_ODD))


def _executions() -> Events:
    return [event for event in _mixed() if _types(event) >= _EXECUTION]


def _network() -> Events:
    paths = (path for path in default_vectors() if path.name.startswith(("net-", "consumers-network")))
    return [event for event in read_events(paths) if _types(event) & {b"SOCKADDR"}]


def _types(event: Iterable[bytes]) -> set[bytes]:
    heads = (HEADER.match(line) for line in event)
    return {head[1] for head in heads if head}


SETS: dict[str, Set] = {
    "exec": Set("executions, raw", "raw", _executions),
    "exec-enriched": Set("executions, enriched", "enriched", _executions),
    "mixed": Set("what hosts send, each kind as often as the others, raw", "raw", _mixed),
    "enriched": Set("the same, enriched", "enriched", _mixed),
    "network": Set("system calls with an address, raw", "raw", _network),
    "worst": Set("the worst cases in turn, raw", "raw", worst.every),
    **{
        f"worst-{name}": Set(
            f"the worst cases: {name} alone, raw", "raw", kind, compared=False, unread_by=_UNREAD.get(name, ())
        )
        for name, kind in worst.KINDS.items()
    },
    "exec-no-repeats": Set(
        "executions, an inode of its own in every PATH, raw", "raw", _executions, repeats=False, compared=False
    ),
    "mixed-no-repeats": Set(
        "mixed, an inode of its own in every PATH, raw", "raw", _mixed, repeats=False, compared=False
    ),
    "vectors": Set("every vector, also the odd ones, enriched", "enriched", _vectors, default=False),
}
