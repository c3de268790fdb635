"""The pipeline, with a stand-in for the engine."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import pipeline as module
from audisp_pyaudit.engine import Engine
from audisp_pyaudit.framing import Frames
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.names import NameLookup
from audisp_pyaudit.notices import Notices
from audisp_pyaudit.outlets import Outlets
from audisp_pyaudit.pipeline import Pipeline, Wrong
from audisp_pyaudit.signals import WakeUp
from audisp_pyaudit.sinks.base import SinkStats
from audisp_pyaudit.state import StateLock
from audisp_pyaudit.status import Parts
from tests.memory_log import MemoryLog

Eventually = Callable[..., None]


class MemorySink:
    """A sink that keeps what it gets."""

    type = "memory"

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.trouble = ""
        self.frames: list[Any] = []
        self.lost = 0
        self.refused = 0
        self.closed_by: float | None = None

    def start(self) -> None:
        """Nothing to do."""

    def deliver(self, frames: Frames) -> None:
        """Keep the frames."""
        self.frames += [frames[index].document for index in range(len(frames))]  # type: ignore[attr-defined]  # stand-ins

    def close(self, deadline: float) -> None:
        """Remember when."""
        self.closed_by = deadline

    def stats(self) -> SinkStats:
        """All delivered."""
        count = len(self.frames)
        stats = SinkStats(frames=count, offered=count, delivered=count - self.lost, refused=self.refused)
        stats.lost["ENOSPC"] = self.lost
        return stats

    def oldest_ms(self) -> int | None:
        """Nothing waits."""
        return None

    @property
    def texts(self) -> list[str]:
        """What the events say; our own say their action."""
        return [each.get("text") or each["event"].get("action", "") for each in self.frames]


class Bench:
    """A pipeline that runs in a thread, and its surroundings."""

    def __init__(self, fake_engine: Any, notices: Notices, folder: Path) -> None:  # noqa: ANN401  # a stand-in
        self.folder = folder
        self._wake = WakeUp()
        self._reader, self.writer = os.pipe()
        self.intake = Intake(self._reader, self._wake)
        self.engine = Engine({"process_start_ms": 1}, None, None, fake_engine)
        self.sink = MemorySink()
        self.log = MemoryLog()
        self._notices = notices
        self._threads: list[threading.Thread] = []
        self.ledger: Ledger | None = None

    def start(
        self,
        lookup: Any = None,  # noqa: ANN401  # a stand-in
        problems: tuple[str, ...] = (),
        hang_seconds: float = 5,
        state_lock: StateLock | None = None,
        reporter: Any = None,  # noqa: ANN401  # a stand-in
    ) -> Pipeline:
        """Run intake and pipeline."""
        names = None if lookup is None else NameLookup(self.intake.knock, lookup, hang_seconds)
        pipeline = Pipeline(
            intake=self.intake,
            engine=self.engine,
            names=names,
            outlets=Outlets([self.sink], failed=lambda name, _error: self.log.error("sink failed", sink=name)),
            notices=self._notices,
            log=self.log,
            state_path=str(self.folder / "engine.state"),
            state_lock=state_lock,
            problems=[Wrong(each, "configuration is wrong") for each in problems],
            reporter=reporter,
        )

        def work() -> None:
            pipeline.run()
            self.ledger = pipeline.finish(name_wait=0.02, drain=0.1)

        self._threads = [threading.Thread(target=self.intake.run), threading.Thread(target=work)]
        for thread in self._threads:
            thread.start()
        return pipeline

    def write(self, text: bytes) -> None:
        """As auditd would."""
        os.write(self.writer, text)

    def signal(self, number: int) -> None:
        """As the kernel would."""
        os.write(self._wake._write_fd, bytes([number]))

    def end(self) -> Ledger:
        """Close the input and wait for the end."""
        os.close(self.writer)
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        assert self.ledger is not None
        return self.ledger

    def close(self) -> None:
        """Give everything back."""
        self.intake.stop()
        for thread in self._threads:
            thread.join(20)
        os.close(self._reader)
        self._wake.close()


@pytest.fixture
def bench(fake_engine: Any, notices: Notices, tmp_path: Path) -> Iterator[Bench]:  # noqa: ANN401  # a stand-in
    """A pipeline's surroundings."""
    bench = Bench(fake_engine, notices, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens every second or minute happens all the time."""
    for name in (
        "HOUSE_SECONDS",
        "SAVE_SECONDS",
        "GIVE_BACK_SECONDS",
        "SETTLED_SECONDS",
        "REMIND_SECONDS",
        "IDLE_SECONDS",
    ):
        monkeypatch.setattr(module, name, 0.01)


def test_from_bytes_to_documents(bench: Bench) -> None:
    """Every line comes out as an event, what is held at the latest at the end, and the ledger closes."""
    bench.start()
    bench.write(b"one\nhold two\nEOE\nthree\nhalf")
    ledger = bench.end()
    assert sorted(bench.sink.texts) == ["half", "one", "three", "two"]
    assert ledger.closed
    assert bench.sink.closed_by is not None
    assert (bench.folder / "engine.state").read_bytes() == b"[]"


def test_held_events_come_by_time(bench: Bench, eventually: Eventually) -> None:
    """An event that waits is published when the stream is idle, not at the next record."""
    bench.start()
    bench.write(b"hold one\n")
    eventually(lambda: bench.sink.texts == ["one"], "published by tick")
    assert bench.end().closed


def test_names_are_looked_up(bench: Bench, eventually: Eventually) -> None:
    """Events get the names of this host's users."""
    bench.start(lookup=lambda kind, key: f"{kind}{key}")
    bench.write(b"want 5\n")
    eventually(lambda: bench.sink.texts == ["want 5 uid5"], "named")
    assert bench.end().closed


def test_a_hanging_name_service_costs_names_only(bench: Bench, eventually: Eventually) -> None:
    """A lookup that never returns: events go on, the end comes in time, the process can end."""
    release = threading.Event()
    bench.start(lookup=lambda _kind, _key: str(release.wait(60)), hang_seconds=0.01)
    for number in range(10):
        bench.write(b"want %d\nevent %d\n" % (number, number))
    eventually(lambda: len(bench.sink.texts) >= 20, "all events")
    begin = time.monotonic()
    assert bench.end().closed
    assert time.monotonic() - begin < 5
    assert sorted(text for text in bench.sink.texts if text.startswith("event")) == [f"event {n}" for n in range(10)]
    release.set()


@pytest.mark.usefixtures("hurried")
def test_what_intake_drops_is_in_the_stream(bench: Bench, eventually: Eventually) -> None:
    """Records dropped before the engine are announced to the consumers, with count and range."""
    bench.intake.limit = 0
    bench.start()
    bench.write(b"type=A msg=audit(1.1:7): \ntype=A msg=audit(1.1:9): \n")
    eventually(lambda: "records-dropped" in bench.sink.texts, "announced")
    lost = bench.sink.frames[0]["auditd"]["lost"]
    assert lost == {"reason": "intake_full", "records": 2, "bytes": 52, "first": "1.1:7", "last": "1.1:9"}
    ledger = bench.end()
    assert ledger.closed
    assert next(ledger.lines()) == "records read 2 = engine 0 + intake_full 2 (52 bytes)"
    assert bench.log.has("records lost")


@pytest.mark.usefixtures("hurried")
def test_what_a_panic_costs_is_in_the_stream(bench: Bench, eventually: Eventually) -> None:
    """If a bug costs records, consumers and log are told."""
    bench.start()
    bench.write(b"poison\n")
    eventually(lambda: "records-dropped" in bench.sink.texts, "announced")
    assert bench.sink.frames[0]["auditd"]["lost"] == {"reason": "panic", "records": 1}
    assert bench.log.has("the engine broke")
    assert bench.end().closed


@pytest.mark.usefixtures("hurried")
def test_signals_are_told_and_reading_goes_on(bench: Bench, eventually: Eventually) -> None:
    """SIGTERM comes before the last records: they are still published."""
    bench.start()
    bench.signal(signal.SIGTERM)
    eventually(lambda: bench.log.has("SIGTERM"), "told")
    bench.write(b"DAEMON_END\n")
    assert bench.end().closed
    assert bench.sink.texts == ["DAEMON_END"]


@pytest.mark.usefixtures("hurried")
def test_troubles_of_sinks_are_told(bench: Bench, eventually: Eventually) -> None:
    """A sink that cannot deliver is in the log when it begins, while it lasts, and when it ends."""
    bench.sink.trouble = "/x: No space left on device"
    bench.start()
    eventually(lambda: bench.log.has("sink cannot deliver"), "told")
    bench.write(b"one\n")
    eventually(lambda: bench.sink.texts == ["one"], "delivered")
    bench.sink.lost = 1
    eventually(lambda: bench.log.has("sink lost events"), "losses told")
    bench.sink.trouble = ""
    eventually(lambda: bench.log.has("sink delivers again"), "end told")
    bench.end()


@pytest.mark.usefixtures("hurried")
def test_refused_subscribers_are_in_the_log(bench: Bench, eventually: Eventually) -> None:
    """A consumer too many is told once it happens, not for every attempt."""
    bench.start()
    bench.sink.refused = 3
    eventually(lambda: bench.log.has("'count': 3"), "told")
    time.sleep(0.1)
    bench.end()
    assert [fields["why"] for _, event, fields in bench.log.lines if event == "hung up on subscribers"] == ["too many"]


@pytest.mark.usefixtures("hurried")
def test_the_state_is_taken_over_when_the_process_before_us_ends(bench: Bench, eventually: Eventually) -> None:
    """At a restart that overlaps, the new plugin remembers what it sees from then on."""
    old = StateLock(str(bench.folder / "engine.state"))
    assert old.take()
    bench.start(state_lock=StateLock(str(bench.folder / "engine.state")))
    time.sleep(0.1)
    assert not (bench.folder / "engine.state").exists()
    old.release()
    eventually((bench.folder / "engine.state").exists, "saved")
    assert bench.log.has("the state is ours now")
    bench.end()
    assert old.take()
    old.release()


def test_a_sink_with_a_bug_ends_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a sink fail in a way nobody thought of, it is told once, the ledger shows it, and reading goes on."""

    def broken(_frames: Frames) -> None:
        raise KeyError("bug")

    bench.start()
    monkeypatch.setattr(bench.sink, "deliver", broken)
    bench.write(b"one\n")
    bench.write(b"two\n")
    ledger = bench.end()
    assert ledger.engine_closed
    assert not ledger.closed
    assert [event for _, event, _ in bench.log.lines] == ["sink failed"]


@pytest.mark.usefixtures("hurried")
def test_a_wrong_configuration_is_said_again(bench: Bench, eventually: Eventually) -> None:
    """Whoever looks into the log later still reads that the configuration is wrong."""
    bench.start(problems=("a.toml:1: x: unknown key",))
    eventually(lambda: bench.log.has("a.toml:1: x: unknown key"), "said")
    bench.end()


class Listener:
    """Who hears where everything stands."""

    def __init__(self) -> None:
        self.heard: list[tuple[Parts, bool]] = []

    def report(self, parts: Parts, *, last: bool) -> None:
        """Keep it."""
        self.heard.append((parts, last))


@pytest.mark.usefixtures("hurried")
def test_where_everything_stands_is_said(bench: Bench, eventually: Eventually) -> None:
    """At the start, again and again, and at the end with the very ledger that is returned."""
    listener = Listener()
    bench.start(problems=("wrong",), reporter=listener)
    eventually(lambda: len(listener.heard) > 2)
    assert not any(last for _, last in listener.heard)
    first = listener.heard[0][0]
    assert (first.ledger.frames, first.problems, first.level) == (0, ["wrong"], None)
    assert first.meanwhile == "configuration is wrong"
    assert first.intake_limit == bench.intake.limit
    bench.write(b"one\ntwo\n")
    eventually(lambda: listener.heard[-1][0].ledger.frames == 2)
    assert list(listener.heard[-1][0].sinks) == [bench.sink]
    ledger = bench.end()
    assert [last for _, last in listener.heard].count(True) == 1
    assert listener.heard[-1] == (listener.heard[-1][0], True)
    assert listener.heard[-1][0].ledger is ledger


@pytest.mark.usefixtures("hurried")
def test_state_is_saved_while_running(bench: Bench, eventually: Eventually) -> None:
    """A kill costs seconds of memory, not all of it."""
    bench.start()
    eventually((bench.folder / "engine.state").exists, "saved")
    bench.end()


@pytest.mark.usefixtures("hurried")
def test_free_memory_goes_back(bench: Bench, eventually: Eventually, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a burst needed is not the plugin's for ever."""
    given: list[bool] = []
    monkeypatch.setattr(module, "give_back", lambda: given.append(True))
    bench.start()
    eventually(lambda: len(given) > 1, "given back, again and again")
    assert bench.end().closed


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("settled", "again", "times"), [(0.01, 60.0, 1), (60.0, 0.01, 0)])
def test_the_first_time_comes_when_a_start_is_through(  # noqa: PLR0913, PLR0917  # what is told apart
    bench: Bench,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    settled: float,
    again: float,
    times: int,
) -> None:
    """What waited for the plugin to start is given back when that is through, and not before."""
    given: list[bool] = []
    monkeypatch.setattr(module, "give_back", lambda: given.append(True))
    monkeypatch.setattr(module, "SETTLED_SECONDS", settled)
    monkeypatch.setattr(module, "GIVE_BACK_SECONDS", again)
    bench.start()
    saved = bench.folder / "engine.state"
    eventually(saved.exists, "the house was kept")
    saved.unlink()
    eventually(saved.exists, "and again")
    assert bench.end().closed
    assert len(given) == times


def test_a_state_that_cannot_be_saved(bench: Bench) -> None:
    """A folder that cannot be written is one warning; events go on."""
    (bench.folder / "engine.state").mkdir()
    bench.start()
    bench.write(b"one\n")
    assert bench.end().closed
    assert bench.sink.texts == ["one"]
    assert [event for _, event, _ in bench.log.lines] == ["state not saved"]
