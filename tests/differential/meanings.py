"""What a value means, in libauparse's words and in the document's: the same, if the words of the kind are mapped.

libauparse writes C's names as they are for most kinds, some of them without their prefix and in lower case, joined by a
bar or commas; the document has a list of C's names. The mapping of each kind is below, and is all that may differ
without a rule in `differences.toml`. Order says nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.differential import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.libauparse import Field

Words = frozenset[str]

FILE_TYPES = {
    "fifo": "S_IFIFO",
    "character": "S_IFCHR",
    "dir": "S_IFDIR",
    "block": "S_IFBLK",
    "file": "S_IFREG",
    "link": "S_IFLNK",
    "socket": "S_IFSOCK",
}
PERMISSION_BITS = {"suid": 0o4000, "sgid": 0o2000, "sticky": 0o1000}
# The permissions in the flags of shmget, msgget, semget.
IPC_MODES = {
    "S_IRUSR": 0o400,
    "S_IWUSR": 0o200,
    "S_IRGRP": 0o040,
    "S_IWGRP": 0o020,
    "S_IROTH": 0o004,
    "S_IWOTH": 0o002,
}
# Flags of several bits that C has one name for, and libauparse several.
PARTS = {"O_SYNC": ["__O_SYNC", "O_DSYNC"], "O_TMPFILE": ["__O_TMPFILE", "O_DIRECTORY"]}
# Words that have nothing in common with C's names.
ALIASES = {
    "hook": {
        "PREROUTING": "NF_INET_PRE_ROUTING",
        "INPUT": "NF_INET_LOCAL_IN",
        "FORWARD": "NF_INET_FORWARD",
        "OUTPUT": "NF_INET_LOCAL_OUT",
        "POSTROUTING": "NF_INET_POST_ROUTING",
    },
    "icmp_type": {
        "echo-reply": "ICMP_ECHOREPLY",
        "destination-unreachable": "ICMP_DEST_UNREACH",
        "source-quench": "ICMP_SOURCE_QUENCH",
        "redirect": "ICMP_REDIRECT",
        "echo": "ICMP_ECHO",
        "time-exceeded": "ICMP_TIME_EXCEEDED",
        "parameter-problem": "ICMP_PARAMETERPROB",
        "timestamp-request": "ICMP_TIMESTAMP",
        "timestamp-reply": "ICMP_TIMESTAMPREPLY",
        "info-request": "ICMP_INFO_REQUEST",
        "info-reply": "ICMP_INFO_REPLY",
        "address-mask-request": "ICMP_ADDRESS",
        "address-mask-reply": "ICMP_ADDRESSREPLY",
    },
    "audit_multicast": {"audit-netlink-multicast": "AUDIT_NLGRP_READLOG"},
    "ip_protocol": {"ipv6-icmp": "IPPROTO_ICMPV6"},
    "personality": {"~ADDR_NO_RANDOMIZE": "ADDR_NO_RANDOMIZE"},
    "ptrace_request": {"PTRACE_PEEKUSER": "PTRACE_PEEKUSR", "PTRACE_POKEUSER": "PTRACE_POKEUSR"},
    "socket_domain": {"local": "AF_UNIX"},
    "decimal": {"EXIT_SUCCESS": "0", "EXIT_FAILURE": "1"},
}
# What stands before libauparse's word, in capitals.
PREFIXES = {
    "capabilities": "CAP_",
    "capability": "CAP_",
    "netfilter_family": "NFPROTO_",
    "ether_type": "ETH_P_",
    "ip_protocol": "IPPROTO_",
    "fanotify_response": "FAN_",
    "sockopt_level": "SOL_",
    "socket_domain": "AF_",
}
LOWER_CASE = frozenset({"packet_verdict"})
ESCAPE = re.compile(r"\\([0-7]{3})")
KEYS = re.compile(r'(?:(?:"(?:\\.|[^"\\])*"|<[^>]+>),?)*')
KEY = re.compile(r'"((?:\\.|[^"\\])*)"|(<[^>]+>)')


def said(fact: Field) -> bytes | None:
    """What libauparse says that a value means; None if it says no more than the record does."""
    # Quotes or none, and hex that is marked as hex.
    nothing = fact.interpreted in (fact.raw, fact.raw.strip(b'"'), b"0x" + fact.raw)
    return None if nothing else fact.interpreted


def same(kind: str, theirs: bytes, ours: list[bytes]) -> bool:
    """Whether both sides say the same of a value of this kind."""
    text = theirs.decode("utf-8", "backslashreplace")
    held = [word.decode("utf-8", "backslashreplace") for word in ours]
    reader = READERS.get(kind)
    if reader is None and kind not in tables.kinds():
        return False
    return (reader or _names)(kind, text) == _own(kind, held)


def _names(kind: str, text: str) -> Words:
    """Names, joined by bars or commas."""
    words = [word for word in re.split("[|,]", text) if word != "none"]
    return frozenset(part for word in words for part in PARTS.get(word, [_name(kind, word)]))


def _name(kind: str, word: str) -> str:
    """One word of libauparse's, as C has it."""
    if word in (alias := ALIASES.get(kind, {})):
        return alias[word]
    prefix = PREFIXES.get(kind)
    if kind in LOWER_CASE:
        return word.lower()
    return word if prefix is None or word.startswith((prefix, "unknown")) else prefix + word.upper()


def _mode(_: str, text: str) -> Words:
    """`file,suid,755`, `suid,0755`; 000 stands for a type that is none."""
    *words, digits = text.split(",")
    if not digits.isdigit():
        return frozenset([text])
    bits = sum(PERMISSION_BITS.get(word, 0) for word in words)
    types = [FILE_TYPES.get(word, word) for word in words if word not in PERMISSION_BITS and word != "000"]
    return frozenset([*types, f"{int(digits, 8) | bits:04o}"])


def _ipc_flags(kind: str, text: str) -> Words:
    """`IPC_CREAT|0600`."""
    words = text.split("|")
    modes = sum(int(word, 8) for word in words if word.isdigit())
    names = [word for word in words if not word.isdigit()]
    return _names(kind, "|".join(names)) | {name for name, bit in IPC_MODES.items() if modes & bit}


def _id(_: str, text: str) -> Words:
    """A user or group by name, else `unknown(N)`."""
    unknown = re.fullmatch(r"unknown\((\d+)\)", text)
    return frozenset([unknown[1] if unknown else text])


def _keys(_: str, text: str) -> Words:
    """What was typed: `"ls",<ret>`, bytes in octal; as the one text that it makes."""
    if not KEYS.fullmatch(text):
        return frozenset([text])
    pieces = []
    for typed, key in KEY.findall(text):
        plain = ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), typed).replace('\\"', '"')
        pieces.append(key or plain.encode("latin-1", "replace").decode("utf-8", "backslashreplace"))
    return frozenset(["|".join(pieces)])


READERS: dict[str, Callable[[str, str], Words]] = {
    "mode": _mode,
    "shm_get_flags": _ipc_flags,
    "ipc_get_flags": _ipc_flags,
    "uid": _id,
    "gid": _id,
    "keystrokes": _keys,
}


def _own(kind: str, held: list[str]) -> Words:
    """The document's words, flags of several bits in parts."""
    if kind == "keystrokes":
        return frozenset(["|".join(held)])
    if kind == "mode":
        return frozenset(f"{int(word, 8):04o}" if word.isdigit() else word for word in held)
    return frozenset(part for word in held for part in PARTS.get(word, [word]))


def of_path_mode(octal: bytes) -> list[bytes]:
    """What the mode of a PATH record means, which the document keeps in octal."""
    number = tables.parse("oct", octal.decode())
    return [] if number is None else [word.encode() for word in tables.words("mode", number, "generic")]
