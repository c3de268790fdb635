"""What differs between two events of a log that figures are measured on, and what stays (bench/vary.py)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.vary import Template, Variation, make_template

LOADER = b'type=PATH msg=audit(1.1:1): item=1 name="/lib64/ld-linux-x86-64.so.2" inode=15298 dev=fe:00 nametype=NORMAL'
FILE = b'type=PATH msg=audit(1.1:1): item=0 name="/srv/in/archive1.tgz" inode=2001 dev=fe:00 nametype=NORMAL'
HEX = b"type=PATH msg=audit(1.1:1): item=0 name=2F7372762F696E2F6D7920666F6C646572 inode=2001 dev=fe:00"
SOCKET = b"type=OBJ msg=audit(1.1:1): opid=4000 dev=00:05 inode=2001"
NAMELESS = b"type=PATH msg=audit(1.1:1): item=0 name=(null) inode=2001 dev=fe:00 nametype=NORMAL"


def inodes(template: Template, times: int = 50) -> list[tuple[bytes, bytes]]:
    """Return path and inode of some events made from it."""
    random = Random(1)  # noqa: S311  # no secret
    bodies = [template.body(Variation(lap, random)) for lap in range(times)]
    found = [re.search(rb"(?:name=(\S+) )?(?:dev=\S+ )?inode=(\d+)", body) for body in bodies]
    return [(each[1] or b"", each[2]) for each in found if each]


def test_a_path_that_stays_keeps_its_inode() -> None:
    """The loader's record is the same in every execution, as on a host: what a cache gains here it gains there."""
    assert set(inodes(make_template([LOADER]))) == {(b'"/lib64/ld-linux-x86-64.so.2"', b"15298")}


def test_another_path_has_another_inode_and_the_same_path_the_same() -> None:
    """Nobody sees one file with two inodes, which no host has."""
    for line in (FILE, HEX):
        found = inodes(make_template([line]))
        assert len({path for path, _ in found}) > 45
        assert len(set(found)) == len({path for path, _ in found}) == len({inode for _, inode in found})
    one, other = (make_template([line]) for line in (FILE, FILE.replace(b"item=0", b"item=7")))
    for lap in range(20):
        variation = Variation(lap, Random(lap))  # noqa: S311  # no secret
        first, second = (re.findall(rb"inode=\d+", each.body(variation)) for each in (one, other))
        assert first == second


def test_what_has_no_path_has_another_inode_in_every_event() -> None:
    """Sockets, pipes and files whose path the kernel does not tell do not repeat."""
    for line in (SOCKET, NAMELESS):
        assert len({inode for _, inode in inodes(make_template([line]))}) == 50


def test_without_repeats_every_inode_is_another() -> None:
    """The figure can be had without what a cache gains, as older figures were."""
    assert len({inode for _, inode in inodes(make_template([LOADER], repeats=False))}) == 50


def test_arguments_that_are_no_pointers_stay() -> None:
    """A figure has no host that changes to another unknown user with every call: each costs a look-up."""
    line = b"type=SYSCALL msg=audit(1.1:1): arch=c000003e syscall=260 a0=ffffff9c a1=5bffe5b0fcb2 a2=3e8 a3=ffffffff"
    template, random = make_template([line]), Random(1)  # noqa: S311  # no secret
    bodies = [template.body(Variation(lap, random)) for lap in range(20)]
    assert all(b" a0=ffffff9c " in body and b" a2=3e8 a3=ffffffff" in body for body in bodies)
    assert len({tuple(re.findall(rb" a1=(\w+)", body)) for body in bodies}) > 15
