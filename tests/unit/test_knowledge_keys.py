"""Keys of terminals from terminfo entries (src/knowledge/keys.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge.keys import name_of, rows, sequence

NAMES = {"0d": "ret", "kcuu1": "up", "kbs": "backspace", "kspd": "suspend"}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (r"\EOA", b"\x1bOA"),
        (r"\E[3~", b"\x1b[3~"),
        ("^?", b"\x7f"),
        ("^H", b"\x08"),
        (r"\E^I", b"\x1b\t"),
        (r"\177", b"\x7f"),
        (r"\E\,", b"\x1b,"),
        (r"\0", b"\x80"),
    ],
)
def test_sequences_as_terminfo_writes_them(text: str, keys: bytes) -> None:
    """The bytes are those that the terminal sends and TTY records hold."""
    assert sequence(text) == keys


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ("kcuu1", "up"),
        ("kf1", "f1"),
        ("kf63", "f63"),
        ("kUP5", "ctrl-up"),
        ("kDC3", "alt-del"),
        ("kmous", None),
        ("kf", None),
        ("kUP9", None),
    ],
)
def test_names_of_keys(capability: str, name: str | None) -> None:
    """A key is called what is written on it; what is no key has no name."""
    assert name_of(capability, NAMES) == name


def test_the_first_terminal_names_a_sequence() -> None:
    """Terminals disagree; the one most people use wins, and a control character is not taken for a key."""
    first = "xterm|terminal,\n\tam,\n\tkbs=^?,\n\tkcuu1=\\EOA,\n\tkspd=^Z,\n"
    second = "other,\n\tkf1=\\EOA,\n\tkf2=\\EOQ,\n\tcuu1=\\E[A,\n"
    assert rows([first, second], NAMES) == [["0d", "ret"], ["1b4f41", "up"], ["1b4f51", "f2"], ["7f", "backspace"]]
