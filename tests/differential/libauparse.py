"""What libauparse, the audit project's own reader, makes of a log: records and fields, as bytes.

In: a log file. Out: one `Record` for every record that it reads, in the order of the file. The library is called
through ctypes; nothing of the kernel's audit is touched. Names of users and groups are those of the machine, or of
`oracle.py`, which runs this in a process of its own.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

# ausource_t, auparse_esc_t and the return values of auparse.h.
_SOURCE_FILE = 1
_ESCAPE_NOTHING = 0


class _Event(ctypes.Structure):
    """au_event_t."""

    _fields_ = (
        ("sec", ctypes.c_long),
        ("milli", ctypes.c_uint),
        ("serial", ctypes.c_ulong),
        ("host", ctypes.c_char_p),
    )


class Field(NamedTuple):
    """One field of a record."""

    name: bytes
    # As it stands in the record, with its quotes.
    raw: bytes
    # As libauparse explains it, nothing escaped.
    interpreted: bytes


class Record(NamedTuple):
    """One record."""

    # 1-based, of the file.
    line: int
    # -1 if libauparse does not know the type.
    number: int
    seconds: int
    millis: int
    serial: int
    node: bytes | None
    fields: tuple[Field, ...]


@cache
def library() -> ctypes.CDLL | None:
    """libauparse, or None if this machine has none."""
    name = ctypes.util.find_library("auparse")
    if name is None:
        return None
    loaded = ctypes.CDLL(name, use_errno=True)
    state, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for function, result, arguments in (
        ("auparse_init", state, (number, text)),
        ("auparse_destroy", None, (state,)),
        ("auparse_set_escape_mode", None, (state, number)),
        ("auparse_next_event", number, (state,)),
        ("auparse_first_record", number, (state,)),
        ("auparse_next_record", number, (state,)),
        ("auparse_get_type", number, (state,)),
        ("auparse_get_line_number", ctypes.c_uint, (state,)),
        ("auparse_get_timestamp", ctypes.POINTER(_Event), (state,)),
        ("auparse_first_field", number, (state,)),
        ("auparse_next_field", number, (state,)),
        ("auparse_get_field_name", text, (state,)),
        ("auparse_get_field_str", text, (state,)),
        ("auparse_interpret_field", text, (state,)),
    ):
        call = getattr(loaded, function)
        call.restype, call.argtypes = result, arguments
    return loaded


def version() -> str | None:
    """Version of Debian's package, such as `1:3.0.9-1`; None where packages are not Debian's."""
    query = shutil.which("dpkg-query")
    if query is None:
        return None
    command = [query, "--show", "--showformat=${Version}", "libauparse0"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _fields(auparse: ctypes.CDLL, state: int) -> tuple[Field, ...]:
    fields = []
    more = auparse.auparse_first_field(state)
    while more > 0:
        name = auparse.auparse_get_field_name(state)
        # Type and node are the header, not fields of the record.
        if name not in {b"type", b"node"}:
            raw = auparse.auparse_get_field_str(state) or b""
            fields.append(Field(name, raw, auparse.auparse_interpret_field(state) or b""))
        more = auparse.auparse_next_field(state)
    return tuple(fields)


def _record(auparse: ctypes.CDLL, state: int) -> Record:
    event = auparse.auparse_get_timestamp(state).contents
    return Record(
        line=auparse.auparse_get_line_number(state),
        number=auparse.auparse_get_type(state),
        seconds=event.sec,
        millis=event.milli,
        serial=event.serial,
        node=event.host,
        fields=_fields(auparse, state),
    )


def read(path: Path) -> list[Record]:
    """Read a log.

    Args:
        path: the log; lines end with a newline.

    Raises:
        OSError: libauparse is not there, or cannot open the file.
    """
    auparse = library()
    if auparse is None:
        raise OSError("there is no libauparse on this machine")
    state = auparse.auparse_init(_SOURCE_FILE, bytes(path))
    if not state:
        raise OSError(ctypes.get_errno(), f"libauparse cannot open {path}")
    records = []
    try:
        auparse.auparse_set_escape_mode(state, _ESCAPE_NOTHING)
        while auparse.auparse_next_event(state) > 0:
            more = auparse.auparse_first_record(state)
            while more > 0:
                # What has no time is a line that it could not make sense of.
                if auparse.auparse_get_timestamp(state):
                    records.append(_record(auparse, state))
                more = auparse.auparse_next_record(state)
    finally:
        auparse.auparse_destroy(state)
    return sorted(records, key=lambda record: record.line)
