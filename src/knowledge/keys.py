"""What terminals send for their keys (data/keys.tsv), from the terminfo entries of Debian's ncurses packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The entries that are read: what a console, a serial line and most emulators send. The first that knows a sequence
# names it.
TERMINALS = ["xterm", "linux", "screen", "tmux", "vt100", "vt220", "rxvt", "putty", "konsole", "vte"]
# xterm's numbers for keys that are held down with another.
MODIFIERS = {
    "": "shift",  # kUP is shift-up; kUP2 does not exist
    "2": "shift",
    "3": "alt",
    "4": "shift-alt",
    "5": "ctrl",
    "6": "shift-ctrl",
    "7": "ctrl-alt",
}
# xterm's names for keys with modifiers, and the key itself.
EXTENDED = {
    "kDC": "del",
    "kIC": "insert",
    "kHOM": "home",
    "kEND": "end",
    "kPRV": "pageup",
    "kNXT": "pagedown",
    "kLFT": "left",
    "kRIT": "right",
    "kUP": "up",
    "kDN": "down",
}
_CAPABILITY = re.compile(r"^\t(k\w+)=(.*),$", re.MULTILINE)
_ESCAPE = re.compile(r"\\([0-7]{3}|.)|\^(.)|(.)", re.DOTALL)
_LETTERS = {
    "E": 0x1B,
    "e": 0x1B,
    "n": 0x0A,
    "l": 0x0A,
    "r": 0x0D,
    "t": 0x09,
    "b": 0x08,
    "f": 0x0C,
    "s": 0x20,
    "0": 0x80,
}
_FUNCTION_KEY = re.compile(r"kf([1-9]\d*)")


def sequence(text: str) -> bytes:
    """Return the bytes that a string of terminfo source stands for.

    Understood: the escapes of terminfo(5); a padding time or a parameter does not occur in keys.
    """
    found = bytearray()
    for backslash, control, plain in _ESCAPE.findall(text):
        if len(backslash) == 3:  # noqa: PLR2004 - octal
            found.append(int(backslash, 8) or 0x80)
        elif backslash:
            found.append(_LETTERS.get(backslash, ord(backslash)))
        elif control:
            found.append(0x7F if control == "?" else ord(control) & 0x1F)
        else:
            found.append(ord(plain))
    return bytes(found)


def name_of(capability: str, names: dict[str, str]) -> str | None:
    """Return what the key of a capability is called, None for what is not pressed (a mouse) or has no name."""
    if capability in names:
        return names[capability]
    if function := _FUNCTION_KEY.fullmatch(capability):
        return f"f{function[1]}"
    key, modifier = capability[:-1], capability[-1:]
    if key in EXTENDED and modifier in MODIFIERS:
        return f"{MODIFIERS[modifier]}-{EXTENDED[key]}"
    return None


def rows(entries: Iterable[str], names: dict[str, str]) -> list[list[str]]:
    """Return rows of sequence (hex) and name.

    `entries` are terminals as `infocmp -1 -x` writes them, the ones that matter most first; `names` is facts/keys.tsv.
    """
    found = {bytes.fromhex(key): name for key, name in names.items() if not key.startswith("k")}
    for entry in entries:
        # rxvt has its scroll keys the other way round than xterm; the cursor key says which one it is.
        for capability, text in sorted(_CAPABILITY.findall(entry), key=lambda found: found[0] in {"kri", "kind"}):
            name = name_of(capability, names)
            keys = sequence(text)
            # A single control character is what holding down Ctrl sends; only backspace is a key of its own.
            if name and (len(keys) > 1 or name == "backspace") and not keys[:1].isalnum():
                found.setdefault(keys, name)
    return [[keys.hex(), name] for keys, name in sorted(found.items())]
