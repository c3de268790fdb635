"""The mapping between libauparse's words and the document's: it maps what is the same, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.differential import libauparse, meanings, tables


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [
        ("open_flags", b"O_WRONLY|O_CREAT", [b"O_WRONLY", b"O_CREAT"]),
        ("open_flags", b"O_RDWR|O_DSYNC|__O_SYNC", [b"O_RDWR", b"O_SYNC"]),
        ("capabilities", b"net_admin,net_raw", [b"CAP_NET_ADMIN", b"CAP_NET_RAW"]),
        ("capabilities", b"none", []),
        ("mode", b"file,suid,755", [b"S_IFREG", b"4755"]),
        ("mode", b"000,600", [b"0600"]),
        ("mode", b"sticky,0777", [b"1777"]),
        ("shm_get_flags", b"IPC_CREAT|0640", [b"S_IRUSR", b"S_IWUSR", b"S_IRGRP", b"IPC_CREAT"]),
        ("uid", b"unknown(7)", [b"7"]),
        ("uid", b"root", [b"root"]),
        ("socket_domain", b"local", [b"AF_UNIX"]),
        ("permission", b"read,write", [b"write", b"read"]),
        ("keystrokes", b'"ls \\"x\\"",<ret>', [b'ls "x"', b"<ret>"]),
        ("keystrokes", b'"caf\\303\\251"', ["cafÃ©".encode("latin-1")]),
        ("decimal", b"EXIT_FAILURE", [b"1"]),
    ],
)
def test_the_same_in_other_words(kind: str, theirs: bytes, ours: list[bytes]) -> None:
    """Both readers may keep their words; a word more, less or other is a difference all the same."""
    assert meanings.same(kind, theirs, ours)
    assert not meanings.same(kind, theirs, [*ours, b"X"])
    assert not meanings.same(kind, theirs, [*ours[:-1], b"X"])
    assert not meanings.same(kind, theirs + b"|X", ours)


def test_an_argument_without_a_kind_is_not_the_same() -> None:
    """Whatever libauparse decodes and our tables do not is found."""
    assert not meanings.same("", b"O_RDONLY", [])


def test_what_only_repeats_the_record_is_no_meaning() -> None:
    """Hex that libauparse marks as hex, and quotes that it takes off, are not counted as decoded."""
    assert meanings.said(libauparse.Field(b"a1", b"7ffd", b"0x7ffd")) is None
    assert meanings.said(libauparse.Field(b"op", b'"x"', b"x")) is None
    assert meanings.said(libauparse.Field(b"a1", b"1", b"F_GETFD")) == b"F_GETFD"


def test_the_tables_are_read_here_too() -> None:
    """Where libauparse knows nothing, the document is held against its own tables, by other code than the engine's."""
    assert tables.words("open_flags", 0o2101, "x86") == ["O_WRONLY", "O_CREAT", "O_APPEND"]
    assert tables.words("open_flags", 0x10000001, "x86") == ["O_WRONLY", "0x10000000"]
    assert tables.words("mode", 0o104755, "x86") == ["S_IFREG", "4755"]
    assert tables.words("decimal", 0xFFFFFFFF, "x86") == ["-1"]
    assert tables.words("prctl_option", 99999, "x86") == []
    line = b"type=SYSCALL msg=audit(1.002:1): arch=c000003e syscall=2 a0=7f a1=41 a2=1a4 a3=0"
    call = tables.call_of(line, {}, "syscall", "a2")
    assert call is not None
    assert call.kind_of("a2") == "mode"
    without = tables.call_of(line.replace(b"a1=41", b"a1=1"), {}, "syscall", "a2")
    assert without is not None
    assert without.kind_of("a2") is None
