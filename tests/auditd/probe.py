"""A plugin that notes how it was started, what signals come, and every byte of its input. It is `execve`d by auditd.

probe FOLDER NAME ...    writes FOLDER/NAME-PID.json (its start), .signals (a line each) and .input
"""

import fcntl
import json
import os
import signal
import sys
from pathlib import Path

folder, name = sys.argv[1:3]
before = {
    key: value
    for line in Path("/proc/self/status").read_text().splitlines()
    for key, _, value in [line.partition(":\t")]
}
made = Path(folder, f"{name}-{os.getpid()}")
signals = made.with_suffix(".signals").open("a", encoding="ascii")


def note(what: str) -> None:
    """A line, at once."""
    print(what, file=signals, flush=True)  # into a file


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
    signal.signal(number, lambda number, _: note(signal.Signals(number).name))
start = {
    "argv": sys.argv,
    "environment": Path("/proc/self/environ").read_text(encoding="ascii"),
    "directory": os.getcwd(),  # noqa: PTH109  # a word
    "descriptors": {each: os.readlink(f"/proc/self/fd/{each}") for each in ("0", "1", "2")},  # noqa: PTH115  # as above
    "blocked": int(before["SigBlk"], 16),
    "ignored": int(before["SigIgn"], 16),
    "umask": before["Umask"],
    "uid": before["Uid"].split()[0],
    "nonblocking": bool(fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK),
}
made.with_suffix(".part").write_text(json.dumps(start), encoding="ascii")
made.with_suffix(".part").rename(made.with_suffix(".json"))
with made.with_suffix(".input").open("ab", buffering=0) as out:
    while data := os.read(0, 65536):
        out.write(data)
note("EOF")
