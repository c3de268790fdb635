"""Text that is safe to show: what came from strangers must not steer a terminal or forge lines.

In: any text. Out: the same on one line, with control characters, line separators, direction overrides and whatever else
does not print written as escapes. Whoever uses a machine chooses the names of files and the arguments of programs.
"""

import shlex
from collections.abc import Iterable

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def escape(text: str) -> str:
    r"""The text with everything that does not print as an escape, `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    number = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if number <= 0xFF:  # noqa: PLR2004  # one byte
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004  # four hex digits


def command_line(words: Iterable[object]) -> str:
    """Arguments as one line, quoted where a shell would need it; `?` for one that is missing."""
    return " ".join("?" if word is None else shlex.quote(escape(str(word))) for word in words)
