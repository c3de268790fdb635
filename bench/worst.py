"""What costs a decoder most: five kinds of events, each at the limits of what the kernel and auditd can send.

Out: events as lines of records, in log_format = RAW, to be varied by `bench.vary`. The kernel cuts a message at 8,970
bytes, an argument into pieces of some 7,500, a path at 4,096 and a process title at 128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STAMP = b"msg=audit(1.100:7): "
_HEAD = (
    b"arch=c000003e syscall=59 success=yes exit=0 a0=55ca4cf267d0 a1=55ca4cf1caa0 a2=55ca4cf1d0e0 a3=8 items=1"
    b" ppid=4317 pid=4400 auid=1000 uid=1000 gid=1000 euid=1000 suid=1000 fsuid=1000 egid=1000 sgid=1000 fsgid=1000"
    b' tty=pts0 ses=3 comm="sh" exe="/usr/bin/dash" subj=unconfined key="exec"'
)
_USER = b"pid=4400 uid=1000 auid=1000 ses=3 subj=unconfined msg='"
_MESSAGE_BYTES = 8970
_PIECE_BYTES = 7500
_PATH_BYTES = 4000

Event = list[bytes]


def _line(kind: bytes, body: bytes) -> bytes:
    return b"type=" + kind + b" " + _STAMP + body


def _letters(size: int) -> bytes:
    """Text of words, of that many bytes; the last one is what varies."""
    words = b"/srv/data-%04d"
    return b"".join(words % number for number in range(size // 14 + 1))[: size - 6] + b"abcdef"


def _hex(size: int) -> bytes:
    """Text of that many bytes, with what has to be written in hex in it, in hex."""
    return _letters(size).replace(b"-", b" ").hex().upper().encode()


def _execution(*arguments: bytes, path: bytes = b'"/usr/bin/dash"', cwd: bytes = b'"/srv/data"') -> Event:
    """An execution with these bodies of EXECVE records."""
    return [
        _line(b"SYSCALL", _HEAD),
        *(_line(b"EXECVE", each) for each in arguments),
        _line(b"CWD", b"cwd=" + cwd),
        _line(b"PATH", b"item=0 name=" + path + b" inode=1032 dev=fe:00 mode=0100755 ouid=0 ogid=0 nametype=NORMAL"),
        _line(b"PROCTITLE", b"proctitle=" + b"sh\0-c\0".hex().upper().encode() + _hex(120)),
    ]


def long_hex() -> Iterator[Event]:
    """As much hex as there is room for: arguments, paths, titles, terminals."""
    yield _execution(b'argc=3 a0="sh" a1="-c" a2=' + _hex(3700), path=_hex(_PATH_BYTES), cwd=_hex(_PATH_BYTES))
    yield [_line(b"USER_CMD", _USER + b'cwd="/srv" cmd=' + _hex(4000) + b" terminal=pts/0 res=success'")]
    yield [_line(b"USER_TTY", _USER + b"op=tty data=" + _hex(4000) + b' exe="/usr/bin/dash" res=success\'')]


def long_lines() -> Iterator[Event]:
    """Lines of 8 KiB, quoted: an argument, a path, a message of a program, and one without any field."""
    argument = b'argc=2 a0="sh" a1="' + _letters(_PIECE_BYTES) + b'"'
    yield _execution(argument, path=b'"' + _letters(_PATH_BYTES) + b'"', cwd=b'"' + _letters(_PATH_BYTES) + b'"')
    yield [_line(b"USER_AVC", _USER + b'op="' + _letters(8000) + b'" exe="/usr/bin/dash" res=success\'')]
    yield [_line(b"USER", _USER + _letters(8000).replace(b"/", b" ") + b"'")]


def split_execve() -> Iterator[Event]:
    """Arguments over many records: one that is cut into 18 pieces, plain and hex, and 2,000 small ones."""
    pieces = 18
    text = _letters(_PIECE_BYTES)
    parts = [b' a1[%d]="%b"' % (number, text) for number in range(pieces)]
    yield _execution(b'argc=2 a0="sh" a1_len=%d' % (pieces * _PIECE_BYTES) + parts[0], *parts[1:])
    digits = _hex(_PIECE_BYTES // 2)
    parts = [b" a1[%d]=%b" % (number, digits) for number in range(pieces)]
    yield _execution(b'argc=2 a0="sh" a1_len=%d' % (pieces * _PIECE_BYTES) + parts[0], *parts[1:])
    count, at_once = 2000, 400
    many = [
        b" a%d=%b" % (number, b"w %04d".replace(b"%04d", b"%04d" % number).hex().encode()) for number in range(1, count)
    ]
    yield _execution(
        b'argc=%d a0="sh"' % count, *(b"".join(many[start : start + at_once]) for start in range(0, count, at_once))
    )


def many_fields() -> Iterator[Event]:
    """As many fields as fit: of a program's message, of a record of the kernel, of arguments of a letter each."""
    pairs = b" ".join(b"f%d=%d" % (number, number) for number in range(720))
    yield [_line(b"USER", _USER + pairs + b" res=success'")]
    same = b" ".join(b"key%d=0x%x" % (number % 9, number) for number in range(720))
    yield [
        _line(b"CONFIG_CHANGE", b"pid=4400 auid=1000 ses=3 op=set " + same + b" res=1"),
        _line(b"SYSCALL", _HEAD.replace(b"items=1", b"items=0")),
    ]
    short = b" ".join(b'a%d="%c"' % (number, 97 + number % 26) for number in range(1, 780))
    yield _execution(b'argc=780 a0="sh" ' + short)


def deep_quoting() -> Iterator[Event]:
    """Quotes in quotes, quotes that never end, brackets: whoever looks for the other one from each of them is slow."""
    room = _MESSAGE_BYTES - 400
    for unit in (b"a=\"b 'c ", b"x='y=\"z=' ", b'{ q="', b"k=v' msg='", b'acct="it\'s" ', b"= =\" '= ", b'\\"\\" '):
        yield [_line(b"USER_LOGIN", _USER + b"op=login " + unit * (room // len(unit)) + b" res=success'")]
    quotes = b"'\"" * 3500
    yield _execution(b'argc=2 a0="sh" a1=' + quotes.hex().encode().upper()[:7400])


KINDS: dict[str, Callable[[], Iterator[Event]]] = {
    "long-hex": long_hex,
    "long-lines": long_lines,
    "split-execve": split_execve,
    "many-fields": many_fields,
    "deep-quoting": deep_quoting,
}


def every() -> Iterator[Event]:
    """All of them."""
    for kind in KINDS.values():
        yield from kind()
