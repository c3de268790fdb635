"""Intake: never waits, loses whole lines only, and counts them."""

import itertools
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit import intake as module
from audisp_pyaudit.intake import BLOCK_BYTES, Intake
from audisp_pyaudit.signals import WakeUp


@pytest.fixture
def wake() -> Iterator[WakeUp]:
    """A wake-up pipe without signals."""
    pipe = WakeUp()
    yield pipe
    pipe.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket pair, as auditd makes it."""
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


Started = Callable[..., Intake]
Ends = tuple[socket.socket, socket.socket]
Eventually = Callable[..., None]


@pytest.fixture
def started(wake: WakeUp) -> Iterator[Started]:
    """Starts an intake in a thread."""
    threads = []

    def start(fd: int, limit: int = module.DEFAULT_LIMIT) -> Intake:
        intake = Intake(fd, wake, limit)
        thread = threading.Thread(target=intake.run)
        thread.start()
        threads.append((intake, thread))
        return intake

    yield start
    for intake, thread in threads:
        intake.stop()
        thread.join(10)
        assert not thread.is_alive()


def everything(intake: Intake) -> bytes:
    """All that comes until the end."""
    blocks = []
    while not intake.finished:
        blocks.append(intake.take(1))
    return b"".join(blocks)


def told(intake: Intake) -> bytes:
    """What the taker is told of: were it not told, it would have it after a minute."""
    begin = time.monotonic()
    block = intake.take(60)
    assert time.monotonic() - begin < 30, "nobody told the taker"
    return block


def line(serial: int, size: int = 100) -> bytes:
    """A record of some length."""
    return f"type=USER msg=audit(1700000000.123:{serial}): ".encode().ljust(size - 1, b"x") + b"\n"


def test_all_bytes_come_through(ends: Ends, started: Started) -> None:
    """Nothing is changed, also not a last line without its end."""
    intake = started(ends[0].fileno())
    content = b"".join(line(number) for number in range(5000)) + b"half"
    ends[1].sendall(content)
    ends[1].close()
    assert everything(intake) == content
    assert intake.bytes_read == len(content)
    assert intake.dropped().records == 0


def test_nobody_takes_and_nobody_waits(ends: Ends, started: Started, eventually: Eventually) -> None:
    """Nobody holds auditd up: with a full buffer it can still write, and what is dropped is counted to the record."""
    intake = started(ends[0].fileno(), limit=100_000)
    count = 5000
    ends[1].settimeout(10)
    for number in range(count):
        ends[1].sendall(line(number))
    eventually(lambda: intake.bytes_read == count * 100, "everything read")
    dropped = intake.dropped()
    assert dropped.records > 0
    assert dropped.bytes == dropped.records * 100
    ends[1].close()
    kept = everything(intake).splitlines(keepends=True)
    assert len(kept) + dropped.records == count
    assert kept == [line(number) for number in range(len(kept))]
    assert dropped.first == f"1700000000.123:{len(kept)}"
    assert dropped.last == "1700000000.123:4999"


def test_reading_goes_on_after_a_drop(ends: Ends, started: Started, eventually: Eventually) -> None:
    """When there is room again, records come again, from a line's beginning."""
    intake = started(ends[0].fileno(), limit=200_000)
    sent = 0
    while intake.dropped().records == 0:
        ends[1].sendall(line(sent))
        sent += 1
    ends[1].sendall(b"type=HALF")
    eventually(lambda: intake.bytes_read == sent * 100 + 9, "everything read")
    kept = b""
    while block := intake.take(0):
        kept += block
    ends[1].sendall(b" the rest\n" + line(7777))
    ends[1].close()
    after = everything(intake)
    assert after == line(7777)
    assert kept.count(b"\n") + intake.dropped().records == sent + 1


def test_each_span_is_announced_once(ends: Ends, started: Started, eventually: Eventually) -> None:
    """The event about a loss speaks of what was lost since the last one."""
    intake = started(ends[0].fileno(), limit=50_000)
    for number in range(2000):
        ends[1].sendall(line(number))
    eventually(lambda: intake.bytes_read == 200_000, "everything read")
    first = intake.dropped_since()
    assert first.records == intake.dropped().records > 0
    assert intake.dropped_since() == module.Dropped()
    ends[1].sendall(line(9000))
    eventually(lambda: intake.dropped().records > first.records, "one more dropped")
    again = intake.dropped_since()
    assert (again.records, again.first, again.last) == (1, "1700000000.123:9000", "1700000000.123:9000")


def admitted(chunks: list[bytes], limit: int, takes: list[bool], wake: WakeUp) -> tuple[bytes, module.Dropped]:
    """What an intake lets through when it is given these chunks, taking a block after some of them."""
    reader, writer = os.pipe()
    try:
        intake = Intake(reader, wake, limit)
        kept = b""
        for chunk, take in zip(chunks, takes, strict=True):
            if chunk:
                intake._admit(memoryview(chunk), has_grown=True)
            if take:
                kept += intake.take(0)
        while block := intake.take(0):
            kept += block
        return kept, intake.dropped()
    finally:
        os.close(reader)
        os.close(writer)


@given(
    lines=st.lists(st.integers(1, 400_000), min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 1_000_000), max_size=12),
    takes=st.lists(st.booleans(), min_size=13, max_size=13),
)
def test_only_whole_lines_are_lost(lines: list[int], cuts: list[int], takes: list[bool]) -> None:
    """However the bytes arrive: every line is kept, or cut because it would not end, or counted; never glued."""
    content = b"".join(bytes([65 + number]) * length + b"\n" for number, length in enumerate(lines))
    places = sorted({0, len(content), *(cut % len(content) for cut in cuts)})
    chunks = [content[start:end] for start, end in itertools.pairwise(places)]
    wake = WakeUp()
    try:
        kept, dropped = admitted(chunks, 300_000, takes[: len(chunks)] + [False] * (len(chunks) - 13), wake)
    finally:
        wake.close()
    found = kept.splitlines()
    assert len(found) + dropped.records == len(lines)
    assert len(kept) + dropped.bytes in range(len(content), len(content) + len(lines) + 1)
    order = [part[0] for part in found]
    assert order == sorted(set(order))
    for part in found:
        assert len(set(part)) == 1
        assert len(part) <= lines[part[0] - 65]


def test_memory_is_bounded_by_bytes_not_by_reads(wake: WakeUp) -> None:
    """A writer that sends byte by byte costs no more memory than one that sends blocks."""
    reader, writer = os.pipe()
    intake = Intake(reader, wake)
    for _ in range(10_000):
        intake._admit(memoryview(b"x"), has_grown=True)
    assert len(intake._blocks) == 1
    assert len(intake.take(0)) == 10_000
    os.close(reader)
    os.close(writer)


def test_blocks_are_small(wake: WakeUp) -> None:
    """What is handed over at once is bounded, and so is what the engine makes of it."""
    reader, writer = os.pipe()
    intake = Intake(reader, wake)
    for _ in range(20):
        intake._admit(memoryview(b"x" * 65_536), has_grown=True)
    assert max(len(intake.take(0)) for _ in range(5)) <= BLOCK_BYTES
    os.close(reader)
    os.close(writer)


def test_a_regular_file_is_waited_for(tmp_path: Path, started: Started) -> None:
    """Whoever feeds a log by `< audit.log` gets all of it, however slow the rest is."""
    file = tmp_path / "audit.log"
    content = b"".join(line(number) for number in range(30_000))
    file.write_bytes(content)
    fd = os.open(file, os.O_RDONLY)
    intake = started(fd, limit=100_000)
    time.sleep(0.05)
    assert everything(intake) == content
    assert intake.dropped().records == 0
    os.close(fd)


def test_take_waits_no_longer_than_told(wake: WakeUp) -> None:
    """The pipeline has its ticks when nothing comes."""
    reader, writer = os.pipe()
    intake = Intake(reader, wake)
    begin = time.monotonic()
    assert intake.take(0.02) == b""
    assert 0.01 < time.monotonic() - begin < 5
    intake.knock()
    assert intake.take(60) == b""
    os.close(reader)
    os.close(writer)


@pytest.fixture
def resting(ends: Ends, started: Started) -> Intake:
    """An intake whose taker just got a small block, and rests for ten minutes."""
    intake = started(ends[0].fileno())
    intake.rest_seconds = 600
    ends[1].sendall(line(1))
    assert told(intake) == line(1)
    return intake


def test_small_blocks_grow(resting: Intake, ends: Ends, eventually: Eventually) -> None:
    """A busy host pays for few turns of the pipeline: what comes soon after a small block is handed over together."""
    taken: list[bytes] = []
    taker = threading.Thread(target=lambda: taken.append(resting.take(60)))
    taker.start()
    ends[1].sendall(line(2))
    eventually(lambda: resting.waiting_bytes == 100, "read")
    many = b"".join(line(3 + number) for number in range(module.SMALL_BLOCK_BYTES // 100))
    ends[1].sendall(many)
    taker.join(30)
    assert taken[0].startswith(line(2) + line(3))
    assert len(taken[0]) >= module.SMALL_BLOCK_BYTES


def test_a_rest_has_an_end(ends: Ends, started: Started) -> None:
    """The last event before a silence is there in milliseconds, whatever comes after it."""
    intake = started(ends[0].fileno())
    intake.rest_seconds = 0.05
    for number in range(3):
        ends[1].sendall(line(number))
        assert told(intake) == line(number)
    ends[1].sendall(END)
    assert told(intake) == END, "the end of an event ends no rest; the rest ends"


def test_the_end_ends_a_rest(resting: Intake, ends: Ends) -> None:
    """Auditd's stop is not held up by what gathers."""
    ends[1].sendall(line(2))
    ends[1].close()
    assert told(resting) == line(2)


def test_a_stop_ends_a_rest(resting: Intake, ends: Ends, eventually: Eventually) -> None:
    """What was read before the plugin gives up is taken."""
    ends[1].sendall(line(2))
    eventually(lambda: resting.waiting_bytes == 100, "read")
    resting.stop()
    assert told(resting) == line(2)


def test_a_knock_ends_a_rest(resting: Intake, ends: Ends, eventually: Eventually) -> None:
    """A name that was looked up is used at once."""
    ends[1].sendall(line(2))
    eventually(lambda: resting.waiting_bytes == 100, "read")
    resting.knock()
    assert told(resting) == line(2)


END = b"type=EOE msg=audit(1700000000.123:1): \n"


class Moments:
    """Reads one after the other, on the test's own thread, and what the taker is told of."""

    def __init__(self, intake: Intake, end: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        self.intake = intake
        self.naps: list[float] = []
        self.kept = b""
        self._end = end
        self._buffer = bytearray(module.READ_BYTES)
        monkeypatch.setattr(time, "sleep", self.naps.append)

    def read(self, content: bytes, waited: float = 1.0) -> str:
        """Have something come after seconds of silence, and taken: whether by a nap, and whether it was told of."""
        self.naps.clear()
        self._end.sendall(content)
        assert self.intake._read(self._buffer, waited)
        found = ("nap, " if self.naps else "") + ("told" if self.intake._ready else "untold")
        self.kept += self.intake.take(0)
        self.intake._rest_until = 0.0
        self.intake._due_at = None
        return found


@pytest.fixture
def moments(ends: Ends, wake: WakeUp, monkeypatch: pytest.MonkeyPatch) -> Moments:
    """An intake of which each step is seen."""
    return Moments(Intake(ends[0].fileno(), wake), ends[1], monkeypatch)


def test_an_event_is_handed_over_when_it_ends(moments: Moments) -> None:
    """An event makes one turn of the pipeline, not one for each record; nobody waits for more than all of it."""
    assert moments.read(line(1)) == "untold"
    assert moments.read(line(2), 0.0) == "untold"
    assert moments.read(END, 0.0) == "told"
    assert moments.kept == line(1) + line(2) + END


def test_what_has_no_end_does_not_wait_for_one(ends: Ends, started: Started) -> None:
    """Records of programs end no event; an old auditd's stream has no ends at all."""
    intake = started(ends[0].fileno())
    ends[1].sendall(line(1))
    assert told(intake) == line(1)


def test_what_has_no_end_does_not_wait_for_silence(ends: Ends, wake: WakeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that come each millisecond or so, of programs or an old auditd, are handed over; none is the last."""
    intake = Intake(ends[0].fileno(), wake)
    now = [1000.0]
    handed: list[int] = []

    class Poll:
        """Something comes just after the time is over, again and again."""

        def register(self, *_: int) -> None:
            """As it is."""

        def poll(self, wait: float | None) -> list[tuple[int, int]]:
            """Later."""
            now[0] += 0.0011 if wait is None else wait / 1000 + 0.0001
            handed.append(len(intake.take(0)) if intake._ready else 0)
            ends[1].sendall(line(1))
            if len(handed) == 20:
                intake.stop()
            return [(ends[0].fileno(), 1)]

    intake.rest_seconds = 0.0
    monkeypatch.setattr(select, "poll", Poll)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    intake.run()
    assert sum(handed) >= 1700


def test_naps_where_records_come_all_the_time(moments: Moments) -> None:
    """A busy host does not pay for a wake-up for each record; a quiet one for no nap."""
    assert [moments.read(line(number), 0.0) for number in range(3)] == ["untold", "untold", "nap, told"]
    assert moments.naps == [0.001]
    assert moments.read(line(5) * 200, 0.0) == "nap, told"
    assert moments.read(line(6), 0.0) == "untold", "so much came that the socket might fill up in a nap"
    assert moments.read(line(7), 0.0) == "nap, told"
    assert moments.read(line(8)) == "untold", "nothing came for a while"


def test_ends_of_events_are_seen(moments: Moments) -> None:
    """Whatever stands around the mark of an event's end: nobody waits for more."""
    assert moments.read(b"node=somewhere.example type=EOE msg=audit(1700000000.123:4294967295): \n") == "told"
    assert moments.read(b"type=EOE msg=audit(1700000000.123:4294967295): \n") == "told"
    assert moments.read(END + line(1)) == "untold"


def test_a_file_is_read_without_naps(wake: WakeUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is gained by waiting for a file to grow."""
    (tmp_path / "log").write_bytes(line(1) * 10_000)
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    with (tmp_path / "log").open("rb") as stream:
        intake = Intake(stream.fileno(), wake)
        for _ in range(3):
            assert intake._read(bytearray(), 0.0)
            assert intake._ready
            assert intake.take(0)
    assert not naps


def test_signals_reach_the_taker(ends: Ends, started: Started, wake: WakeUp, eventually: Eventually) -> None:
    """A SIGTERM is reported, and reading goes on to the end."""
    intake = started(ends[0].fileno())
    os.write(wake._write_fd, bytes([signal.SIGTERM, signal.SIGINT]))
    found: list[int] = []

    def both() -> bool:
        found.extend(intake.signals())
        return len(found) == 2

    eventually(both, "signals")
    assert found == [signal.SIGTERM, signal.SIGINT]
    ends[1].sendall(b"after\n")
    ends[1].close()
    assert everything(intake) == b"after\n"


def test_a_person_can_stop_it(started: Started, wake: WakeUp, eventually: Eventually) -> None:
    """^C ends the plugin where a person feeds it by a pipe."""
    reader, writer = os.pipe()
    intake = started(reader)
    os.write(wake._write_fd, bytes([signal.SIGINT]))
    eventually(lambda: intake.finished, "the end")
    os.close(reader)
    os.close(writer)


def test_a_reset_socket_is_an_end(started: Started, monkeypatch: pytest.MonkeyPatch, ends: Ends) -> None:
    """An input that breaks is an input that has ended."""

    def broken(_fd: int, _buffers: list[bytearray]) -> int:
        raise ConnectionResetError

    monkeypatch.setattr(os, "readv", broken)
    ends[1].sendall(b"x")
    assert everything(started(ends[0].fileno())) == b""


def test_a_file_is_taken_in_whole_blocks(started: Started, tmp_path: Path) -> None:
    """A log that is fed as a file costs as little as can be, whatever its size."""
    content = b"a line of a log\n" * 50_000
    (tmp_path / "log").write_bytes(content)
    with (tmp_path / "log").open("rb") as stream:
        intake = started(stream.fileno())
        blocks = []
        while block := intake.take(10):
            blocks.append(block)
    assert b"".join(blocks) == content
    assert [len(block) for block in blocks[:-1]] == [BLOCK_BYTES] * (len(content) // BLOCK_BYTES)


def test_the_reading_thread_does_errands(started: Started, ends: Ends) -> None:
    """What holds for one thread only, such as giving up rights, is done by the one that reads, which reads on."""
    intake = started(ends[0].fileno())
    ran_on: list[threading.Thread] = []
    intake.on_reader(lambda: ran_on.append(threading.current_thread()), 10)
    assert ran_on[0] is not threading.current_thread()

    def refused() -> None:
        raise PermissionError(1, "Operation not permitted")

    with pytest.raises(PermissionError):
        intake.on_reader(refused, 10)
    ends[1].sendall(line(1))
    ends[1].close()
    assert everything(intake) == line(1)


def test_a_reader_that_has_no_turn(wake: WakeUp) -> None:
    """Whoever waits for the reading thread does not wait for ever; when it has ended, nothing is left to be done."""
    reader, writer = os.pipe()
    intake = Intake(reader, wake)
    with pytest.raises(TimeoutError):
        intake.on_reader(lambda: None, 0.01)
    os.close(writer)
    intake.run()
    intake.on_reader(lambda: None, 0.01)
    os.close(reader)


def test_a_reader_that_waits_for_room_does_errands(started: Started, tmp_path: Path) -> None:
    """A log of any size, fed by a person, does not keep the plugin from giving up its rights."""
    file = tmp_path / "log"
    file.write_bytes(line(1) * 10_000)
    with file.open("rb") as stream:
        intake = started(stream.fileno(), limit=70_000)
        intake.on_reader(lambda: None, 10)
        assert everything(intake) == line(1) * 10_000
        intake.on_reader(lambda: None, 0)  # it has ended: there is nothing to wait for


def test_what_was_asked_of_a_reader_that_ends_is_done(wake: WakeUp) -> None:
    """An end of the input that comes in between makes nobody wait."""
    reader, writer = os.pipe()
    os.close(writer)
    intake = Intake(reader, wake)
    asking = threading.Thread(target=intake.on_reader, args=(lambda: None, 60))
    asking.start()
    intake.run()
    asking.join(10)
    assert not asking.is_alive()
    os.close(reader)


def test_waiting_for_room_can_end(started: Started, ends: Ends) -> None:
    """A reload from `block` to another answer sets reading free at once."""
    intake = started(ends[0].fileno(), limit=70_000)
    intake.make_room(70_000, waits=True)
    lines = b"".join(line(serial, 1000) for serial in range(300))

    def write() -> None:
        ends[1].sendall(lines)
        ends[1].close()

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.2)
    assert intake.dropped().records == 0
    assert intake.bytes_read < len(lines)
    intake.make_room(70_000, waits=False)
    thread.join(10)
    rest = everything(intake)
    assert rest.count(b"\n") + intake.dropped().records == 300
    assert intake.dropped().records > 0


def test_a_reload_while_waiting_for_room(started: Started, ends: Ends, wake: WakeUp, eventually: Eventually) -> None:
    """With `block`, and nobody who takes, a SIGHUP is heard: the reload may be what ends the waiting."""
    intake = started(ends[0].fileno(), limit=70_000)
    intake.make_room(70_000, waits=True)
    writer = threading.Thread(target=ends[1].sendall, args=(line(1, 1000) * 300,))
    writer.start()
    eventually(lambda: intake.waiting_bytes > 60_000, "full")
    os.write(wake._write_fd, bytes([signal.SIGHUP]))
    eventually(lambda: intake.signals() == [signal.SIGHUP], "heard")
    assert intake.dropped().records == 0
    kept = b""
    while writer.is_alive():
        kept += intake.take(0.1)
    ends[1].close()
    assert kept + everything(intake) == line(1, 1000) * 300
