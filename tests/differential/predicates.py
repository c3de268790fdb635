"""What rules of `differences.toml` ask of a difference: each looks at the record, and says what the document may hold.

A predicate says what the document has to hold, not only that it may differ: an error beside the difference stays one.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from tests.differential import names, places, tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.facts import Difference

MACHINE_ID = re.compile("[0-9a-f]{32}")
HEADER = re.compile(rb"msg=audit\([^)]*\):? ?")
# Behind a value: another field, the end of msg='...', or of the record.
END = r"(?='?(?:$|\n|\x1d)| +[(]?[\w-]+=)"
# Architectures that libauparse 3.0.9 as Debian builds it has tables for.
ITS_MACHINES = frozenset({"x86_64", "i386", "ppc", "ppc64", "ppc64le", "s390", "s390x", "arm", "aarch64"})


def name_of(found: Difference) -> str:
    """The field's name in the record."""
    return found.field.removesuffix(" (name)").removesuffix(" (meaning)").rpartition(".")[2]


def has(found: Difference, value: str, name: str = "", part: bytes | None = None) -> re.Match[bytes] | None:
    """Where the record has a field with a value that begins so.

    Args:
        found: the difference.
        value: a regular expression.
        name: of the field, if it is not the difference's.
        part: of the record, to look at that only.
    """
    pattern = rf"(?<![\w-]){re.escape(name or name_of(found))}={value}".encode()
    return re.search(pattern, found.line if part is None else part)


def _carried(found: Difference, value: str) -> re.Match[bytes] | None:
    """Where auditd wrote a name that begins so beside the record."""
    return has(found, value, name_of(found).upper(), found.line.partition(b"\x1d")[2])


def in_quotes(found: Difference) -> bool:
    """The record has what the document holds in double quotes, as the value of the field."""
    return has(found, f'"{re.escape(found.ours)}"') is not None


def blanks_within(found: Difference) -> bool:
    """The record has all the words that the document holds as the value of the field; libauparse has the first."""
    first, blank, _ = found.ours.partition(" ")
    return blank != "" and found.theirs == first.rstrip(",;:") and has(found, re.escape(found.ours) + END) is not None


def blanks_in_quotes(found: Difference) -> bool:
    """The record has a blank within the quoted value that the document holds; libauparse has one blank or a part."""
    cut = found.theirs in {" ", '"' + found.ours.partition(" ")[0]}
    return cut and " " in found.ours and in_quotes(found)


def unquoted(found: Difference) -> bool:
    """Only the quotes differ, and they are in the record."""
    return found.theirs == f'"{found.ours}"' and in_quotes(found)


def free_words(found: Difference) -> bool:
    """The document holds the words at the beginning of the record or of its message that are no field."""
    start = rb"(?:^|\n|^type=\S+ |msg='(?:avc:  \S+ )?)"
    words = re.escape(found.ours).encode() + rb" *" + END.encode()
    record = HEADER.sub(b"", found.line)
    return not found.theirs and "=" not in found.ours and re.search(start + words, record) is not None


def no_value(found: Difference) -> bool:
    """The record has the field's name and nothing behind the equals sign."""
    return not found.theirs and not found.ours and has(found, r"(?:\s|'|$)") is not None


def cut_hex(found: Difference) -> bool:
    """The record has the hex of what the document holds and a single digit behind it."""
    digits = found.ours.encode().hex().upper()
    return found.theirs[:-1] == found.ours and has(found, f"{digits}[0-9A-F](?![0-9A-F])") is not None


def foreign_node(found: Difference) -> bool:
    """The event is from another host, the record carries no such name, and the document holds none."""
    # The host that reads is the one whose id is a machine's.
    local = MACHINE_ID.fullmatch(found.document["host"]["id"])
    return not found.ours and not local and _carried(found, "") is None


def asked_name(found: Difference) -> bool:
    """The name that the document holds is that of the number in the record, on the host that reads."""
    kind = "gid" if places.is_group(found.record_type.upper(), name_of(found)) else "uid"
    number = has(found, r"(\d+)")
    return not found.theirs and number is not None and names.known(kind).get(number[1].decode()) == found.ours


def carried_unknown(found: Difference) -> bool:
    """As `asked_name`, and auditd wrote beside the record that it had no name."""
    return _carried(found, r'"unknown\(') is not None and asked_name(found)


def by_table(found: Difference) -> bool:
    """The document holds what the knowledge's tables have for the value in the record."""
    return found.ours == "|".join(tables.meaning(found.line, found.document, found.record_type, name_of(found)))


def by_table_elsewhere(found: Difference) -> bool:
    """As `by_table`, and the record is from an architecture that libauparse has no tables for."""
    arch = tables.arch_of(found.line, found.document)
    return arch is not None and arch.name not in ITS_MACHINES and by_table(found)


def by_table_other_flags(found: Difference) -> bool:
    """As `by_table`, and the flags of open have other numbers on the architecture of the record."""
    arch = tables.arch_of(found.line, found.document)
    return arch is not None and arch.family not in {"x86", "generic"} and by_table(found)


def of_account(found: Difference) -> bool:
    """The document holds the account that the event is about, as the record has it."""
    data = found.document["auditd"]["data"]
    account = {"id": data.get("id"), "name": data.get("acct", data.get("id_name"))}
    return not found.theirs and found.ours == account[name_of(found)]


def unnamed_socket(found: Difference) -> bool:
    """The address is the family alone, or an empty abstract name."""
    addresses = {"0100": "family=unix", "010000": "family=unix path=@"}
    return found.ours == addresses.get(tables.raw_value(found.line, "saddr") or "")


def big_endian_address(found: Difference) -> bool:
    """The address is of IPv4 and begins with the family in network order; the document holds its address and port."""
    raw = bytes.fromhex(tables.raw_value(found.line, "saddr") or "")
    address = ipaddress.IPv4Address(raw[4:8])
    return raw[:2] == b"\0\2" and found.ours == f"family=ipv4 addr={address} port={int.from_bytes(raw[2:4])}"


PREDICATES: dict[str, Callable[[Difference], bool]] = {
    predicate.__name__: predicate
    for predicate in (
        unquoted,
        blanks_in_quotes,
        blanks_within,
        in_quotes,
        free_words,
        no_value,
        cut_hex,
        foreign_node,
        asked_name,
        carried_unknown,
        by_table,
        by_table_elsewhere,
        by_table_other_flags,
        of_account,
        unnamed_socket,
        big_endian_address,
    )
}
