"""From one captured event to any number of its kind: what differs between two real events of a host, differs here.

In: the lines of one event. Out: a `Template`, which gives the event again with other pids, sessions, ids, pointers,
addresses, arguments and paths, and another inode for another path. What stays is what repeats on a real host: programs
and their inodes, keys, options, results. Lengths and spellings stay: hex stays hex, quoted stays quoted, an enriched
name stays the name of the number beside it.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

HEADER = re.compile(rb"(?:node=\S+ )?type=(\S+) msg=audit\((\d+\.\d+:\d+)\):")
SEPARATOR = b"\x1d"
# Stands where time and serial go; no record that is used holds a NUL.
STAMP = b"\0"

_FIELD = re.compile(rb"""(?<![\w\]-])([A-Za-z_][\w-]*(?:\[\d+\])?)=("[^"]*"|[^\s'"]+)""")
_ENRICHED = re.compile(rb'([A-Z][A-Z_-]*)="([^"]*)"')
_ENRICHED_INET = re.compile(rb"SADDR=\{ saddr_fam=inet6? laddr=\S+ lport=\d+ \}")
_ENRICHED_PATH = re.compile(rb"(?<=path=)\S+(?= \}$)")
_HEX = re.compile(rb"(?:[0-9A-F]{2})+\Z")
_WORD = re.compile(rb"[A-Za-z0-9]{3,}")
_ARGUMENT = re.compile(rb"a([1-9]\d*)(?:\[\d+\])?\Z")
_PROGRAM = re.compile(rb"/(?:usr/)?(?:s?bin|lib(?:64|exec)?)/")
_WORD_BYTES = 6
_MAX_DIGITS = 20  # of a 64 bit number; an EXECVE's a1[0] may be 7,000 digits of hex

_POINTERS = {b"a0", b"a1", b"a2", b"a3"}
_PIDS = {b"pid", b"ppid", b"opid"}
_UIDS = {b"uid", b"euid", b"suid", b"fsuid", b"auid", b"old-auid", b"ouid", b"oauid", b"iuid", b"sauid", b"id"}
_GIDS = {b"gid", b"egid", b"sgid", b"fsgid", b"ogid", b"igid"}
_SESSIONS = {b"ses", b"old-ses", b"oses"}
_INODES = {b"inode", b"ino"}
_PATHS = {b"name", b"path"}
_TEXTS = {b"name", b"cwd", b"cmd", b"data", b"path"}
_UNSET = {b"4294967295", b"-1"}
# Digits, in hex, of what is no pointer on a machine with 64 bits.
_LONGEST_COUNT = 8
# Every Debian and most others have these, so that a peer which looks names up finds them and may keep them.
# Uid and gid of the same number have the same name here.
USERS = {1: "daemon", 2: "bin", 3: "sys", 7: "lp", 8: "mail", 10: "uucp", 13: "proxy", 33: "www-data"}
_IDS = [b"%d" % number for number in USERS]
_NAMES = {b"%d" % number: name.encode() for number, name in USERS.items()}

_LETTERS = b"0123456789abcdefghijklmnopqrstuvwxyz"
_TRIPLES = [bytes((a, b, c)) for a in _LETTERS for b in _LETTERS for c in _LETTERS]
_FIRST_PID = 300  # below are the kernel's threads and the machine's oldest services
_PID_SPAN = 4_194_304 - _FIRST_PID


@dataclass
class Variation:
    """What is the same all over one event, and from which lap through the captured events it is."""

    lap: int
    random: Random
    words: dict[bytes, bytes] = field(default_factory=dict)
    addresses: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)

    def word(self, old: bytes) -> bytes:
        """Another word for this one: as long, digits for digits."""
        new = self.words.get(old)
        if new is None:
            bits = self.random.getrandbits(30)
            if old.isdigit():
                new = b"%0*d" % (len(old), bits % 10 ** len(old))
            else:
                new = (_TRIPLES[bits % 46656] + _TRIPLES[(bits >> 15) % 46656])[-len(old) :]
            self.words[old] = new
        return new


Slot = Callable[[Variation], bytes]


@dataclass(frozen=True)
class Template:
    """One event to be made again: text with `%b` for each slot, and `STAMP` for time and serial."""

    text: bytes
    slots: tuple[Slot, ...]
    records: int

    def body(self, variation: Variation) -> bytes:
        """The event's lines, with `STAMP` where time and serial belong."""
        return self.text % tuple(slot(variation) for slot in self.slots)


def make_template(lines: Iterable[bytes], *, repeats: bool = True) -> Template:
    """Make the template of one event.

    Args:
        lines: the event's records without their newlines; `HEADER` matches each.
        repeats: an inode changes only with the path beside it, as on a host; otherwise in every event.
    """
    text, slots, records = bytearray(), [], 0
    for line in lines:
        head = HEADER.match(line)
        if head is None:
            raise ValueError(f"not an audit record: {line[:80]!r}")
        own, separator, enriched = line[head.end() :].partition(SEPARATOR)
        record_type = head[1]
        values = {match[1].lower(): match[2] for match in reversed(list(_FIELD.finditer(own)))}
        text += b"type=%b msg=audit(%b):" % (record_type.replace(b"%", b"%%"), STAMP)
        slots += _fill(text, own, _own_slots(record_type, own, repeats=repeats))
        text += separator
        slots += _fill(text, enriched, _enriched_slots(enriched, values))
        text += b"\n"
        records += 1
    return Template(bytes(text), tuple(slots), records)


# A place: from where to where in the text, and what to put there.
Place = tuple[int, int, Slot]


def _fill(text: bytearray, content: bytes, places: list[Place]) -> list[Slot]:
    """Append `content` to the template's text, with `%b` at the places."""
    done, slots = 0, []
    for start, end, slot in sorted(places, key=lambda place: place[0]):
        if start < done:
            continue
        text += content[done:start].replace(b"%", b"%%") + b"%b"
        slots.append(slot)
        done = end
    text += content[done:].replace(b"%", b"%%")
    return slots


def _own_slots(record_type: bytes, own: bytes, *, repeats: bool) -> list[Place]:
    places: list[Place] = []
    paths: list[Place] | None = None
    inodes: list[tuple[int, int, int]] = []
    for match in _FIELD.finditer(own):
        key, value, (start, end) = match[1].lower(), match[2], match.span(2)
        slot = _number_slot(record_type, key, value)
        if slot is not None:
            places.append((start, end, slot))
        elif key in _INODES and _is_number(value):
            inodes.append((start, end, int(value) % 1_000_000))
        elif key == b"saddr" and value[:4] in {b"0200", b"0A00"}:
            places.append((start, end, _address_slot(value, 0)))
        elif key == b"saddr" and value[:4] == b"0100" and _HEX.match(value):
            places += _hex_places(value[4:], start + 4, 0)
        elif key in _TEXTS or (record_type == b"EXECVE" and _ARGUMENT.match(key)):
            found = _text_places(value, start, 0)
            places += found
            if key in _PATHS and _is_text(value):
                paths = [*(paths or []), *found]
        elif key == b"proctitle":
            places += _text_places(value, start, 1)
    return places + _inode_places(inodes, paths if repeats else None)


def _inode_places(inodes: Iterable[tuple[int, int, int]], paths: list[Place] | None) -> list[Place]:
    """Where inodes go: one for each path; for each event, if there is no path beside them (a socket, a pipe)."""
    if paths is None:
        return [(start, end, _inode_slot(b"%06d" % number)) for start, end, number in inodes]
    slots = [slot for _, _, slot in paths]
    return [(start, end, _inode_of_slot(number, slots)) for start, end, number in inodes if slots]


def _is_number(value: bytes) -> bool:
    return value.isdigit() and value not in _UNSET and len(value) <= _MAX_DIGITS


def _is_text(value: bytes) -> bool:
    return value[:1] == b'"' or bool(_HEX.match(value))


def _number_slot(record_type: bytes, key: bytes, value: bytes) -> Slot | None:
    """The slot of a number; None if this is none, or one that stays."""
    if record_type == b"SYSCALL" and key in _POINTERS:
        # Short ones are flags, ids and counts (AT_FDCWD and -1 as an id have eight digits), which a host has few of.
        return _pointer_slot(value) if len(value) > _LONGEST_COUNT else None
    if not _is_number(value):
        return None
    number, slot = int(value), None
    if key in _PIDS and number >= _FIRST_PID:
        slot = _pid_slot(number)
    elif key in _SESSIONS:
        slot = _session_slot(number)
    elif key in _UIDS | _GIDS and number:
        slot = _id_slot(number)
    return slot


def _pid_slot(number: int) -> Slot:
    """One number for all pids of a lap is added, so that parents stay parents and threads of events stay together."""
    return lambda variation: b"%d" % (_FIRST_PID + (number + variation.lap * 5003) % _PID_SPAN)


def _session_slot(number: int) -> Slot:
    return lambda variation: b"%d" % ((number + variation.lap * 97) % 0x7FFFFFFF)


def _id_slot(number: int) -> Slot:
    return lambda variation: _IDS[(number + variation.lap) % len(_IDS)]


def _inode_slot(digits: bytes) -> Slot:
    return lambda variation: b"1" + variation.word(digits)


def _inode_of_slot(number: int, paths: list[Slot]) -> Slot:
    """The same path has the same inode, whichever event names it."""
    return lambda variation: b"1%06d" % (zlib.crc32(b"/".join(slot(variation) for slot in paths), number) % 1_000_000)


def _pointer_slot(value: bytes) -> Slot:
    rest = len(value) - 1
    mask = 16**rest - 1
    first = value[:1]
    return lambda variation: first + b"%0*x" % (rest, variation.random.getrandbits(60) & mask)


def _text_places(value: bytes, start: int, skip: int) -> list[Place]:
    """Places in a quoted or hex value; `skip` of its NUL separated pieces stay as they are."""
    if value[:1] == b'"':
        word = None if skip else _changing_word(value[1:-1])
        if word is None:
            return []
        at = start + 1 + word.start()
        return [(at, start + 1 + word.end(), _word_slot(word[0]))]
    return _hex_places(value, start, skip) if _HEX.match(value) else []


def _hex_places(value: bytes, start: int, skip: int) -> list[Place]:
    places: list[Place] = []
    at = start
    for number, piece in enumerate(bytes.fromhex(value.decode("ascii")).split(b"\0")):
        word = _changing_word(piece) if number >= skip else None
        if word is not None:
            places.append((at + 2 * word.start(), at + 2 * word.end(), _hex_word_slot(word[0])))
        at += 2 * len(piece) + 2
    return places


def _changing_word(text: bytes) -> re.Match[bytes] | None:
    """The end of the last word of an argument or path, at most six bytes; None if it is a program or has no word."""
    words = [] if _PROGRAM.match(text) else list(_WORD.finditer(text))
    if not words:
        return None
    start, end = words[-1].span()
    return re.compile(rb"\w+").match(text, max(start, end - _WORD_BYTES), end)


def _word_slot(word: bytes) -> Slot:
    return lambda variation: variation.word(word)


def _hex_word_slot(word: bytes) -> Slot:
    return lambda variation: variation.word(word).hex().upper().encode()


def _address_slot(saddr: bytes, which: int) -> Slot:
    """An Internet address with another port and host; 0 for its hex, 1 for auditd's reading of it."""

    def slot(variation: Variation) -> bytes:
        both = variation.addresses.get(saddr)
        if both is None:
            bits = variation.random.getrandbits(32)
            port = 1024 + bits % 60000
            host = (bits >> 16) & 0xFFFF
            network = slice(8, 12) if saddr[:2] == b"02" else slice(16, 44)
            address = saddr[network] + b"%04X" % host
            begin = saddr[:4] + b"%04X" % port + saddr[8 : network.start]
            text = str(ipaddress.ip_address(bytes.fromhex(address.decode()))).encode()
            family = b"inet" if saddr[:2] == b"02" else b"inet6"
            both = variation.addresses[saddr] = (
                begin + address + saddr[network.stop + 4 :],
                b"SADDR={ saddr_fam=%b laddr=%b lport=%d }" % (family, text, port),
            )
        return both[which]

    return slot


def _enriched_slots(enriched: bytes, values: dict[bytes, bytes]) -> list[Place]:
    places: list[Place] = []
    saddr = values.get(b"saddr", b"")
    inet = _ENRICHED_INET.search(enriched)
    path = _ENRICHED_PATH.search(enriched)
    if inet and saddr[:4] in {b"0200", b"0A00"}:
        places.append((*inet.span(), _address_slot(saddr, 1)))
    elif path and saddr[:4] == b"0100":
        word = _changing_word(path[0])
        if word is not None:
            places.append((path.start() + word.start(), path.start() + word.end(), _word_slot(word[0])))
    for match in _ENRICHED.finditer(enriched):
        key = match[1].lower()
        number = values.get(key, b"")
        if key in _UIDS | _GIDS and number.isdigit() and number != b"0" and number not in _UNSET:
            places.append((*match.span(2), _name_slot(_id_slot(int(number)))))
    return places


def _name_slot(number: Slot) -> Slot:
    return lambda variation: _NAMES[number(variation)]
