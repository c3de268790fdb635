"""A socket that many subscribers read from."""

import contextlib
import grp
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audisp_pyaudit.framing import FrameList
from audisp_pyaudit.latency import BOUNDS_MS
from audisp_pyaudit.notices import NoticeFrame, Notices, timestamp_of
from audisp_pyaudit.packing import unpack
from audisp_pyaudit.sink_settings import UnixSettings
from audisp_pyaudit.sinks import unix as module
from audisp_pyaudit.sinks.unix import UnixSink

Make = Callable[..., FrameList]
Eventually = Callable[..., None]


class Bench:
    """A sink and its subscribers."""

    def __init__(self, folder: Path, notices: Notices, eventually: Eventually) -> None:
        self.path = folder / "events.sock"
        self._notices = notices
        self._eventually = eventually
        self._open: list[socket.socket] = []
        self._sinks: list[UnixSink] = []

    def sink(self, **settings: Any) -> UnixSink:  # noqa: ANN401  # settings of all kinds
        """A started sink."""
        sink = UnixSink("events", 0, UnixSettings(**({"path": str(self.path)} | settings)), self._notices)
        sink.start()
        self._sinks.append(sink)
        return sink

    def subscribe(self, sink: UnixSink, receive_buffer: int = 0) -> socket.socket:
        """A subscriber that the sink knows."""
        before = sink.subscribers
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(str(self.path))
        self._open.append(client)
        self._eventually(lambda: sink.subscribers == before + 1, "subscribed")
        return client

    def close(self) -> None:
        """Everything."""
        for sink in self._sinks:
            sink.close(time.monotonic() + 1)
        for client in self._open:
            client.close()


@pytest.fixture
def bench(tmp_path: Path, notices: Notices, eventually: Eventually) -> Iterator[Bench]:
    """Sinks and subscribers that are closed afterwards."""
    bench = Bench(tmp_path, notices, eventually)
    yield bench
    bench.close()


def read_all(client: socket.socket) -> bytes:
    """Everything until the sink hangs up."""
    got = b""
    while chunk := client.recv(1 << 20):
        got += chunk
    return got


def texts_in(stream: bytes) -> list[str]:
    """The texts of a stream of JSON lines."""
    return [json.loads(line)["text"] for line in stream.splitlines()]


def test_every_subscriber_gets_the_same(bench: Bench, frames: Make) -> None:
    """Several consumers read the whole stream, each on its own."""
    sink = bench.sink()
    clients = [bench.subscribe(sink) for _ in range(3)]
    sink.deliver(frames("a", "b"))
    late = bench.subscribe(sink)
    sink.deliver(frames("c"))
    sink.close(time.monotonic() + 5)
    assert [texts_in(read_all(client)) for client in clients] == [["a", "b", "c"]] * 3
    assert texts_in(read_all(late)) == ["c"]
    stats = sink.stats()
    assert (stats.frames, stats.offered, stats.delivered) == (3, 10, 10)
    assert stats.closed
    assert not bench.path.exists()


def test_msgpack_has_lengths(bench: Bench, frames: Make) -> None:
    """A msgpack reader knows how much to wait for."""
    sink = bench.sink(format="msgpack")
    client = bench.subscribe(sink)
    sink.deliver(frames("a", "b"))
    sink.close(time.monotonic() + 5)
    stream = read_all(client)
    length = struct.unpack_from(">I", stream)[0]
    document = unpack(stream[4 : 4 + length])
    assert document == {"event": {"id": "a"}, "text": "a"}


def test_how_long_events_took(bench: Bench, eventually: Eventually) -> None:
    """What a subscriber has taken counts in the histogram; the oldest event that it has not taken is known."""
    sink = bench.sink()
    client = bench.subscribe(sink, receive_buffer=4096)
    time_ms = time.time_ns() // 1_000_000 - 60_000
    document = {"event": {"id": "a"}, "@timestamp": timestamp_of(time_ms), "pad": "x" * 10_000}
    for _ in range(100):
        sink.deliver(FrameList([NoticeFrame(document)]))
    eventually(lambda: sink.oldest_ms() == time_ms)
    client.settimeout(0)  # the last of it is read before the sink has counted it as sent

    def taken() -> bool:
        with contextlib.suppress(BlockingIOError):
            client.recv(1 << 20)
        return not sink.stats().queued

    eventually(taken)
    eventually(lambda: sum(sink.stats().latency.counts) == 100)
    assert sink.stats().latency.counts[BOUNDS_MS.index(100_000)] == 100
    assert sink.oldest_ms() is None


def test_nobody_listens(bench: Bench, frames: Make) -> None:
    """Without subscribers events are counted as such; with routes elsewhere, as filtered."""
    sink = bench.sink()
    sink.deliver(frames("a", "b"))
    sink.deliver(frames("c", routes=0b10))
    stats = sink.stats()
    assert (stats.frames, stats.offered, stats.filtered, dict(stats.lost)) == (3, 3, 1, {"no_subscriber": 2})
    assert stats.closed


def test_a_slow_subscriber_harms_nobody_else(bench: Bench, frames: Make) -> None:
    """One that does not read loses its own events, is told how many, and the others get everything in time."""
    sink = bench.sink(buffer_bytes=65536)
    slow = bench.subscribe(sink)
    fast = bench.subscribe(sink)
    count, got = 2000, b""
    begin = time.monotonic()
    for number in range(count):
        sink.deliver(frames(f"{number} " + "x" * 1000))
        while got.count(b"\n") <= number:
            got += fast.recv(1 << 20)
    assert time.monotonic() - begin < 60
    assert [text.split()[0] for text in texts_in(got)] == [str(number) for number in range(count)]
    stream = b""
    while b"subscriber-lagged" not in stream:
        stream += slow.recv(1 << 20)
    sink.deliver(frames("after"))
    sink.close(time.monotonic() + 5)
    documents = [json.loads(line) for line in (stream + read_all(slow)).splitlines()]
    notice = next(each for each in documents if each["event"].get("action") == "subscriber-lagged")
    place = documents.index(notice)
    lost = notice["auditd"]["lost"]
    assert [each["text"].split()[0] for each in documents[:place]] == [str(number) for number in range(place)]
    assert [each["text"] for each in documents[place + 1 :]] == ["after"]
    assert place + lost["frames"] == count
    stats = sink.stats()
    assert stats.lost == {"slow": lost["frames"]}
    assert stats.closed


def test_partial_writes_go_on_correctly(bench: Bench, frames: Make) -> None:
    """An event larger than the socket's buffer arrives whole."""
    sink = bench.sink()
    client = bench.subscribe(sink, receive_buffer=4096)
    sink.deliver(frames("x" * 1_500_000, "end"))
    got = b""
    while got.count(b"\n") < 2:
        got += client.recv(10_000)
    assert texts_in(got) == ["x" * 1_500_000, "end"]


def test_a_subscriber_that_leaves(bench: Bench, frames: Make, eventually: Eventually) -> None:
    """One that hangs up is forgotten; what waited for it is counted."""
    sink = bench.sink()
    leaver = bench.subscribe(sink)
    stayer = bench.subscribe(sink)
    sink.deliver(frames("x" * 1_000_000))
    leaver.close()
    eventually(lambda: sink.subscribers == 1, "forgotten")
    got = b""
    while not got.endswith(b"\n"):
        got += stayer.recv(1 << 20)
    stats = sink.stats()
    assert dict(stats.lost) == {"left": 1}
    assert stats.closed


def test_a_subscriber_that_only_listens(bench: Bench, frames: Make) -> None:
    """One that closes its sending side, as `nc -N` does, still gets events; what others send is thrown away."""
    sink = bench.sink()
    half = bench.subscribe(sink)
    half.shutdown(socket.SHUT_WR)
    talker = bench.subscribe(sink)
    talker.sendall(b"hello" * 10_000)
    sink.deliver(frames("a"))
    sink.close(time.monotonic() + 5)
    assert texts_in(read_all(half)) == ["a"]
    assert texts_in(read_all(talker)) == ["a"]


def test_too_many_subscribers(bench: Bench, frames: Make, eventually: Eventually) -> None:
    """One beyond the limit is hung up on and counted; the others stay."""
    sink = bench.sink(subscribers=1)
    first = bench.subscribe(sink)
    with socket.socket(socket.AF_UNIX) as second:
        second.settimeout(10)
        second.connect(str(bench.path))
        assert second.recv(1) == b""
    eventually(lambda: sink.stats().refused == 1, "counted")
    sink.deliver(frames("a"))
    sink.close(time.monotonic() + 5)
    assert texts_in(read_all(first)) == ["a"]


def test_the_end_waits_for_nobody_for_long(bench: Bench, frames: Make) -> None:
    """A subscriber that does not read holds the end up until the deadline, not longer."""
    sink = bench.sink()
    bench.subscribe(sink)
    sink.deliver(frames("x" * 2_000_000))
    begin = time.monotonic()
    sink.close(begin + 0.2)
    assert 0.1 < time.monotonic() - begin < 5
    stats = sink.stats()
    assert dict(stats.lost) == {"shutdown": 1}
    assert stats.closed


def test_a_path_that_cannot_be_is_tried_again(
    bench: Bench, frames: Make, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that cannot be made now is made later; the process goes on."""
    from audisp_pyaudit.sinks import listener  # noqa: PLC0415  # only its constant

    monkeypatch.setattr(listener, "RETRY_SECONDS", 0.05)
    bench.path.write_text("in the way")
    sink = bench.sink()
    assert "is not a socket" in sink.trouble
    sink.deliver(frames("a"))
    assert dict(sink.stats().lost) == {"no_subscriber": 1}
    bench.path.unlink()
    eventually(bench.path.is_socket, "socket made")
    assert bench.subscribe(sink)
    assert sink.trouble == ""


def test_a_group_that_cannot_be_looked_up_in_time(
    bench: Bench, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name service that hangs on the socket's group does not hold up the start of the plugin."""
    release = threading.Event()
    monkeypatch.setattr(module, "_START_SECONDS", 0.05)
    monkeypatch.setattr(grp, "getgrnam", lambda _name: release.wait(30) and grp.getgrgid(os.getgid()))
    begin = time.monotonic()
    bench.sink(group="far-away")
    assert time.monotonic() - begin < 5
    assert not bench.path.exists()
    release.set()
    eventually(bench.path.is_socket, "socket made")


def test_no_descriptors_left(bench: Bench, eventually: Eventually, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of file descriptors, accepting rests a while and goes on."""
    monkeypatch.setattr(module, "_REST_SECONDS", 0.05)
    sink = bench.sink()
    real, failures = socket.socket.accept, [2]

    def accept(self: socket.socket) -> Any:  # noqa: ANN401  # as accept gives it
        if failures[0]:
            failures[0] -= 1
            raise OSError(24, "Too many open files")
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    bench.subscribe(sink)
    eventually(lambda: failures == [0], "both failed")


def test_a_bug_in_the_sink_costs_its_subscribers_only(
    bench: Bench, frames: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If serving fails for a reason nobody thought of, subscribers are hung up on and may come back."""
    sink = bench.sink()
    client = bench.subscribe(sink)
    broken = [True]
    real = UnixSink._send

    def send(self: UnixSink, connection: Any) -> None:  # noqa: ANN401  # private
        if broken[0]:
            raise KeyError("bug")
        real(self, connection)

    monkeypatch.setattr(UnixSink, "_send", send)
    sink.deliver(frames("a"))
    assert client.recv(10) == b""
    assert "KeyError" in sink.trouble
    broken[0] = False
    again = bench.subscribe(sink)
    sink.deliver(frames("b"))
    sink.close(time.monotonic() + 5)
    assert texts_in(read_all(again)) == ["b"]
    assert sink.stats().closed


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked after every second is looked after all the time."""
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.02)


@pytest.mark.usefixtures("_often")
def test_a_lost_name_is_made_again(bench: Bench, frames: Make, eventually: Eventually) -> None:
    """Someone removed the socket: new subscribers find it again within a second, and those there are stay."""
    sink = bench.sink()
    old = bench.subscribe(sink)
    bench.path.unlink()
    eventually(bench.path.is_socket, "made again")
    new = bench.subscribe(sink)
    sink.deliver(frames("a"))
    sink.close(time.monotonic() + 5)
    assert [texts_in(read_all(client)) for client in (old, new)] == [["a"], ["a"]]
    assert not bench.path.exists()


@pytest.mark.usefixtures("_often")
def test_another_plugin_keeps_the_name_while_it_lives(bench: Bench, eventually: Eventually) -> None:
    """At a restart the new process has the name and is not disturbed; when it is gone, who still runs has it again."""
    first = bench.sink()
    second = bench.sink()
    place = bench.path.lstat().st_ino
    time.sleep(0.2)
    assert bench.path.lstat().st_ino == place
    assert second.subscribers == 0
    assert second.stats().offered == 0
    second.close(time.monotonic() + 1)
    eventually(bench.path.is_socket, "taken back")
    bench.subscribe(first)


@pytest.mark.usefixtures("_often")
def test_a_name_left_by_a_killed_process_is_taken_back(bench: Bench, eventually: Eventually) -> None:
    """A second plugin that was killed leaves a dead socket under the name; subscribers do not meet it for long."""
    sink = bench.sink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(bench.path) + ".new")
        other.listen(1)
        Path(str(bench.path) + ".new").rename(bench.path)
    place = bench.path.lstat().st_ino
    eventually(lambda: bench.path.exists() and bench.path.lstat().st_ino != place, "taken back")
    bench.subscribe(sink)


def test_close_before_anything(bench: Bench) -> None:
    """A sink that nobody used ends at once."""
    begin = time.monotonic()
    bench.sink().close(begin + 5)
    assert time.monotonic() - begin < 2
    assert os.listdir(bench.path.parent) == []  # noqa: PTH208  # names only
