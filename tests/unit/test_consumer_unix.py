"""Events from a plugin's socket."""

import json
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import consumer
from audisp_pyaudit.consumer.address import UnixAddress
from audisp_pyaudit.consumer.base import EndOfEvents, Problem
from audisp_pyaudit.consumer.unix import UnixSource
from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.errors import ConsumerError
from audisp_pyaudit.packing import pack
from audisp_pyaudit.sink_settings import SubscriberSettings
from audisp_pyaudit.sinks.durable import DurableSink
from tests.frames import frames


class Plugin:
    """Listens as a sink does."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(4)
        self.listener.settimeout(10)
        self.client: socket.socket | None = None

    def send(self, data: bytes) -> None:
        """To the consumer that connected."""
        if self.client is None:
            self.client, _ = self.listener.accept()
        self.client.sendall(data)

    def end(self, *, reset: bool = False) -> None:
        """As a process that ends."""
        self.listener.close()
        if self.client is not None:
            if reset:  # what we did not read makes it a reset for the other side
                self.client.recv(1, socket.MSG_PEEK)
            self.client.close()
            self.client = None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket is."""
    return tmp_path / "s"


@pytest.fixture
def plugin(path: Path) -> Iterator[Plugin]:
    """A plugin that runs."""
    made = Plugin(path)
    yield made
    made.end()


def source(path: Path, *, reconnect: bool = False) -> UnixSource:
    """A consumer's source."""
    return UnixSource(UnixAddress(str(path), str(path)), reconnect=reconnect)


def receive(source: UnixSource) -> Any:  # noqa: ANN401  # a document or a problem
    """What comes next."""
    deadline = time.monotonic() + 10
    while (found := source.receive(0.1)) is None:
        assert time.monotonic() < deadline, "nothing came"
    return found


def line(number: int) -> bytes:
    """A document as a JSON line."""
    return json.dumps({"n": number}).encode() + b"\n"


def test_events_as_they_come_until_the_plugin_ends(path: Path, plugin: Plugin) -> None:
    """A consumer on the same host sees what is published, waits for more, and learns that it is over."""
    reader = source(path)
    plugin.send(line(1) + line(2)[:4])
    assert receive(reader) == {"n": 1}
    assert reader.receive(0.01) is None
    plugin.send(line(2)[4:])
    assert receive(reader) == {"n": 2}
    plugin.end()
    with pytest.raises(EndOfEvents):
        receive(reader)
    reader.finish()
    reader.commit()
    reader.close()


def test_msgpack(path: Path, plugin: Plugin) -> None:
    """A sink with format = "msgpack" is read the same."""
    reader = source(path)
    packed = pack({"n": 1})
    plugin.send(struct.pack(">I", len(packed)) + packed)
    assert receive(reader) == {"n": 1}
    reader.close()


def test_a_restart_of_the_plugin(path: Path, plugin: Plugin) -> None:
    """With reconnect a reload of auditd does not end the consumer: it says so and goes on with the next plugin."""
    reader = source(path, reconnect=True)
    assert reader.receive(0.01) is None, "connected"
    plugin.send(line(1) + b'{"n"')
    assert receive(reader) == {"n": 1}
    plugin.end()
    assert [str(receive(reader).error) for _ in range(2)] == [
        f"{path}: the stream ended inside a document, which is lost",
        f"{path}: the plugin has ended; waiting for the next",
    ]
    assert reader.receive(0.01) is None
    again = Plugin(path)
    deadline = time.monotonic() + 10
    again.listener.settimeout(0.05)
    while again.client is None:
        assert time.monotonic() < deadline, "never connected"
        assert reader.receive(0.01) is None
        try:
            again.client, _ = again.listener.accept()
        except TimeoutError:
            continue
    again.send(line(2))
    assert receive(reader) == {"n": 2}
    again.end()
    reader.close()


def test_a_plugin_that_is_not_there_yet(path: Path) -> None:
    """A consumer may be started before the plugin: why it waits is said once."""
    reader = source(path, reconnect=True)
    first = reader.receive(0.01)
    assert isinstance(first, Problem)
    assert first.counter == "troubles"
    assert str(first.error) == f"{path}: No such file or directory; waiting"
    assert [reader.receive(0.001) for _ in range(3)] == [None] * 3
    plugin = Plugin(path)
    assert reader.receive(0.01) is None
    plugin.send(line(1))
    assert receive(reader) == {"n": 1}
    plugin.end()
    reader.close()


def test_nobody_there(path: Path) -> None:
    """Without reconnect a socket that is not there, or that nobody serves, is an error at once."""
    with pytest.raises(ConsumerError, match="No such file"):
        source(path)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with pytest.raises(ConsumerError, match="nobody listens there"):
        source(path)
    with pytest.raises(ConsumerError, match="too long"):
        source(Path("/" + "x" * 200))


def test_a_connection_that_is_reset(path: Path, plugin: Plugin) -> None:
    """A plugin that dies is an error, not a quiet end: events may be missing."""
    reader = source(path)
    assert reader._socket is not None
    reader._socket.sendall(b"x")
    plugin.send(b"")
    plugin.end(reset=True)
    with pytest.raises(ConsumerError, match="reset by peer"):
        receive(reader)
    reader.close()


def test_a_subscriber_tells_what_it_is_done_with(tmp_path: Path) -> None:
    """With the plugin's own sink: what the program was done with does not come again, the event in hand does."""
    queue = Queue(QueueSettings(), [Cursor("siem", 0)])
    sink = DurableSink("siem", SubscriberSettings(path=str(tmp_path / "siem")), queue)
    sink.start()
    for first in range(1, 301, 10):
        queue.append(frames(range(first, first + 10)))
        queue.commit()
    deadline = time.monotonic() + 20
    while not (tmp_path / "siem").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    serials: list[int] = []
    for _ in range(2):
        with consumer.open(f"subscriber://{tmp_path}/siem") as events:
            for document in events:
                serials.append(document["event"]["sequence"])
                if len(serials) % 150 == 0:
                    break
        while sink.stats().peers != {str(tmp_path / "siem"): "nobody is connected"}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert serials == [*range(1, 151), *range(150, 300)]
    assert queue.counts("siem").delivered == 298
    sink.close(time.monotonic())
    queue.close()


def test_only_what_came_over_this_connection_is_acknowledged(path: Path, plugin: Plugin) -> None:
    """A plugin that died within a document does not have the next one told of too many."""
    source = UnixSource(UnixAddress(str(path), "s", acknowledges=True), reconnect=True)
    assert source.receive(0.1) is None  # connected
    plugin.send(b'{"event":{"id":"a"}}\n{"event"')
    assert source.receive(5) == {"event": {"id": "a"}}
    assert plugin.client is not None
    plugin.end()
    again = Plugin(path)
    problems = [source.receive(5) for _ in range(2)]
    assert all(isinstance(each, Problem) for each in problems)
    while source._socket is None:
        source.receive(0.1)
    again.send(b'{"event":{"id":"b"}}\n')
    assert source.receive(5) == {"event": {"id": "b"}}
    source.finish()
    source.commit()
    assert again.client is not None
    again.client.settimeout(10)
    assert again.client.recv(100) == b"1\n"
    source.close()
    again.end()
