"""A named subscriber: it gets everything, once it acknowledges no more of it, and nobody else gets it."""

import contextlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from audisp_pyaudit.packing import unpack
from audisp_pyaudit.sink_settings import SubscriberSettings
from audisp_pyaudit.sinks import durable
from audisp_pyaudit.sinks.durable import DurableSink
from tests.frames import frames

TIMEOUT = 20.0
RULES = [{"name": "r", "match": {"record_type": ["user_login"]}, "route": ["other"]}]


class Reader:
    """A subscriber."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.socket.connect(str(path))
            except OSError:
                assert time.monotonic() < deadline, "nobody listens"
                time.sleep(0.01)
            else:
                break
        self._rest = b""

    def read(self, count: int) -> list[int]:
        """Serials of so many frames."""
        found: list[int] = []
        while len(found) < count:
            while b"\n" not in self._rest:
                data = self.socket.recv(65536)
                assert data, "hung up on"
                self._rest += data
            line, _, self._rest = self._rest.partition(b"\n")
            found.append(json.loads(line)["event"]["sequence"])
        return found

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def acknowledge(self, count: int) -> None:
        """Say how many are done with."""
        self.socket.sendall(b"%d\n" % count)

    def silent(self) -> bool:
        """Whether nothing comes."""
        self.socket.settimeout(0.3)
        try:
            return not (self._rest or self.socket.recv(1))
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT)

    def hung_up_on(self) -> bool:
        """Whether the other end is gone, once it was read to the end."""
        with contextlib.suppress(ConnectionResetError):
            while self.socket.recv(65536):
                pass
        return True


Make = Callable[..., tuple[DurableSink, Queue]]
Connect = Callable[[], Reader]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Connects readers."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(Reader(tmp_path / "siem.sock")))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Starts a sink on a spool that stays."""
    made: list[tuple[DurableSink, Queue]] = []

    def start(**said: Any) -> tuple[DurableSink, Queue]:  # noqa: ANN401  # any setting
        for sink, queue in made:
            sink.close(time.monotonic())
            sink._thread.join(10)  # it is given no time, and in one process it would go on for a moment
            queue.close()
        made.clear()
        spool = SpoolSettings(tmp_path / "spool", 1 << 30)
        queue = Queue(QueueSettings(), [Cursor("siem", 0)], lambda: Spool(spool, {"sinks": ["siem"]}))
        queue.keep_house()
        sink = DurableSink("siem", SubscriberSettings(path=str(tmp_path / "siem.sock"), **said), queue)
        sink.start()
        made.append((sink, queue))
        return made[0]

    yield start
    for sink, queue in made:
        sink.close(time.monotonic())
        queue.close()


def put(queue: Queue, first: int, count: int) -> None:
    """Events, committed."""
    queue.append(frames(range(first, first + count), sinks=("siem", "other"), keep=(7,), rules=RULES))
    queue.commit()


def until(condition: Callable[[], object], what: str) -> None:
    """Until something is true."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def test_what_was_acknowledged_does_not_come_again(make: Make, connect: Connect, tmp_path: Path) -> None:
    """A reader that crashes, and a plugin that is restarted, cost nothing: it goes on behind what it was done with."""
    _, queue = make()
    put(queue, 1, 10)  # 7 goes elsewhere
    reader = connect()
    assert reader.read(9) == [1, 2, 3, 4, 5, 6, 8, 9, 10]
    reader.acknowledge(4)
    until(lambda: queue.counts("siem").delivered == 4, "acknowledged")
    reader.close()
    reader = connect()
    assert reader.read(5) == [5, 6, 8, 9, 10]
    sink, queue = make()
    put(queue, 11, 5)
    reader = connect()
    # The position on disk is that of a commit: what is before it in the same commit comes again, with the same ids.
    again = reader.read(14)
    assert again == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15]
    reader.acknowledge(9)
    reader.acknowledge(14)
    until(lambda: not queue.counts("siem").queued, "all acknowledged")
    stats = sink.stats()
    assert (stats.offered, stats.delivered, stats.filtered, stats.closed) == (15, 14, 1, True)
    assert stats.peers == {str(tmp_path / "siem.sock"): f"user {os.getuid()}"}
    _, queue = make()
    put(queue, 16, 1)
    assert connect().read(1) == [16]


def test_who_does_not_acknowledge_gets_no_more_than_a_window(make: Make, connect: Connect) -> None:
    """What a reader has taken and not confirmed is bounded, on both sides."""
    _, queue = make(window=7)
    for first in range(1, 101, 10):
        queue.append(frames(range(first, first + 10)))
        queue.commit()
    reader = connect()
    assert reader.read(7) == list(range(1, 8))
    assert reader.silent()
    reader.acknowledge(7)
    assert reader.read(7) == list(range(8, 15))
    assert reader.silent()


@pytest.mark.parametrize("said", [b"6\n", b"x\n", b"-1\n", b"1" * 30, b"3\n2\n"])
def test_nonsense_is_no_acknowledgement(make: Make, connect: Connect, said: bytes) -> None:
    """A reader with a bug is hung up on and told of, and loses nothing by it."""
    sink, queue = make()
    put(queue, 1, 5)
    reader = connect()
    assert reader.read(5) == [1, 2, 3, 4, 5]
    reader.socket.sendall(said)
    assert reader.hung_up_on()
    assert "acknowledged" in sink.trouble or "expected a number" in sink.trouble
    delivered = queue.counts("siem").delivered
    reader = connect()
    assert reader.read(5 - delivered) == list(range(1 + delivered, 6))


def test_there_is_one_reader_at_a_time(make: Make, connect: Connect) -> None:
    """A second one by mistake takes nothing from the first."""
    sink, queue = make()
    first = connect()
    put(queue, 1, 3)
    assert first.read(3) == [1, 2, 3]
    assert connect().hung_up_on()
    put(queue, 4, 1)
    assert first.read(1) == [4]
    assert sink.stats().refused == 1


def test_only_who_is_named_may_listen(make: Make, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who can reach the socket and is not in the list gets nothing, and it is counted."""
    monkeypatch.setattr(durable, "peer_of", lambda _connection: 4242)
    sink, queue = make(allow=("12345",))
    put(queue, 1, 3)
    assert connect().hung_up_on()
    assert (sink.stats().denied, queue.counts("siem").queued) == (1, 3)
    sink, queue = make(allow=("4242",))
    assert connect().read(3) == [1, 2, 3]


def test_a_reader_that_stands_still_holds_nobody_up(make: Make, connect: Connect) -> None:
    """The sink ends at once, and what was not read is there the next time."""
    sink, queue = make()
    reader = connect()
    for first in range(1, 5001, 500):
        queue.append(frames(range(first, first + 500), pad=500))
        queue.commit()
    until(lambda: reader.socket.recv(1, socket.MSG_PEEK), "something is sent")
    start = time.monotonic()
    sink.close(start)
    assert time.monotonic() - start < 5
    assert queue.counts("siem").queued == 5000


def test_msgpack_comes_with_its_length(make: Make, connect: Connect) -> None:
    """A reader knows how much to wait for."""
    _, queue = make(format="msgpack")
    queue.append(frames([1], encodings=["msgpack"]))
    queue.commit()
    reader = connect()
    (length,) = struct.unpack(">I", reader.socket.recv(4, socket.MSG_WAITALL))
    document: Any = unpack(reader.socket.recv(length, socket.MSG_WAITALL))
    assert document["event"]["sequence"] == 1


def test_a_format_that_was_changed_costs_nothing(make: Make, connect: Connect) -> None:
    """What a spool holds in the other format is delivered in the one that is asked for now."""
    _, queue = make(format="msgpack")
    queue.append(frames([1, 2], encodings=["msgpack"]))
    queue.commit()
    _, queue = make(format="json")
    queue.append(frames([3]))
    queue.commit()
    assert connect().read(3) == [1, 2, 3]
