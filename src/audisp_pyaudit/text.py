"""One readable line per event: when, who, what, to what, with what outcome, by which process.

In: a document, as JSON or msgpack gave it. Out: one line of text without its newline, safe for a terminal. It reads the
fields that `docs/event.md` describes and survives documents of any other shape. What an event says beyond the line is
in its document; this is for eyes.

    2026-11-21 01:10:17.684 lab as root changed file permissions of /srv/watch/file (/usr/bin/chmod[762]) key=watch_file
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from audisp_pyaudit.escaping import command_line, escape

Document = Mapping[str, Any]
# What tells most about an event that has neither path nor address, in this order, as `name=value`.
_DETAILS = (
    *("op", "list", "action", "dir", "watch", "path", "sw", "sw_type", "unit", "vm", "table", "family", "entries"),
    *("apparmor", "operation", "profile", "name", "requested_mask", "denied_mask", "class", "info"),
    *("seresult", "seperms", "scontext", "tcontext", "tclass", "permissive", "bool", "val", "old_val", "enforcing"),
    *("dev", "prom", "old_prom", "opid", "ocomm", "sig", "code", "prog_id", "sec", "nsec", "text", "data"),
    *("id_name", "id", "grp", "new_group", "old", "new", "reason", "grantors", "ver", "kernel", "format", "res"),
)
# How an action and its object are joined where the action does not end in a preposition of its own.
_JOINED = {
    "was-authorized": "as",
    "started-session": "for",
    "ended-session": "for",
    "acquired-credentials": "of",
    "refreshed-credentials": "of",
    "disposed-credentials": "of",
    "changed-password": "of",
    "logged-in": "as",
    "logged-out": "as",
    "bound-socket": "to",
    "error": "for",
}
_NOT_TOLD = 12  # name=value pairs of an event that is known by its record type only
_QUIET_ADDRESSES = ("", "?", "127.0.0.1", "::1", "localhost")


def render(document: Document, local_host: str = "") -> str:
    """The line of a document.

    Args:
        document: the event.
        local_host: events of this host do not say where they happened.
    """
    action = _get(document, "event", "action")
    own = _OWN.get(action)
    host = _get(document, "host", "name")
    parts = [_time(_get(document, "@timestamp"))]
    if host and host != local_host:
        parts.append(f"{escape(host)}:")
    if own is not None:
        parts.append(own(document))
    else:
        parts += [_who(document), *_what(document, action), _outcome(document), _process(document)]
        parts += [f"key={escape(str(tag))}" for tag in _list(document, "tags")]
        parts += _remarks(document, action)
    return " ".join(part for part in parts if part)


def _get(document: object, *path: str) -> str:
    """A value as text; empty if it is not there or is no single value."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return "" if document is None or isinstance(document, Mapping | list) else str(document)


def _list(document: object, *path: str) -> list[Any]:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, list) else []


def _map(document: object, *path: str) -> Document:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def _time(stamp: str) -> str:
    """Local time with milliseconds."""
    try:
        local = datetime.fromisoformat(stamp).astimezone()
    except (ValueError, OverflowError):
        return escape(stamp)
    return local.strftime("%Y-%m-%d %H:%M:%S.") + f"{local.microsecond // 1000:03d}"


def _who(document: Document) -> str:
    """Who logged in, and as whom they act."""
    login = _name(document, "user", "audit")
    # What programs report has the user of the program; whom somebody logs in as is not whom they act as.
    reported = not _get(document, "auditd", "data", "syscall")
    acting = _name(document, "user") if reported else _name(document, "user", "effective") or _name(document, "user")
    if login and acting and login != acting:
        return escape(f"{login} as {acting}")
    return escape(login or acting)


def _name(document: Document, *path: str) -> str:
    number = _get(document, *path, "id")
    return _get(document, *path, "name") or ("root" if number == "0" else number)


def _what(document: Document, action: str) -> Iterator[str]:
    """The action and its object."""
    data = _map(document, "auditd", "data")
    syscall = escape(_get(data, "syscall"))
    words = escape(action).replace("-", " ")
    if not action:
        yield f"[{escape(_get(document, 'auditd', 'message_type'))}]"
        yield from islice(_untyped(document, data), _NOT_TOLD)
        return
    told = _object(document, data, action)
    details = list(_pairs(data, _DETAILS)) if not told or action.startswith("violated-") else []
    dangling = not told and not details and words.endswith((" of", " to", " from"))
    if syscall and (action == syscall or dangling):
        yield f"called {syscall}"
    else:
        yield words.rpartition(" ")[0] if dangling else words
    if told and action in _JOINED:
        yield _JOINED[action]
    yield told
    yield from details
    yield from _where(data)


def _untyped(document: Document, data: Document) -> Iterator[str]:
    """What there is of an event that nobody has a word for."""
    yield _executed(document)
    yield _address(_map(data, "socket"))
    yield from _pairs(_map(document, "process"), ("title", "working_directory"))
    yield from _pairs(data, list(data))
    for record in _list(document, "auditd", "records"):
        for each in _list(record, "fields"):
            yield from _pairs({_get(each, "name"): _get(each, "value")}, [_get(each, "name")])


def _object(document: Document, data: Document, action: str) -> str:
    """To what it was done, where one thing says that; empty if not."""
    if action in _OBJECTS:
        return _OBJECTS[action](document)
    for side in ("destination", "source"):
        if side in document:
            return _address(_map(document, side))
    if "socket" in data and _get(data, "socket", "family") != "netlink":
        return _address(_map(data, "socket"))
    account = _get(data, "acct")
    return escape(account) if account else _path(document)


def _executed(document: Document) -> str:
    return command_line(_list(document, "process", "args")) or _path(document)


def _account(document: Document) -> str:
    data = _map(document, "auditd", "data")
    return escape(_get(data, "acct") or _get(data, "id_name") or _get(data, "id"))


def _killed(document: Document) -> str:
    data = _map(document, "auditd", "data")
    return escape(" ".join(filter(None, (_get(data, "opid"), _get(data, "ocomm")))))


def _field(name: str) -> Callable[[Document], str]:
    return lambda document: escape(_get(document, "auditd", "data", name))


_OBJECTS: dict[str, Callable[[Document], str]] = {
    "executed": _executed,
    "ran-command": _field("cmd"),
    "changed-login-id-to": lambda document: escape(_name(document, "user", "audit")),
    "logged-in": _account,
    "killed-pid": _killed,
    "started-service": _field("unit"),
    "stopped-service": _field("unit"),
    "changed-audit-configuration": lambda _document: "",  # op and list say more than a path
}


def _address(end: Document) -> str:
    """One end of a connection, as ECS or as the socket address has it."""
    address = next((found for name in ("ip", "address", "addr", "path") if (found := _get(end, name))), "")
    address, port = escape(address), escape(_get(end, "port"))
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _path(document: Document) -> str:
    """The file of an event; old and new name where it has both."""
    folder = _get(document, "process", "working_directory")
    by_kind: dict[str, str] = {}
    for each in _list(document, "auditd", "paths"):
        name = _get(each, "name")
        if name:
            by_kind[_get(each, "nametype")] = escape(name if name.startswith("/") else f"{folder.rstrip('/')}/{name}")
    new = by_kind.get("CREATE")
    old = by_kind.get("DELETE") or by_kind.get("UNKNOWN") or by_kind.get("NORMAL")
    if new and old:
        # A link's new name points at the old one, a renamed file had the old one.
        return f"{old} to {new}" if "DELETE" in by_kind else f"{new} to {old}"
    return new or old or escape(_get(document, "file", "path")) or by_kind.get("PARENT", "")


def _where(data: Document) -> Iterator[str]:
    """From which address, on which terminal."""
    address = _get(data, "addr") or _get(data, "hostname")
    if address not in _QUIET_ADDRESSES:
        yield f"from {escape(address)}"
    terminal = _get(data, "terminal")
    if terminal:
        yield f"on {escape(terminal)}"


def _pairs(data: Document, names: list[str] | tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = _get(data, name)
        if value and not (name == "id" and _get(data, "id_name")):
            yield f"{escape(name)}={command_line([value]) if ' ' in value else escape(value)}"


def _outcome(document: Document) -> str:
    """Nothing for success: most events are."""
    code = _get(document, "auditd", "data", "exit")
    if _get(document, "event", "outcome") == "failure":
        return f"FAILED {_explained(code)}" if _is_error(code) else "FAILED"
    return _explained(code) if _is_error(code) else ""


def _is_error(code: str) -> bool:
    return code[:1] in ("E", "-")


@lru_cache(maxsize=256)
def _explained(code: str) -> str:
    """`ENOENT (No such file or directory)`."""
    number = getattr(errno, code, None) if code.isalnum() else None
    return f"{code} ({os.strerror(number)})" if isinstance(number, int) else escape(code)


def _process(document: Document) -> str:
    program = _get(document, "process", "executable") or _get(document, "process", "name")
    pid = _get(document, "process", "pid")
    if not program:
        return f"(pid {escape(pid)})" if pid else ""
    return escape(f"({program}[{pid}])" if pid else f"({program})")


def _remarks(document: Document, action: str) -> Iterator[str]:
    """What a reader has to know about the event itself, and its records if its type is not known."""
    incomplete = _get(document, "auditd", "incomplete")
    if incomplete:
        yield f"(incomplete: {escape(incomplete)})"
    part = _get(document, "auditd", "part")
    if part:
        yield f"(part {escape(part)})"
    cut = _list(document, "auditd", "truncated")
    if cut:
        yield f"(cut: {escape(', '.join(map(str, cut)))})"
    types = _list(document, "auditd", "record_types")
    if not action and len(types) > 1:
        yield f"[{escape(' '.join(map(str, types)))}]"


def _gap(document: Document) -> str:
    gap = _map(document, "auditd", "gap")
    first, last, count = (escape(_get(gap, name)) for name in ("first", "last", "count"))
    serials = f"serial {first} is missing" if first == last else f"serials {first} to {last} are missing ({count})"
    return f"-- {serials}: events were lost before they reached us"


def _unparsed(document: Document) -> str:
    lines = " ".join(escape(str(line)) for line in _list(document, "event", "original"))
    return f"-- could not read a line ({escape(_get(document, 'auditd', 'error'))}): {lines}"


def _lagged(document: Document) -> str:
    lost = _map(document, "auditd", "lost")
    return f"-- {escape(_get(lost, 'frames'))} events are missing here: this subscriber did not keep up"


def _dropped(document: Document) -> str:
    lost = _map(document, "auditd", "lost")
    first, last = escape(_get(lost, "first")), escape(_get(lost, "last"))
    span = f", from {first} to {last}" if first else ""
    return f"-- {escape(_get(lost, 'records'))} records were dropped ({escape(_get(lost, 'reason'))}{span})"


def _undelivered(document: Document) -> str:
    lost = _map(document, "auditd", "lost")
    frames, sink, why = (escape(_get(lost, name)) for name in ("frames", "sink", "reason"))
    return f"-- {frames} events never get to {sink} ({why}{_between(lost)})"


def _damaged(document: Document) -> str:
    lost = _map(document, "auditd", "lost")
    size, where, why = (escape(_get(lost, name)) for name in ("bytes", "where", "why"))
    return f"-- the spool is damaged at {where}: {size} bytes cannot be read ({why})"


def _unclean(document: Document) -> str:
    lost = _map(document, "auditd", "lost")
    return f"-- the plugin was killed or crashed: what it had read and not kept is lost{_between(lost)}"


def _between(lost: Document) -> str:
    start, end = escape(_get(lost, "start")), escape(_get(lost, "end"))
    return f", between {start} and {end}" if start and end else ""


_OWN: dict[str, Callable[[Document], str]] = {
    "serial-gap": _gap,
    "unparsed-line": _unparsed,
    "subscriber-lagged": _lagged,
    "records-dropped": _dropped,
    "frames-dropped": _undelivered,
    "spool-damaged": _damaged,
    "unclean-stop": _unclean,
}
