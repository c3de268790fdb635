"""What writes as auditd does (bench/load.py), and who reads from a socket (bench/readers.py)."""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.load import FIRST_SERIAL, Load
from bench.readers import read_all
from bench.vary import STAMP

EVENT = b"type=CWD msg=audit(%b): a\ntype=EOE msg=audit(%b): \n" % (STAMP, STAMP)
ALONE = b"type=LOGIN msg=audit(%b): b\n" % STAMP
HEAD = re.compile(rb"audit\((\d+)\.(\d{3}):(\d+)\)")


def test_events_have_the_time_of_their_writing_and_serials_without_gaps() -> None:
    """What is measured from the record's time on begins when the record was written."""
    ours, theirs = socket.socketpair()
    load = Load([EVENT, ALONE], rate=1000)
    got = bytearray()
    with ours, theirs:
        writer = threading.Thread(target=load.run, args=(ours,))
        writer.start()
        while got.count(b"\n") < 60:
            got += theirs.recv(1 << 16)
        load.stop()
        writer.join()
    heads = [(int(a + b), int(c)) for a, b, c in HEAD.findall(bytes(got))]
    serials = [serial for _, serial in heads]
    assert serials[:5] == [FIRST_SERIAL, FIRST_SERIAL, FIRST_SERIAL + 1, FIRST_SERIAL + 2, FIRST_SERIAL + 2]
    for at_ms, serial in heads:
        assert at_ms == load.written_ns[serial - FIRST_SERIAL] // 1_000_000
    assert abs(time.time() - load.written_ns[-1] / 1e9) < 60


def test_it_says_what_it_did_and_ends_when_nobody_reads() -> None:
    """A plugin that dies under load does not leave the load running."""
    ours, theirs = socket.socketpair()
    load = Load([EVENT], rate=100_000)
    threading.Timer(0.2, theirs.close).start()
    with ours:
        ours.settimeout(30)
        done = load.run(ours)
    assert done["events"] == len(load.written_ns) > 0
    assert done["records"] == load.records
    assert done["seconds"] > 0


def test_readers_read_everything_until_they_are_hung_up_on(tmp_path: Path) -> None:
    """Subscribers of a bench take what comes, so that it is the sender that is measured."""
    path = tmp_path / "sock"
    found: list[int] = []
    with socket.socket(socket.AF_UNIX) as server:
        reader = threading.Thread(target=lambda: found.append(read_all(path, 3)))
        reader.start()
        server.bind(str(path))
        server.listen()
        clients = [server.accept()[0] for _ in range(3)]
        for client in clients:
            client.sendall(b"x" * 100_000)
            client.close()
        reader.join()
    assert found == [300_000]
