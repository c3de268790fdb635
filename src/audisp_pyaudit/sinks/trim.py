"""Documents that are too large for their way, cut so that they fit and stay valid.

In: a document and a number of bytes. Out: the same document with less in it: first what can be had from other fields,
then the ends of long texts and lists. The names of what was cut stand in `auditd.truncated`.
"""

from collections.abc import Callable, Iterator
from typing import Any

Document = dict[str, Any]

# What goes first, whole: `process.args` say the same as the two others, and the lines are in the log of auditd.
_FIRST = ("event.original", "process.command_line", "process.title")
# What an event is known by.
_KEPT = frozenset({"@timestamp", "ecs", "event", "host", "service"})
_LONGEST, _SHORTEST = 16384, 64  # no address or number is longer
_BYTES = "_bytes"  # beside a text: the exact bytes in Base64, of which a part is of no use


def trimmed(document: Document, limit: int, encode: Callable[[Document], bytes]) -> bytes | None:
    """The document in at most `limit` bytes; None if it cannot be had. The document given is changed."""
    names: list[str] = list(document.get("auditd", {}).get("truncated", []))
    for _ in _steps(document, names):
        document.setdefault("auditd", {})["truncated"] = names
        data = encode(document)
        if len(data) <= limit:
            return data
    return None


def _steps(document: Document, names: list[str]) -> Iterator[None]:
    """Cut a little more at each step."""
    for name in _FIRST:
        head, _, key = name.partition(".")
        for each in (key, key + _BYTES):
            if document.get(head, {}).pop(each, None) is not None:
                _note(names, name)
        yield
    longest = _LONGEST
    while longest >= _SHORTEST:
        for key in document.keys() - _KEPT:
            document[key] = _cut(document[key], key, longest, names)
        yield
        longest //= 2


def _cut(value: Any, name: str, longest: int, names: list[str]) -> Any:  # noqa: ANN401  # what JSON has
    if name == "auditd.truncated":
        return value
    if isinstance(value, str) and len(value) > longest:
        _note(names, name)
        return value[:longest]
    if isinstance(value, list):
        if len(value) > longest:
            _note(names, name)
        return [_cut(each, name, longest, names) for each in value[:longest]]
    if isinstance(value, dict):
        return {key: _cut(each, f"{name}.{key}", longest, names) for key, each in _shorter(value, name, longest, names)}
    return value


def _shorter(value: Document, name: str, longest: int, names: list[str]) -> Iterator[tuple[str, Any]]:
    for key, each in value.items():
        if key.endswith(_BYTES) and _is_longer(each, longest):
            _note(names, f"{name}.{key}")
        else:
            yield key, each


def _is_longer(value: Any, longest: int) -> bool:  # noqa: ANN401  # what JSON has
    if isinstance(value, list):
        return len(value) > longest or any(_is_longer(each, longest) for each in value)
    return isinstance(value, str) and len(value) > longest


def _note(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)
