"""The status: what is in the file, and that it costs nothing else."""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import __version__
from audisp_pyaudit.proc import start_ticks
from audisp_pyaudit.status import About, Parts, Reporter, Status, lost_to_somebody, stalled_seconds
from tests.status import KERNEL, LEVEL, StandIn, StandInKernel, StandInLog, example, parts_of


class Keeper:
    """Somebody who makes metrics."""

    def __init__(self) -> None:
        self.trouble = ""
        self.got: list[tuple[Status, bool]] = []
        self.closed = False

    def publish(self, status: Status, *, last: bool) -> None:
        """Keep it."""
        self.got.append((status, last))

    def close(self) -> None:
        """Remember that."""
        self.closed = True


class Reader(Keeper):
    """Somebody who makes metrics, and looks what the file says when they come."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.read: list[float] = []

    def publish(self, status: Status, *, last: bool) -> None:
        """Keep both."""
        super().publish(status, last=last)
        self.read.append(json.loads(self._path.read_bytes())["written"] if self._path.exists() else 0.0)


def test_metrics_are_never_older_than_the_file(tmp_path: Path) -> None:
    """Whoever compares the two sees what came since, and no numbers that went back."""
    path = tmp_path / "status.json"
    reader = Reader(path)
    reporter = Reporter(str(path), About(), StandInLog(), reader)
    for last in (False, False, True):
        reporter.report(parts_of(), last=last)
    written = [status["written"] for status, _ in reader.got]
    assert reader.read == [0.0, *written[:2]]
    assert json.loads(path.read_bytes())["written"] == written[2]


def test_everything_is_in_it(tmp_path: Path) -> None:
    """Whoever reads the file knows who wrote it and when, and all that the process knows of itself."""
    sink = StandIn()
    sink.delivered, sink.trouble, sink.oldest = 5, "away", 1_700_000_000_500
    parts = parts_of(sink, level=LEVEL, problems=("a.toml:1: wrong",), records_held=2)
    found = example(tmp_path, parts)
    assert (found["version"], found["program"]) == (1, __version__)
    assert (found["pid"], found["start_ticks"]) == (os.getpid(), start_ticks(os.getpid()))
    assert found["started"] <= found["written"] <= time.time()
    assert found["running"]
    assert (found["host"], found["config"]) == (
        "web-1",
        {"file": "/etc/a.toml", "problems": ["a.toml:1: wrong"], "meanwhile": "wrong"},
    )
    assert found["ledger"] == json.loads(json.dumps(parts.ledger.as_dict()))
    assert found["sinks"]["topic"]["trouble"] == "away"
    assert found["sinks"]["topic"]["oldest_waiting"] == 1_700_000_000.5
    assert found["queue"]["spool_bytes"] == 120_000_000
    assert found["intake"] == {"waiting_bytes": 10, "limit_bytes": 1000}
    assert found["process"]["resident_bytes"] > 1_000_000
    assert found["kernel"]["lost"] == KERNEL.lost


def test_everybody_may_read_it(tmp_path: Path) -> None:
    """People on call are not root; the folder is made if it is missing, and no half of a file is ever seen."""
    path = tmp_path / "run" / "status.json"
    Reporter(str(path), About(), StandInLog()).report(Parts(parts_of().ledger))
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == ["status.json"]  # noqa: PTH208  # also what begins with a dot


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    """It costs the status; metrics still come, and the log says why, once, and again when it changes."""
    (tmp_path / "file").touch()
    log, keeper = StandInLog(), Keeper()
    reporter = Reporter(str(tmp_path / "file" / "status.json"), About(), log, keeper)
    for _ in range(3):
        reporter.report(parts_of())
    assert len(keeper.got) == 3
    assert [each for each in log.lines if "status not written" in each] == log.lines
    assert len(log.lines) == 1
    assert "File exists" in log.lines[0]
    (tmp_path / "file").unlink()
    reporter.report(parts_of())
    assert json.loads((tmp_path / "file" / "status.json").read_bytes())["running"]


def test_no_file_is_wanted(tmp_path: Path) -> None:
    """With `status = ""` nothing is written, and metrics still come."""
    keeper = Keeper()
    Reporter("", About(), StandInLog(), keeper).report(parts_of(), last=True)
    assert [last for _, last in keeper.got] == [True]
    assert list(tmp_path.iterdir()) == []


def test_troubles_of_others_are_told() -> None:
    """An endpoint that cannot be had, and a kernel that does not answer, are in the log."""
    log, keeper, kernel = StandInLog(), Keeper(), StandInKernel()
    keeper.trouble, kernel.trouble = "127.0.0.1:1: in use", "not permitted"
    reporter = Reporter("", About(), log, keeper, kernel)  # type: ignore[arg-type]
    reporter.report(parts_of())
    reporter.report(parts_of())
    assert len(log.lines) == 2
    assert "in use" in log.lines[0]
    assert "not permitted" in log.lines[1]
    assert keeper.got[-1][0]["metrics_trouble"] == "127.0.0.1:1: in use"


def test_a_bug_costs_the_status_only() -> None:
    """A sink that cannot say how it is does not stop the pipeline; the log asks for a report."""

    class Broken(StandIn):
        def oldest_ms(self) -> int | None:
            raise RuntimeError("no idea")

    log = StandInLog()
    reporter = Reporter("", About(), log)
    reporter.report(parts_of(Broken()))
    reporter.report(parts_of(Broken()))
    assert len(log.lines) == 1
    assert "this is a bug" in log.lines[0]


def test_the_later_process_has_the_file(tmp_path: Path) -> None:
    """When auditd starts the next process before this one has ended, the file is the next one's, whoever writes last.

    Unless that was killed: then it is not left saying so while we live.
    """
    path = tmp_path / "status.json"
    old, new = (
        Reporter(str(path), About(name, None, started), StandInLog()) for name, started in (("old", 1), ("new", 2))
    )

    def host() -> str:
        return str(json.loads(path.read_bytes())["host"])

    old.report(parts_of())
    assert host() == "old"
    for last in (False, True):
        new.report(parts_of())
        old.report(parts_of(), last=last)
        assert host() == "new"
    new.report(parts_of(), last=True)
    old.report(parts_of())
    assert host() == "new"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "running": True, "start_ticks": 1}))
    old.report(parts_of())
    assert host() == "old"
    path.unlink()
    old.report(parts_of(), last=True)
    assert not json.loads(path.read_bytes())["running"]


def test_stalled(tmp_path: Path) -> None:
    """How long something waits is counted to when the status was written, not to when it is read."""
    sink = StandIn()
    sink.queued = 1
    found = example(tmp_path, parts_of(sink))
    state = found["sinks"]["topic"]
    assert stalled_seconds(state, state["waiting_since"] + 12) == 12
    assert stalled_seconds({"waiting_since": None}, found["written"]) == 0


def test_what_nobody_listened_to_is_no_loss() -> None:
    """A socket without subscribers has nobody who could lose something."""
    assert lost_to_somebody({"lost": {"no_subscriber": 7, "slow": 2, "left": 0}}) == {"slow": 2}


def test_another_file_and_other_metrics(tmp_path: Path) -> None:
    """After a reload the status is where the configuration says now; an old one does not lie around and mislead."""
    old, new = Keeper(), Keeper()
    reporter = Reporter(str(tmp_path / "one"), About("web-1"), StandInLog(), old)
    reporter.report(parts_of())
    reporter.change(str(tmp_path / "two"), reporter.publisher)
    assert not old.closed
    reporter.report(parts_of())
    assert [each.name for each in tmp_path.iterdir()] == ["two"]
    reporter.change("", new)
    assert old.closed
    reporter.report(parts_of())
    assert list(tmp_path.iterdir()) == []
    assert (len(old.got), len(new.got)) == (2, 1)
    reporter.change("", None)
    assert new.closed
