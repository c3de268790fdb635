"""Runs libauparse in a process of its own, where the users and groups are those of `passwd` and `group` here.

In: log files. Out: for each, the records that libauparse reads in it. libnss_wrapper answers for the machine's user
database there, so that the reading is the same on every machine.
"""

from __future__ import annotations

import ctypes
import grp
import marshal
import os
import pwd
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.differential import libauparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).resolve().parent
WRAPPER = "libnss_wrapper.so"
# A user of `passwd` and a group of `group` that no machine has.
USER = (12345, "uwaga")
GROUP = (54321, "gwen")


def missing() -> str | None:
    """What the process would lack; None if it can be started."""
    if libauparse.library() is None:
        return "there is no libauparse (Debian: apt-get install libauparse0)"
    try:
        ctypes.CDLL(WRAPPER)
    except OSError:
        return "there is no libnss_wrapper (Debian: apt-get install libnss-wrapper)"
    try:
        socket.getprotobyname("tcp")
    except OSError:
        return "libauparse needs names of protocols (Debian: apt-get install netbase)"
    return None


@contextmanager
def reading(logs: Iterable[Path]) -> Iterator[Iterator[tuple[libauparse.Record, ...]]]:
    """The records of each log in turn, read ahead while the caller works.

    Args:
        logs: not packed; lines end with a newline.

    Raises:
        ValueError: the process ended before it had read all logs; what it said stands on standard error.
    """
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "LD_PRELOAD": WRAPPER,
        "NSS_WRAPPER_PASSWD": str(HERE / "passwd"),
        "NSS_WRAPPER_GROUP": str(HERE / "group"),
    }
    command = [sys.executable, __file__, *map(str, logs)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield _records(process.stdout)
        finally:
            process.kill()


def _records(stream: IO[bytes]) -> Iterator[tuple[libauparse.Record, ...]]:
    while True:
        try:
            rows = marshal.load(stream)  # noqa: S302  # our own process wrote it
        except EOFError:
            raise ValueError("the oracle ended too early") from None
        fields = [tuple(map(libauparse.Field._make, row[-1])) for row in rows]
        yield tuple(libauparse.Record._make((*row[:-1], own)) for row, own in zip(rows, fields, strict=True))


def _main(logs: list[str]) -> None:
    if (pwd.getpwuid(USER[0]).pw_name, grp.getgrgid(GROUP[0]).gr_name) != (USER[1], GROUP[1]):
        raise SystemExit(f"{WRAPPER} does not answer for the machine's users")
    for log in logs:
        rows = [(*record[:-1], tuple(tuple(field) for field in record.fields)) for record in libauparse.read(Path(log))]
        marshal.dump(rows, sys.stdout.buffer)
    sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1:])
