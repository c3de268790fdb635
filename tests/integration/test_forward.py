"""The whole process with a peer of the forward protocol behind it. Every test asserts that the ledger closes."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.fluent.server import Server, acks

VECTORS = Path(__file__).parents[1] / "vectors"

Start = Callable[..., Any]
Records = Callable[..., bytes]


@pytest.fixture(params=["unix", "tcp"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A peer."""
    made = Server(tmp_path / "peer.sock" if request.param == "unix" else None)
    yield made
    made.close()


def config(folder: Path, server: Server, *, mode: str = "lossless", acknowledge: bool = True) -> str:
    """A configuration with the peer alone. Lossy, there is time to deliver at the end."""
    return f"""
[queue]
mode = "{mode}"
path = "{folder}/spool"
[timing]
drain_ms = 20000
[sinks.peer]
type = "forward"
address = "{server.address}"
acknowledge = {str(acknowledge).lower()}
acknowledge_seconds = 5
"""


@pytest.mark.parametrize("acknowledge", [True, False])
@pytest.mark.parametrize("mode", ["lossless", "lossy"])
def test_a_real_log_reaches_the_peer(
    start: Start, server: Server, tmp_path: Path, mode: str, *, acknowledge: bool
) -> None:
    """What auditd wrote is at the peer, every event once; what is not yet there waits on disk, or is waited for."""
    plugin = start(config(tmp_path, server, mode=mode, acknowledge=acknowledge))
    plugin.stdin.sendall((VECTORS / "demo.log").read_bytes())
    server.until(lambda: len(server.documents) >= 50, "most has come")
    plugin.end()
    sink = plugin.sink("peer")
    ids = [each["event"]["id"] for each in server.documents]
    assert sink["lost"] == 0
    assert sink["offered"] == sink["delivered"] + sink["queued"] == 60
    assert sink["queued"] == 0 or mode == "lossless"
    assert len(set(ids)) == len(ids) >= sink["delivered"]


def test_a_peer_that_is_killed_and_comes_back(
    start: Start, server: Server, tmp_path: Path, make_records: Records
) -> None:
    """An outage in the middle costs nothing: every event, in order; what came twice has the same id; nothing waits."""
    plugin = start(config(tmp_path, server))
    for first in range(1, 2001, 100):
        if first == 501:
            server.until(lambda: len(server.serials) >= 100, "the first have come")
            server.behaviour.answer = lambda _ids: b""  # what comes now is read, and dies with the peer
        if first == 801:
            server.until(lambda: len(server.serials) > 500, "some have come that are not acknowledged")
            server.close()
            plugin.wait_for("sink cannot deliver")
        if first == 1501:
            server.behaviour.answer = lambda ids: acks(*ids)
            server.open()
        plugin.stdin.sendall(make_records(first, first + 99))
    plugin.until(lambda: len(set(server.serials)) == 2000, "all have come")
    plugin.wait_for("sink delivers again")
    plugin.end()
    sink = plugin.sink("peer")
    first_seen = list(dict.fromkeys(server.serials))
    assert first_seen == list(range(1, 2001))
    assert len(server.serials) > 2000, "what was not acknowledged came again"
    ids = {each["event"]["sequence"]: each["event"]["id"] for each in server.documents}
    assert all(ids[each["event"]["sequence"]] == each["event"]["id"] for each in server.documents)
    assert len(set(ids.values())) == 2000
    assert (sink["lost"], sink["offered"]) == (0, 2000)
    assert sink["delivered"] + sink["queued"] == 2000


def test_a_peer_that_comes_after_the_process_has_ended(
    start: Start, server: Server, tmp_path: Path, make_records: Records
) -> None:
    """The next start delivers what waited on disk, in order, before what is new."""
    server.close()
    plugin = start(config(tmp_path, server))
    plugin.stdin.sendall(make_records(1, 300))
    plugin.end()
    assert plugin.sink("peer")["queued"] == 300
    server.open()
    plugin = start(config(tmp_path, server))
    plugin.stdin.sendall(make_records(301, 400))
    plugin.until(lambda: len(server.serials) == 400, "all have come")
    plugin.end()
    sink = plugin.sink("peer")
    assert (sink["offered"], sink["lost"]) == (400, 0)
    assert server.serials == list(range(1, 401))
