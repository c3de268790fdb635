"""The whole process with a named subscriber. Every test asserts that the ledger closes."""

import itertools
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.frames import noise

Start = Callable[..., Any]
Records = Callable[..., bytes]
Subscribe = Callable[[Path], socket.socket]


def config(folder: Path) -> str:
    """A configuration with one subscriber that acknowledges."""
    return (
        f'[queue]\npath = "{folder}/spool"\ncommit_ms = 5\n'
        f'[sinks.siem]\ntype = "subscriber"\npath = "{folder}/siem.sock"\nwindow = 200\n'
    )


def test_nothing_is_missing_over_restarts_of_both(
    start: Start, subscribe: Subscribe, make_records: Records, tmp_path: Path
) -> None:
    """A reader that leaves and a plugin that is restarted: every event arrives, in order; repeats have its id."""
    ids: list[str] = []
    serials: list[int] = []
    for run in range(4):
        plugin = start(config(tmp_path), restarted=run > 0)
        plugin.stdin.sendall(make_records(run * 500 + 1, run * 500 + 500))
        with subscribe(tmp_path / "siem.sock") as reader:
            stream = reader.makefile("rb")
            for count in range(1, 301):
                event = json.loads(stream.readline())["event"]
                ids.append(event["id"])
                serials.append(event["sequence"])
                if count % 50 == 0:
                    reader.sendall(b"%d\n" % count)
        plugin.end()
        sink = plugin.sink("siem")
        assert sink["offered"] == sink["delivered"] + sink["queued"]
        assert sink["lost"] == 0
    plugin = start(config(tmp_path), restarted=True)
    with subscribe(tmp_path / "siem.sock") as reader:
        stream = reader.makefile("rb")
        count = 0
        while 2000 not in serials[-1:]:
            event = json.loads(stream.readline())["event"]
            ids.append(event["id"])
            serials.append(event["sequence"])
            count += 1
            reader.sendall(b"%d\n" % count)
    plugin.end()
    first_seen = list(dict.fromkeys(serials))
    assert first_seen == list(range(1, 2001))
    assert len(set(ids)) == 2000


def wide(records: bytes) -> bytes:
    """Records of some 4 KiB each, also on disk."""
    number = itertools.count()
    return re.sub(b'exe="/usr/sbin/sshd"', lambda _: f'exe="/{noise(next(number), 4000)}"'.encode(), records)


def test_block_does_not_hold_up_the_end(start: Start, make_records: Records, tmp_path: Path) -> None:
    """Auditd that ends, or reloads, is not made to wait for a subscriber that may never come."""
    limits = 'when_full = "block"\nquota_bytes = 16777216\nmemory_bytes = 1048576\n'
    plugin = start(config(tmp_path).replace("[sinks.siem]", f"{limits}[sinks.siem]"))
    plugin.wait_for("reading")
    records = wide(make_records(1, 12_000))
    plugin.stdin.settimeout(2)
    with pytest.raises(TimeoutError):  # it waits
        plugin.stdin.sendall(records)
    plugin.end()
    sink = plugin.sink("siem")
    assert sink["offered"] == sink["queued"] + sink["lost"]
    assert sink["queued"] > 0


def test_block_waits_instead_of_losing(
    start: Start, subscribe: Subscribe, make_records: Records, tmp_path: Path
) -> None:
    """Who chose `block` loses nothing: a full spool makes auditd wait, and it goes on when there is room again."""
    limits = 'when_full = "block"\nquota_bytes = 16777216\nmemory_bytes = 1048576\n'
    text = config(tmp_path).replace("[sinks.siem]", f"{limits}[limits]\nintake_bytes = 1048576\n[sinks.siem]")
    plugin = start(text)
    plugin.stdin.settimeout(120)
    plugin.wait_for("reading")  # before it has read its configuration it cannot know
    count = 6000
    records = wide(make_records(1, count))
    sent: list[float] = []

    def write() -> None:
        for line in records.splitlines(keepends=True):
            plugin.stdin.sendall(line)
            sent.append(time.monotonic())

    writer = threading.Thread(target=write)
    writer.start()
    plugin.until(lambda: sent and time.monotonic() - sent[-1] > 2, "the writer waits")
    assert len(sent) < count
    serials: list[int] = []
    with subscribe(tmp_path / "siem.sock") as reader:
        for number, line in enumerate(reader.makefile("rb"), 1):
            serials.append(json.loads(line)["event"]["sequence"])
            reader.sendall(b"%d\n" % number)
            if number == count:
                break
        writer.join(30)
        time.sleep(1.5)  # acknowledgements are heard
    plugin.end()
    assert serials == list(range(1, count + 1))
    sink = plugin.sink("siem")
    assert (sink["delivered"], sink["lost"], sink["queued"]) == (count, 0, 0)
