"""Inputs for the properties, made of the vectors: their events, and lines that are damaged in likely ways."""

from __future__ import annotations

import re
from functools import cache
from itertools import count

from hypothesis import strategies as st

from tests.vectors import golden

HEADER = re.compile(rb"^( *(?:node=\S+ )?type=(\S+) msg=audit\()(\d+)\.(\d+):(\d+)(\))")
# A second in which all events of an example fall: nothing is closed because time has passed.
START_MS = 1_800_000_000_000
STEP_MS = 4
FIRST_SERIAL = 1000
LAST_TYPES = frozenset({b"PROCTITLE", b"EOE"})
# Vectors whose events are not whole, or are taken apart on purpose.
NOT_WHOLE = re.compile(r"late-|no-end|truncated-|quirks-|contexts-|inject-|serial-gap")

# What damaged input is made of: what means something to a reader, at the wrong place.
PIECES = (
    *(
        b'"',
        b"'",
        b"=",
        b" ",
        b"  ",
        b"\x1d",
        b"\0",
        b"\x01",
        b"\r",
        b"\n",
        b"\xff\xfe",
        b"\xe2\x82",
        b"(null)",
        b"?",
        b"(",
        b")",
    ),
    *(
        b"msg='",
        b"msg=audit(",
        b"type=",
        b"type=PATH ",
        b"type=EOE ",
        b"type=UNKNOWN[1425] ",
        b"type=UNKNOWN[99999] ",
        b"node=",
    ),
    *(
        b"node=a ",
        b"node=b ",
        b"a0=",
        b"a1[0]=",
        b"a1[7]=4142",
        b"a4000000000=x",
        b"a1_len=4",
        b"argc=4294967295",
        b"item=9",
    ),
    *(b"saddr=0200", b"saddr=01", b"key=", b"6B0162", b"exit=-4096", b"exit=-115", b"arch=c000003e", b"syscall=59"),
    *(b"uid=4294967295", b"auid=1", b'AUID="root"', b"subj=?", b"subj=a:b:c:d:e:f", b"avc:  denied  { a }", b":", b","),
)


def lines_of(name: str) -> list[bytes]:
    """The lines of a vector."""
    return golden.load(name).log.split(b"\n")[:-1]


@cache
def names() -> list[str]:
    """All vectors, and those of which several fit into an example."""
    return golden.names()


@cache
def all_lines() -> list[bytes]:
    """Every line of every vector, each once, the shortest first."""
    return sorted({line for name in names() for line in lines_of(name)}, key=lambda line: (len(line), line))


@cache
def whole_events() -> list[tuple[bytes, ...]]:
    """The lines of every event of the vectors that has its end, the shortest first."""
    events: dict[tuple[str, bytes, bytes, bytes], list[bytes]] = {}
    for name in names():
        if NOT_WHOLE.match(name):
            continue
        for line in lines_of(name):
            header = HEADER.match(line)
            if header is not None:
                events.setdefault((name, header[3], header[5], header[2][:7]), []).append(line)
    # DAEMON_* are numbered apart, so their type is part of the key; the other records of an event belong together.
    merged: dict[tuple[str, bytes, bytes, bool], list[bytes]] = {}
    for (name, seconds, serial, kind), lines in events.items():
        merged.setdefault((name, seconds, serial, kind == b"DAEMON_"), []).extend(lines)
    order = {line: index for name in names() for index, line in enumerate(lines_of(name))}
    whole = [tuple(sorted(lines, key=order.__getitem__)) for lines in merged.values()]
    return sorted((event for event in whole if is_whole(event)), key=lambda event: sum(map(len, event)))


def type_of(line: bytes) -> bytes:
    """The type of a record."""
    header = HEADER.match(line)
    return header[2] if header else b""


def is_whole(event: tuple[bytes, ...]) -> bool:
    """Whether an event has its end, and nothing announces more of it."""
    types = [type_of(line) for line in event]
    announced = any(b"subj=? " in line or b"obj=? " in line for line in event)
    return not announced and (len(event) == 1 or types[-1] in LAST_TYPES)


def stamped(event: tuple[bytes, ...], number: int, serial: int) -> tuple[bytes, ...]:
    """An event with the time of the `number`th of an example, and a serial."""
    millis = START_MS + number * STEP_MS
    stamp = b"%d.%03d:%d" % (millis // 1000, millis % 1000, serial)
    return tuple(HEADER.sub(rb"\g<1>" + stamp + rb"\6", line) for line in event)


@st.composite
def events(draw: st.DrawFn, most: int = 6) -> list[tuple[bytes, ...]]:
    """Whole events, each with a time and a serial of its own, no serial left out."""
    drawn = draw(st.lists(st.sampled_from(whole_events()), min_size=1, max_size=most))
    made: list[tuple[bytes, ...]] = []
    # The kernel counts its events, auditd its own.
    serials = {False: count(FIRST_SERIAL), True: count(FIRST_SERIAL)}
    for number, event in enumerate(drawn):
        made.append(stamped(event, number, next(serials[type_of(event[0]).startswith(b"DAEMON_")])))
    return made


@st.composite
def merges(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """The lines of some events one after the other, and mixed so that each event keeps its order."""
    drawn = draw(events())
    owners = draw(st.permutations([number for number, event in enumerate(drawn) for _ in event]))
    left = [iter(event) for event in drawn]
    return [line for event in drawn for line in event], [next(left[owner]) for owner in owners]


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """A line of a vector, or of nothing, with pieces put in, over or away."""
    line = draw(st.one_of(st.sampled_from(all_lines()), st.binary(max_size=60)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(line)))
        end = draw(st.sampled_from([at, at, at + 1, at + 8, len(line)]))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)))
        line = line[:at] + piece + line[end:]
    return line


@st.composite
def damaged_streams(draw: st.DrawFn) -> bytes:
    """A stream of damaged lines, many of them of the same event; the last may lack its newline."""
    lines = draw(st.lists(damaged_lines(), max_size=12))
    if draw(st.booleans()):
        numbers = st.integers(0, 2)
        lines = [stamped((line,), draw(numbers), FIRST_SERIAL + draw(numbers))[0] for line in lines]
    return b"\n".join(lines) + draw(st.sampled_from([b"\n", b"", b"\0\n"]))


@st.composite
def chunked(draw: st.DrawFn, content: bytes) -> list[bytes]:
    """Bytes in pieces of any size, empty ones too."""
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=12)))
    return [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
