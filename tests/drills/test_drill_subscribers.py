"""Drills: what subscribers of a socket can do to us, and to each other: nothing. The ledger closes each time."""

import json
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.drills.drill import SCALE, Drill, arrived, drill, in_order, missing, write

TIMEOUT = 60.0


class Reader(threading.Thread):
    """A subscriber that reads lines, slowly if it is to."""

    def __init__(self, made: Drill, path: Path, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.lines: list[bytes] = []
        self._pause = pause
        self.socket = connected(made, path)
        self.start()

    def run(self) -> None:
        """Read until the plugin hangs up."""
        rest = b""
        while True:
            data = self.socket.recv(65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            self.lines += lines
            time.sleep(self._pause)


def connected(made: Drill, path: Path) -> socket.socket:
    """A connection to the plugin."""
    client = socket.socket(socket.AF_UNIX)
    made.plugin.until(path.exists, "it listens")
    client.connect(str(path))
    return client


def test_slow_stuck_and_vanishing_subscribers(tmp_path: Path) -> None:
    """Who reads gets everything, whatever others do; who is slow finds a notice for each event it did not get."""
    path = tmp_path / "events.sock"
    buffer = 131 * SCALE.rate  # half a second: a reader may be without the processor for as long
    config = f'[sinks.events]\ntype = "unix"\npath = "{path}"\nbuffer_bytes = {buffer}\n[timing]\ndrain_ms = 20000\n'
    with drill(tmp_path, config) as made:
        fast, slow = Reader(made, path), Reader(made, path, 0.2)
        stuck = connected(made, path)
        end = time.monotonic() + SCALE.seconds
        while time.monotonic() < end:
            connected(made, path).close()
            time.sleep(0.02)
        write(0.2)
        sent = made.stop_writing()
        stuck.close()
        made.close_input()
        for reader in (fast, slow):
            reader.join(TIMEOUT)
            assert not reader.is_alive()
            reader.socket.close()
        made.plugin.end()
    # The first events may come before anybody has connected.
    for reader in (fast, slow):
        found = arrived(made, reader.lines)
        lost = sum(each["auditd"]["lost"]["frames"] for each in found.notices)
        begin = found.serials[0]
        behind = [each for each in missing(sent, found) if each > begin]
        assert len(behind) == lost
        assert (found.duplicates, in_order(found.serials)) == (0, True)
        assert {each["event"]["action"] for each in found.notices} <= {"subscriber-lagged"}
        assert (lost == 0) == (reader is fast), json.dumps(lost)
