"""The forward sink: every event in order, nothing lost silently, whatever the peer does."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.cursor import Cursor
from audisp_pyaudit.delivery.queue import Queue, QueueSettings
from audisp_pyaudit.sink_settings import ForwardSettings
from audisp_pyaudit.sinks import forward, queued
from audisp_pyaudit.sinks.forward import ForwardSink
from tests.fluent.server import Server, acks
from tests.frames import TIME, frames

ALL = list(range(1, 101))


@pytest.fixture(params=["unix", "tcp"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A peer."""
    made = Server(tmp_path / "s" if request.param == "unix" else None)
    yield made
    made.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Server]:
    """A peer on a Unix socket, where the transport makes no difference."""
    made = Server(tmp_path / "s")
    yield made
    made.close()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A queue in memory for one sink; nobody pauses for long."""
    monkeypatch.setattr(queued, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(queued, "LAST_PAUSE_SECONDS", 0.05)
    made = Queue(QueueSettings(memory_bytes=64 * 1024 * 1024), [Cursor("peer", 0)])
    yield made
    made.close()


Make = Callable[..., ForwardSink]


@pytest.fixture
def make(queue: Queue) -> Iterator[Make]:
    """Makes a sink that runs."""
    made: list[ForwardSink] = []

    def start(server: Server, *, acknowledge: bool = True, seconds: int = 30, event_bytes: int = 65536) -> ForwardSink:
        settings = ForwardSettings(
            address=server.address, acknowledge=acknowledge, acknowledge_seconds=seconds, event_bytes=event_bytes
        )
        made.append(ForwardSink("peer", settings, queue))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.close(time.monotonic())
        each._thread.join(10)


def put(queue: Queue, first: int, last: int, *, pad: int = 1, encodings: tuple[str, ...] = ("msgpack",)) -> None:
    """Events, committed ten at a time, as they are on a busy host."""
    for begin in range(first, last + 1, 10):
        serials = range(begin, min(begin + 10, last + 1))
        queue.append(frames(serials, sinks=("peer",), pad=pad, encodings=encodings))
        queue.commit()


def settled(queue: Queue) -> bool:
    """Whether everything was acknowledged or given up."""
    return queue.counts("peer").queued == 0


def unique(serials: list[int]) -> list[int]:
    """Each serial once, where it came first."""
    return list(dict.fromkeys(serials))


@pytest.mark.parametrize("acknowledge", [True, False])
def test_every_event_arrives_in_order(server: Server, queue: Queue, make: Make, *, acknowledge: bool) -> None:
    """A peer has every event once, with its tag and time, and is asked for an answer only where one is wanted."""
    sink = make(server, acknowledge=acknowledge)
    put(queue, 1, 100)
    server.until(lambda: settled(queue) and len(server.serials) >= 100, "all is delivered")
    assert server.serials == ALL
    assert {each.tag for each in server.messages} == {"audit"}
    assert server.messages[0].entries[0][0] == (TIME + 1, 0)
    assert all(("chunk" in each.option) == acknowledge for each in server.messages)
    assert all(each.option["size"] == len(each.entries) for each in server.messages)
    stats = sink.stats()
    assert (stats.offered, stats.delivered, stats.closed, sink.reconnected) == (100, 100, True, 0)
    assert sink.trouble == ""


def test_a_peer_that_comes_late(server: Server, queue: Queue, make: Make) -> None:
    """The log names the peer that is away and why; when it is there, it gets what waited."""
    server.close()
    sink = make(server)
    put(queue, 1, 100)
    server.until(lambda: sink.trouble, "a trouble is told")
    assert sink.trouble.startswith(f"{server.address}: ")
    assert queue.counts("peer").queued == 100
    server.open()
    server.until(lambda: settled(queue), "all is delivered")
    assert server.serials == ALL
    server.until(lambda: not sink.trouble, "the trouble is over")


@pytest.mark.parametrize("acknowledge", [True, False])
def test_a_peer_that_dies_again_and_again(
    peer: Server, queue: Queue, make: Make, monkeypatch: pytest.MonkeyPatch, *, acknowledge: bool
) -> None:
    """With acknowledgements nothing is missing; duplicates have the same id; what came first is in order."""
    monkeypatch.setattr(forward, "CHUNK_ENTRIES", 7)
    peer.behaviour.die_after = 3
    sink = make(peer, acknowledge=acknowledge)
    put(queue, 1, 100)
    peer.until(lambda: settled(queue), "all is acknowledged")
    if acknowledge:
        assert unique(peer.serials) == ALL
        assert len({each["event"]["id"] for each in peer.documents}) == 100
        assert sink.reconnected > 0
    else:  # what it had in its buffers is gone, and nobody can know; the ledger says what the socket took
        assert unique(peer.serials) == sorted(set(peer.serials))
    assert sink.stats().delivered == 100


def test_a_peer_that_does_not_answer_is_left(peer: Server, queue: Queue, make: Make) -> None:
    """A peer that hangs costs the time-out; then another connection goes on with what it did not acknowledge."""
    peer.behaviour.answer = lambda _ids: b""
    sink = make(peer, seconds=1)
    put(queue, 1, 100)
    peer.until(lambda: "acknowledged nothing for 1 s" in sink.trouble, "it is told")
    assert queue.counts("peer").queued == 100
    peer.behaviour.answer = lambda ids: acks(*ids)
    peer.until(lambda: settled(queue), "all is acknowledged")
    assert unique(peer.serials) == ALL


def test_one_acknowledgement_that_never_comes(
    peer: Server, queue: Queue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that a peer forgot is sent again, also while it acknowledges all others."""
    monkeypatch.setattr(forward, "CHUNK_ENTRIES", 5)
    forgotten: list[str] = []

    def forget_one(ids: list[str]) -> bytes:
        forgotten[:] = forgotten or ids
        return acks(*(each for each in ids if each not in forgotten))

    peer.behaviour.answer = forget_one
    sink = make(peer, seconds=1)
    last = 0

    def more() -> bool:
        nonlocal last
        put(queue, last + 1, last + 10)
        last += 10
        return sink.reconnected > 0

    peer.until(more, "the connection is made anew while others are acknowledged")
    peer.until(lambda: settled(queue), "all is acknowledged")
    assert unique(peer.serials) == list(range(1, last + 1))


def test_acknowledgements_late_and_out_of_order(
    peer: Server, queue: Queue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several chunks are on their way at one time, and a peer may answer in any order."""
    monkeypatch.setattr(forward, "CHUNK_ENTRIES", 5)
    peer.behaviour.answer = lambda ids: acks(*reversed(ids)) if len(ids) == 10 else b""
    sink = make(peer)
    put(queue, 1, 100)
    peer.until(lambda: settled(queue), "all is acknowledged")
    assert (peer.serials, sink.reconnected) == (ALL, 0)


@pytest.mark.parametrize(("limit", "value", "expected"), [("WINDOW_CHUNKS", 4, 4), ("WINDOW_BYTES", 1, 1)])
def test_no_more_than_the_window_is_on_its_way(  # noqa: PLR0913, PLR0917  # fixtures and the cases
    peer: Server, queue: Queue, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, expected: int
) -> None:
    """A peer that is slow to answer does not fill our memory."""
    monkeypatch.setattr(forward, "CHUNK_ENTRIES", 1)
    monkeypatch.setattr(forward, limit, value)
    peer.behaviour.answer = lambda _ids: b""
    sink = ForwardSink("peer", ForwardSettings(address=peer.address), queue)
    put(queue, 1, 100)

    def stepped() -> bool:
        sink.step()
        return len(sink._unacknowledged) == expected

    peer.until(stepped, "the window is full")
    for _ in range(5):
        sink.step()
    assert len(sink._unacknowledged) == expected
    assert sink._sending is None
    sink.let_go()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (acks("never sent"), "acknowledges a chunk that it was not sent"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers what is no acknowledgement"),
        (b"\xc1", "answers what is no msgpack"),
        (msgpack.packb({}), "refuses a chunk"),
    ],
)
def test_wrong_answers(peer: Server, queue: Queue, make: Make, answer: bytes, expected: str) -> None:
    """What is no acknowledgement acknowledges nothing, and the log says what came."""
    peer.behaviour.answer = lambda _ids: answer
    sink = make(peer)
    put(queue, 1, 100)
    peer.until(lambda: expected in sink.trouble, "it is told")
    assert queue.counts("peer").delivered == 0
    peer.behaviour.answer = lambda ids: acks(*ids)
    peer.until(lambda: settled(queue), "all is acknowledged")
    assert unique(peer.serials) == ALL


@pytest.mark.parametrize("acknowledge", [True, False])
def test_a_peer_that_wants_authentication(peer: Server, queue: Queue, make: Make, *, acknowledge: bool) -> None:
    """It is told; nothing is thrown at a peer that would ignore it, and counted as delivered."""
    peer.behaviour.greeting = msgpack.packb(["HELO", {"nonce": b"1"}])
    sink = make(peer, acknowledge=acknowledge)
    put(queue, 1, 100)
    peer.until(lambda: "authentication" in sink.trouble, "it is told")
    assert (queue.counts("peer").queued, peer.messages) == (100, [])


@pytest.mark.parametrize("acknowledge", [True, False])
def test_a_peer_that_does_not_read(server: Server, queue: Queue, make: Make, *, acknowledge: bool) -> None:
    """It is told, and the rest waits here; when the peer reads again, it has everything."""
    server.behaviour.reads = False
    sink = make(server, acknowledge=acknowledge, seconds=1)
    put(queue, 1, 1000, pad=20_000)
    expected = "acknowledged nothing" if acknowledge else "takes nothing"
    server.until(lambda: expected in sink.trouble, "it is told")
    assert queue.counts("peer").queued > 0
    server.behaviour.reads = True
    server.until(lambda: settled(queue) and len(set(server.serials)) == 1000, "all is delivered")
    if not acknowledge:  # else connections that were left are read too, at the same time as the last
        assert (server.serials, sink.reconnected) == (list(range(1, 1001)), 0)


def test_ending_with_a_peer_that_does_not_read(peer: Server, queue: Queue, make: Make) -> None:
    """The end of the plugin waits for no peer; what was not taken waits for the next start."""
    peer.behaviour.reads = False
    sink = make(peer, acknowledge=False)
    put(queue, 1, 500, pad=20_000)

    def full() -> bool:
        chunk = sink._sending
        return chunk is not None and 0 < len(chunk.unsent) < chunk.size

    peer.until(full, "the socket is full")
    start = time.monotonic()
    sink.close(start)
    assert time.monotonic() - start < 5
    sink._thread.join(5)
    assert not sink._thread.is_alive()
    assert queue.counts("peer").queued > 0


def test_chunks_are_bounded(peer: Server, queue: Queue, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """No message is larger than what every peer takes, in bytes and in entries, however much waits."""
    monkeypatch.setattr(forward, "CHUNK_BYTES", 20_000)
    monkeypatch.setattr(forward, "CHUNK_ENTRIES", 50)
    put(queue, 1, 200)
    put(queue, 201, 300, pad=7_000)
    make(peer)
    peer.until(lambda: settled(queue), "all is acknowledged")
    sizes = [(len(each.entries), len(msgpack.packb([d for _, d in each.entries]))) for each in peer.messages]
    assert peer.serials == list(range(1, 301))
    assert all(count <= 50 and (size <= 20_003 or count == 1) for count, size in sizes)
    assert len(sizes) < 150, "and none is smaller than it has to be"


def test_an_event_that_no_peer_takes_is_cut(peer: Server, queue: Queue, make: Make) -> None:
    """One event that is too large arrives with less in it, and says so; those around it arrive as they are."""
    put(queue, 1, 50)
    put(queue, 51, 51, pad=65_000)
    put(queue, 52, 100)
    sink = make(peer)
    peer.until(lambda: settled(queue), "all is settled")
    assert peer.serials == ALL
    documents = [document for each in peer.messages for _, document in each.entries]
    assert [each for each in documents if "truncated" in each["auditd"]] == [documents[50]]
    assert "process.executable" in documents[50]["auditd"]["truncated"]
    assert (queue.counts("peer").lost, sink.stats().cut) == ({}, 1)


def test_a_spool_with_json_alone(peer: Server, queue: Queue, make: Make) -> None:
    """Events from before this sink was configured arrive too."""
    put(queue, 1, 10, encodings=("json",))
    put(queue, 11, 20, encodings=("json", "msgpack"))
    make(peer)
    peer.until(lambda: settled(queue), "all is acknowledged")
    assert peer.serials == list(range(1, 21))
    assert peer.documents[0].keys() == peer.documents[10].keys()


def test_lossy_delivers_before_it_ends(peer: Server, queue: Queue) -> None:
    """Without a spool nobody else will: the end waits for what is on its way, up to the deadline."""
    sink = ForwardSink("peer", ForwardSettings(address=peer.address), queue, drains=True)
    sink.start()
    put(queue, 1, 100)
    sink.close(time.monotonic() + 30)
    assert (peer.serials, sink.stats().delivered) == (ALL, 100)


def test_what_was_acknowledged_is_heard_at_the_end(peer: Server, queue: Queue) -> None:
    """An acknowledgement that has come counts, also if nobody looked before the end: fewer duplicates later."""
    sink = ForwardSink("peer", ForwardSettings(address=peer.address), queue)
    put(queue, 1, 10)

    def sent() -> bool:
        sink.step()
        return bool(sink._unacknowledged)

    peer.until(sent, "all is sent")
    connection = sink._connection
    assert connection is not None
    peer.until(lambda: connection.wait(0.0)[0], "the answer is there")
    assert not settled(queue)
    sink.let_go()
    assert settled(queue)
