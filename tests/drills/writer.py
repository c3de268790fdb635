"""Writes audit records as auditd does: one by one, blocking, into a socket, at a rate; and measures how long it waits.

A process of its own, so that nothing of the test slows it down. It is told over a socket on standard input: `socket`
with a descriptor (write there from now on), `stop`. When its reader is gone it waits for the next descriptor; what it
could not write then is not sent. At the end it tells on standard output, as JSON, what was sent and how it waited.

    python writer.py RATE BASE_MS [EVERY]    records per second, the time of the first event in ms since 1970, and every
                                             how manieth event is a large one
"""

import array
import base64
import contextlib
import json
import os
import select
import socket
import sys
import time

# An execution, of four records and an end; every tenth event is a log-in, of one.
_SYSCALL = (
    "type=SYSCALL msg=audit({id}): arch=c000003e syscall=59 success=yes exit=0 a0=55d0c8a0 a1=55d0c8b0 a2=55d0c8c0 a3=8"
    " items=1 ppid=4317 pid={pid} auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses={ses}"
    ' comm="touch" exe="/usr/bin/touch" key="drill"\n'
)
_PATH = (
    'type=PATH msg=audit({id}): item=0 name="/usr/bin/touch" inode=1032 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00'
    " nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\n"
)
_EXECUTION = (
    _SYSCALL,
    'type=EXECVE msg=audit({id}): argc=3 a0="touch" a1="-d" a2="/srv/data/{pid}"\n',
    'type=CWD msg=audit({id}): cwd="/home/drill"\n',
    _PATH,
    "type=EOE msg=audit({id}): \n",
)
_USER_LOGIN = (
    "type=USER_LOGIN msg=audit({id}): pid={pid} uid=0 auid=1000 ses={ses} "
    'msg=\'op=login acct="drill" exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success\'\n'
)
_LOGIN = (_USER_LOGIN,)


# Of the arguments of a large event: how many there are, how long each is, and what they are cut from. Letters that no
# compression makes small, so that the message is as large for the broker as it is for us.
_ARGUMENTS, _LETTERS = 40, 8000
_NOISE = base64.urlsafe_b64encode(os.urandom(_ARGUMENTS * _LETTERS)).decode()


def event(serial: int, base_ms: int, every: int = 0) -> list[bytes]:
    """The records of an event."""
    at = base_ms + serial
    fields = {"id": f"{at // 1000}.{at % 1000:03}:{serial}", "pid": 1000 + serial % 30000, "ses": serial % 7 + 1}
    records = [line.format(**fields).encode() for line in (_EXECUTION if serial % 10 else _LOGIN)]
    if every and serial % every == 0:
        records[1:1] = _large(fields["id"])
    return records


def _large(identity: object) -> list[bytes]:
    """Arguments of a command line, a record for each, as the kernel splits them."""
    starts = range(0, _ARGUMENTS * _LETTERS, _LETTERS)
    lines = [f'type=EXECVE msg=audit({identity}): argc={_ARGUMENTS + 1} a0="touch"\n']
    lines += [
        f'type=EXECVE msg=audit({identity}): a{number}="{_NOISE[start : start + _LETTERS]}"\n'
        for number, start in enumerate(starts, 1)
    ]
    return [each.encode() for each in lines]


class Writer:
    """Writes until it is told to stop."""

    def __init__(self, control: socket.socket, rate: float, base_ms: int, every: int) -> None:
        self._control = control
        self._rate = rate
        self._base_ms = base_ms
        self._every = every
        self._out: socket.socket | None = None
        self._stopped = False
        self.waits = array.array("d")
        self.broken: list[int] = []  # serials that were not written, or not whole
        self.serial = 0

    def run(self) -> None:
        """Write."""
        start, count = time.monotonic(), 0
        while not self._stopped:
            self._hear(0.0 if self._out else None)
            if self._out is None:
                continue
            self.serial += 1
            for record in event(self.serial, self._base_ms, self._every):
                count += 1
                ahead = start + count / self._rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                if not self._write(record):
                    self.broken.append(self.serial)
                    break

    def _write(self, record: bytes) -> bool:
        if self._out is None:
            return False
        begin = time.perf_counter()
        try:
            self._out.sendall(record)
        except OSError:
            self._out.close()
            self._out = None
            return False
        self.waits.append(time.perf_counter() - begin)
        return True

    def _hear(self, timeout: float | None) -> None:
        if not select.select([self._control], [], [], timeout)[0]:
            return
        said, fds, _, _ = socket.recv_fds(self._control, 16, 1)
        if said == b"socket":
            if self._out is not None:
                self._out.close()
            self._out = socket.socket(fileno=fds[0])
            self._out.settimeout(None)  # whatever the test did with it
        else:
            self._stopped = True

    def report(self) -> dict[str, object]:
        """What was done."""
        waits = sorted(self.waits)
        last = len(waits) - 1
        shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
        figures = {name: waits[min(last, int(share * len(waits)))] * 1000 for name, share in shares.items() if waits}
        return {
            "last": self.serial,
            "broken": self.broken,
            "records": len(waits),
            "waits_ms": {name: round(value, 3) for name, value in figures.items()},
        }


if __name__ == "__main__":
    rate, base, *large = sys.argv[1:]
    writer = Writer(socket.socket(fileno=0), float(rate), int(base), int(large[0]) if large else 0)
    writer.run()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(writer.report()) + "\n")
        sys.stdout.flush()
    # The socket stays open until the test has seen all that it wants to see of the living plugin.
    sys.stdin.buffer.read(0)
    socket.socket(fileno=0).recv(16)
