"""A panic of the Rust engine costs one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audisp_pyaudit import engine as module
from audisp_pyaudit.engine import Engine
from audisp_pyaudit.ledger import Ledger

Texts = Callable[[Any], list[str]]
OPTIONS: dict[str, object] = {"process_start_ms": 100}


@pytest.fixture
def engine(fake_engine: Any, tmp_path: Path) -> Engine:  # noqa: ANN401  # a stand-in
    """A guarded stand-in."""
    return Engine(dict(OPTIONS), None, tmp_path, fake_engine)


def closed(engine: Engine) -> bool:
    """Whether every record is accounted for."""
    return Ledger(engine.stats()).engine_closed


def test_lines_come_through_in_any_chunks(engine: Engine, texts: Texts) -> None:
    """Where a chunk ends makes no difference."""
    got = []
    for chunk in (b"o", b"ne\ntw", b"", b"o\nthree\n", b"four"):
        got += texts(engine.feed(chunk))
    assert got == ["one", "two", "three"]
    assert texts(engine.close()) == ["four"]
    assert closed(engine)


def test_a_panic_costs_one_line(engine: Engine, texts: Texts, tmp_path: Path) -> None:
    """The line that breaks the engine is published as it is; every other event is published once."""
    assert texts(engine.feed(b"zero\nhold h1\n")) == ["zero"]
    got = texts(engine.feed(b"one\nhold h2\nboom\nEOE\ntwo\n"))
    assert got == ["one", "boom", "two"]
    assert texts(engine.close()) == ["h1", "h2"]
    stats = engine.stats()
    assert stats["panics"] == 2  # the chunk, then the line
    assert stats["records_in"] == 7
    assert stats["events_published"] == 6
    assert stats["records_lost_panic"] == 0
    assert closed(engine)
    report = (tmp_path / "panic-1.txt").read_text()
    assert report.endswith("\n\nboom\n")
    assert "index out of bounds" in report
    assert (tmp_path / "panic-1.txt").stat().st_mode & 0o777 == 0o600


def test_ids_of_own_events_stay_apart(engine: Engine) -> None:
    """The engine after a panic numbers its own events anew; their ids are still new."""
    ids = [
        frames[index].id
        for chunk in (b"boom\n", b"boom\n")
        for frames in engine.feed(chunk)
        for index in range(len(frames))
    ]
    assert len(set(ids)) == len(ids) == 2


def test_ten_reports_at_most(engine: Engine, texts: Texts, tmp_path: Path) -> None:
    """A line that comes again and again does not fill the disk."""
    for _ in range(13):
        assert texts(engine.feed(b"boom\nfine\n")) == ["boom", "fine"]
    assert len(list(tmp_path.iterdir())) == module.MAX_REPORTS


def test_no_folder_for_reports(fake_engine: Any, texts: Texts, tmp_path: Path) -> None:  # noqa: ANN401  # a stand-in
    """Without a place for reports, lines are still published."""
    for folder in (None, tmp_path / "none"):
        assert texts(Engine(dict(OPTIONS), None, folder, fake_engine).feed(b"boom\n")) == ["boom"]


def test_an_event_that_breaks_every_tick(engine: Engine, texts: Texts) -> None:
    """What is held and breaks the engine is given up and counted; the stream goes on."""
    assert texts(engine.feed(b"hold h\npoison\n")) == []
    for _ in range(module.MAX_STREAK):
        assert texts(engine.tick(1)) == []
    assert texts(engine.feed(b"one\n")) == ["one"]
    assert texts(engine.tick(2)) == []
    assert texts(engine.close()) == []
    assert engine.stats()["records_lost_panic"] == 2
    assert engine.stats()["records_held"] == 0
    assert closed(engine)


def test_a_line_that_cannot_even_be_shown(engine: Engine, texts: Texts) -> None:
    """If also publishing the line as it is breaks the engine, the line is counted."""
    assert texts(engine.feed(b"one\nboomboom\ntwo\n")) == ["one", "two"]
    assert engine.stats()["records_lost_panic"] == 1
    assert closed(engine)


def test_a_line_without_end_is_not_kept(engine: Engine, texts: Texts) -> None:
    """Bytes without a newline are handed on at a limit, the engine cuts them."""
    assert texts(engine.feed(b"x" * module.MAX_TAIL_BYTES)) == ["x" * module.MAX_TAIL_BYTES]


def test_state_is_taken_over(engine: Engine, fake_engine: Any, texts: Texts) -> None:  # noqa: ANN401  # a stand-in
    """What was held before a restart is published after it, and the ledger of the new process closes."""
    assert texts(engine.feed(b"hold h\n")) == []
    after = Engine(dict(OPTIONS), engine.state(), None, fake_engine)
    assert texts(after.feed(b"boom\n")) == ["boom"]
    assert texts(after.close()) == ["h"]
    assert closed(after)
    assert after.stats()["records_restored"] == 1


def test_names_are_passed_on(engine: Engine, texts: Texts) -> None:
    """Wants, answers and what waits for them survive a panic."""
    assert texts(engine.feed(b"want 5\n")) == []
    assert engine.holds
    assert engine.wants() == [("uid", "5")]
    assert engine.wants() == []
    assert texts(engine.feed(b"boom\n")) == ["boom"]
    engine.tell("uid", "5", "lab")
    assert texts(engine.tick(1)) == ["want 5 lab"]
    assert not engine.holds


def test_snapshots_bound_the_memory(engine: Engine, texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for a replay is bounded in bytes and in calls."""
    monkeypatch.setattr(module, "REPLAY_BYTES", 100)
    monkeypatch.setattr(module, "REPLAY_CALLS", 10)
    for number in range(50):
        texts(engine.feed(b"hold %d\n" % number))
        texts(engine.tick(number))
        assert len(engine._calls) <= 11
        assert engine._call_bytes <= 110
    assert texts(engine.feed(b"boom\n")) == ["boom"]
    assert closed(engine)


def test_programming_errors_are_not_hidden(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a panic is caught; an error of ours is seen."""
    monkeypatch.setattr(engine._raw, "feed", lambda _chunk: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        list(engine.feed(b"x\n"))


def test_wrong_options_are_an_error(fake_engine: Any) -> None:  # noqa: ANN401  # a stand-in
    """Options and states of no use are told when the engine is built."""
    with pytest.raises(ValueError, match="of no use"):
        Engine({"bad": 1}, None, None, fake_engine)
    with pytest.raises(ValueError, match="of no use"):
        Engine({}, b"bad", None, fake_engine)


def test_a_state_that_panics(engine: Engine, texts: Texts, monkeypatch: pytest.MonkeyPatch, fake_engine: Any) -> None:  # noqa: ANN401  # a stand-in
    """An engine that cannot say where it stands is replaced; what it held is counted."""
    assert texts(engine.feed(b"hold h\n")) == []
    monkeypatch.setattr(engine._raw, "state", lambda: fake_engine({}, None)._panic())
    assert engine.state() == b""
    assert engine.stats()["records_lost_panic"] == 1
    assert texts(engine.feed(b"one\n")) == ["one"]
    assert closed(engine)


def test_other_options_in_the_middle(engine: Engine, texts: Texts) -> None:
    """A reload loses nothing that is held, counts on, and gives its own events ids that nothing before had."""
    assert texts(engine.feed(b"one\nhold h\n")) == ["one"]
    before = engine._raw
    engine.reconfigure({**OPTIONS, "x": 1})
    assert engine._raw is not before
    assert (engine._raw.options["x"], engine._raw.options["replay"]) == (1, True)  # type: ignore[attr-defined]  # as above
    assert engine._raw.start > before.start  # type: ignore[attr-defined]  # as above
    assert closed(engine)
    assert texts(engine.feed(b"two\nboom\n")) == ["two", "boom"]
    assert texts(engine.close()) == ["h"]
    assert closed(engine)
    assert engine.stats()["records_in"] == 4
    assert engine.stats()["records_restored"] == 0


def test_other_options_that_cannot_be(engine: Engine, texts: Texts) -> None:
    """Options that the engine refuses change nothing."""
    assert texts(engine.feed(b"hold h\n")) == []
    with pytest.raises(ValueError, match="of no use"):
        engine.reconfigure({"bad": 1})
    assert texts(engine.feed(b"one\n")) == ["one"]
    assert texts(engine.close()) == ["h"]
    assert closed(engine)
