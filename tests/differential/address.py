"""Socket addresses: what libauparse says of one, and `auditd.data.socket`, which holds the same in parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.differential.held import SOCKET

if TYPE_CHECKING:
    from tests.differential.held import Held
    from tests.differential.libauparse import Field

SADDR = re.compile(rb"\{ saddr_fam=(\S+)(?: (.*?))? ?\}", re.DOTALL)
SOCKET_KEYS = ("family", "addr", "port", "path", "pid", "groups", "saddr")
FAMILIES = {b"inet": b"ipv4", b"inet6": b"ipv6", b"local": b"unix", b"netlink": b"netlink"}


def take(held: Held, fact: Field) -> bool:
    """Whether the document holds a socket address; takes it out if it does."""
    ours = {key: held.places[f"{SOCKET}.{key}"] for key in SOCKET_KEYS if f"{SOCKET}.{key}" in held.places}
    if ours.get("saddr", fact.raw) != fact.raw or not _same(ours, fact):
        return False
    held.take_socket()
    return True


def _same(ours: dict[str, bytes], fact: Field) -> bool:
    """Whether what the document says of a socket address is what libauparse reads."""
    said = SADDR.fullmatch(fact.interpreted)
    family = FAMILIES.get(said[1]) if said else None
    if said is None or family is None or ours.get("family") != family:
        # Not taken apart: then the bytes have to be there.
        return family is None and "saddr" in ours
    words = dict(word.split(b"=", 1) for word in (said[2] or b"").split(b" ") if b"=" in word)
    if family == b"unix":
        path = (said[2] or b"").removeprefix(b"path=")
        return ours.get("path") in {path, b"@" + path}
    if family == b"netlink":
        return ours.get("pid") == words.get(b"nlnk-pid")
    return (ours.get("addr"), ours.get("port")) == (words.get(b"laddr"), words.get(b"lport"))
