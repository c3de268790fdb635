"""Where metrics are to be had: the file, the endpoint, and what happens when they cannot be."""

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import exporter as module
from audisp_pyaudit.exporter import Exporter
from audisp_pyaudit.metrics_settings import Metrics
from tests.status import StandIn, example, parts_of

Eventually = Callable[..., None]
Start = Callable[..., Exporter]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts exporters, and ends them."""
    made: list[Exporter] = []

    def start(**settings: Any) -> Exporter:  # noqa: ANN401  # as settings are
        made.append(Exporter(Metrics(**settings)))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., None]:
    """Publishes a status with so many delivered."""

    def publish(exporter: Exporter, delivered: int, *, last: bool = False, started: float = 1.0) -> None:
        sink = StandIn()
        sink.delivered = delivered
        exporter.publish(example(tmp_path, parts_of(sink), {"started": started}, last=last), last=last)

    return publish


def delivered(path: Path) -> int:
    """What a file says; -1 if it is not there."""
    if not path.exists():
        return -1
    lines = dict(each.rsplit(" ", 1) for each in path.read_text().splitlines())
    return int(float(lines['audisp_pyaudit_sink_events_total{result="delivered",sink="topic"}']))


def test_the_file_comes_at_once_and_again(
    start: Start, publish: Callable[..., None], tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """node_exporter finds numbers right after the start, then newer ones; everybody may read them."""
    monkeypatch.setattr(module, "TEXTFILE_SECONDS", 0.05)
    path = tmp_path / "a.prom"
    exporter = start(textfile=str(path))
    publish(exporter, 5)
    eventually(lambda: delivered(path) == 5)
    assert path.stat().st_mode & 0o777 == 0o644
    publish(exporter, 6)
    eventually(lambda: delivered(path) == 6)
    assert exporter.trouble == ""


def test_the_last_numbers_are_in_the_file(
    start: Start, publish: Callable[..., None], tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the process ends, the file has its final numbers and says that it does not run."""
    monkeypatch.setattr(module, "LAST_SECONDS", 60)
    path = tmp_path / "a.prom"
    exporter = start(textfile=str(path))
    publish(exporter, 5)
    eventually(lambda: delivered(path) == 5)
    publish(exporter, 6, last=True)
    assert delivered(path) == 6
    assert "audisp_pyaudit_running 0.0" in path.read_text().splitlines()


def test_a_successor_has_the_last_word(
    start: Start, publish: Callable[..., None], tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the next process, which has begun already, is not written over."""
    path = tmp_path / "a.prom"
    old, new = start(textfile=str(path)), start(textfile=str(path))
    publish(old, 5)
    eventually(lambda: delivered(path) == 5)
    publish(new, 1, started=2.0)
    eventually(lambda: delivered(path) == 1)
    monkeypatch.setattr(module, "LAST_SECONDS", 60)
    publish(old, 6, last=True)
    assert delivered(path) == 1
    path.write_text("audisp_pyaudit_start_time_seconds 1.5\n")  # as if the old one had written once more
    publish(new, 2, last=True, started=2.0)
    assert delivered(path) == 2


def test_a_folder_that_is_not_there(
    start: Start, publish: Callable[..., None], tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and mended when the folder is."""
    monkeypatch.setattr(module, "TEXTFILE_SECONDS", 0.05)
    exporter = start(textfile=str(tmp_path / "later" / "a.prom"))
    publish(exporter, 5)
    eventually(lambda: "No such file or directory" in exporter.trouble)
    (tmp_path / "later").mkdir()
    eventually(lambda: exporter.trouble == "")


def test_the_endpoint_comes_when_it_can(
    start: Start, publish: Callable[..., None], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that another process still has is tried again; the newest status is served."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        exporter = start(listen=f"127.0.0.1:{port}")
        publish(exporter, 5)
        eventually(lambda: "in use" in exporter.trouble)
    eventually(lambda: exporter.trouble == "")
    publish(exporter, 6)
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b'result="delivered",sink="topic"} 6.0' in b"".join(iter(lambda: client.recv(65536), b""))


def test_a_socket_whose_name_was_removed_comes_back(
    start: Start, publish: Callable[..., None], tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cleans /run up does not cost the metrics for good."""
    monkeypatch.setattr(module, "TEXTFILE_SECONDS", 0.05)
    place = tmp_path / "m.sock"
    exporter = start(listen=f"unix://{place}")
    publish(exporter, 5)
    eventually(place.exists)
    place.unlink()
    eventually(place.exists)
    exporter.close()
    eventually(lambda: not place.exists())


def test_without_the_library(start: Start, monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> None:
    """Where prometheus-client is not installed, the status says so, and nothing else happens."""
    monkeypatch.delitem(sys.modules, "audisp_pyaudit.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    exporter = start(listen="127.0.0.1:1")
    eventually(lambda: "prometheus-client is missing" in exporter.trouble)


@pytest.mark.parametrize("name", ["metrics", "endpoint"])
def test_after_the_package_was_removed(
    name: str, start: Start, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """A plugin that outlives its package says what it is that has gone, and not that a library is missing."""
    monkeypatch.setitem(sys.modules, f"audisp_pyaudit.{name}", None)
    exporter = start(listen="127.0.0.1:1")
    eventually(lambda: "restart auditd" in exporter.trouble)
    assert "prometheus-client" not in exporter.trouble


def test_a_bug_costs_the_metrics_only(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, eventually: Eventually
) -> None:
    """A status that cannot be rendered is told of; the end does not wait for it."""
    monkeypatch.setattr(module, "LAST_SECONDS", 60)
    exporter = start(textfile=str(tmp_path / "a.prom"))
    exporter.publish({}, last=False)
    eventually(lambda: "this is a bug" in exporter.trouble)
    exporter.publish({}, last=True)
