"""Connections that we make."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audisp_pyaudit.sinks import connection
from audisp_pyaudit.sinks.connection import Connection

TIMEOUT = 20.0


@pytest.fixture(params=["unix", "tcp"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Somebody who listens, and where."""
    if request.param == "unix":
        found, place = socket.socket(socket.AF_UNIX), str(tmp_path / "s")
        found.bind(place)
        address = f"unix://{place}"
    else:
        found = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    found.settimeout(TIMEOUT)
    with found:
        found.listen(5)
        yield found, address


def established(address: str) -> Connection:
    """A connection that is there."""
    made, deadline = Connection(address), time.monotonic() + TIMEOUT
    while not made.connected(0.05):
        assert time.monotonic() < deadline
    return made


def test_bytes_go_both_ways(listener: tuple[socket.socket, str]) -> None:
    """What is sent arrives, what is answered is read; nothing to read is no error, the end is one."""
    made = established(listener[1])
    peer, _ = listener[0].accept()
    with peer, contextlib.closing(made):
        assert made.receive() == b""
        assert made.wait(0.0, write=True) == (False, True)
        assert made.send(memoryview(b"there")) == 5
        assert peer.recv(100) == b"there"
        peer.sendall(b"back")
        assert made.wait(TIMEOUT) == (True, False)
        assert made.receive() == b"back"
        peer.close()
        assert made.wait(TIMEOUT)[0]
        with pytest.raises(ConnectionAbortedError, match="closed the connection"):
            made.receive()


def test_a_peer_that_does_not_read_is_not_waited_for(listener: tuple[socket.socket, str]) -> None:
    """The socket takes what it has room for, then nothing, and the sink stays free to end."""
    made = established(listener[1])
    peer, _ = listener[0].accept()
    with peer, contextlib.closing(made):
        block, taken = memoryview(bytes(1 << 20)), 0
        while count := made.send(block):
            taken += count
            assert taken < 1 << 30
        start = time.monotonic()
        assert made.wait(0.01, write=True) == (False, False)
        assert time.monotonic() - start < 5


@pytest.mark.parametrize("address", ["unix:///nowhere/at-all", "127.0.0.1:1"])
def test_nobody_listens(address: str) -> None:
    """It is said why, at once."""
    with pytest.raises(OSError, match=r"No such file|Connection refused"):
        established(address)


def test_a_name_that_nobody_has() -> None:
    """A mistake in the host's name is told from a host that is down."""
    with pytest.raises(socket.gaierror):
        Connection("no.such.host.invalid:1")


@pytest.mark.parametrize("first", [(socket.AF_INET, ("127.0.0.1", 1)), (12345, ("of a kind", 1))])
def test_the_next_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch, first: tuple[int, object]) -> None:
    """A host with an address that cannot be reached (IPv6 without a route, often) is reached by another one."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        targets = [first, (socket.AF_INET, found.getsockname())]
        monkeypatch.setattr(connection, "_look_up", lambda _host, _port: list(targets))
        made = established("host.example:1")
        made.close()


def test_an_address_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that drops everything costs some seconds, and is told."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # with one connection waiting, further ones get no answer
        monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.2)
        made: list[Connection] = []
        with pytest.raises(TimeoutError, match="timed out"):
            made.extend(established(f"127.0.0.1:{full.getsockname()[1]}") for _ in range(10))
        for each in made:
            each.close()


def test_it_is_closed_once() -> None:
    """Closing what is closed is no error, using it is one."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        made = Connection(f"127.0.0.1:{found.getsockname()[1]}")
        made.close()
        made.close()
        with pytest.raises(ConnectionAbortedError, match="is not connected"):
            made.send(memoryview(b"x"))
