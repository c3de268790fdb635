"""The endpoint: it answers who asks as Prometheus does, and nobody can keep it from that."""

import http.client
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import endpoint as module
from audisp_pyaudit.endpoint import MAX_REQUESTS, Endpoint
from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.status import Status
from tests.status import StandIn, example, parts_of

Eventually = Callable[..., None]
Serve = Callable[..., Endpoint]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts endpoints that serve a status, and ends them."""
    made: list[Endpoint] = []
    status = example(tmp_path, parts_of(StandIn()))

    def serve(listen: str, latest: Callable[[], Status | None] = lambda: status, **more: object) -> Endpoint:
        made.append(Endpoint(Metrics(listen=listen, **more), latest))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield serve
    for each in made:
        each.close()


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def get(place: Path | tuple[str, int], path: str = "/metrics", method: str = "GET") -> tuple[int, str, str]:
    """Ask: code, type and body."""
    connection = http.client.HTTPConnection("x", timeout=20)
    if isinstance(place, Path):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(place))
    else:
        connection.sock = socket.create_connection(place, 20)
    with connection.sock:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_over_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    """Whoever may open the socket gets the metrics; it has the mode that was asked for."""
    place = tmp_path / "m.sock"
    endpoint = serve(f"unix://{place}", listen_mode=0o640)
    code, kind, body = get(place)
    assert code == 200
    assert kind.startswith("text/plain; version=")
    assert "audisp_pyaudit_running 1.0" in body.splitlines()
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    endpoint.unlisten()
    assert not place.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_over_loopback(serve: Serve, host: str) -> None:
    """Over TCP of either version, on a port of this host alone."""
    port = free_port()
    try:
        serve(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except OSError:
        assert host == "::1", "there is no IPv6 here"
        pytest.skip("there is no IPv6 here")
    assert get((host, port))[0] == 200


def test_other_questions(serve: Serve, tmp_path: Path) -> None:
    """Another path says where the metrics are; another method is refused; before the first status it says so."""
    place = tmp_path / "m.sock"
    serve(f"unix://{place}")
    assert get(place, "/")[0::2] == (404, "Metrics are at /metrics.\n")
    assert get(place, "/metrics?name[]=x")[0] == 200
    assert get(place, "/metrics", "POST")[0] == 501
    other = tmp_path / "n.sock"
    serve(f"unix://{other}", lambda: None)
    assert get(other)[0] == 503


def test_a_slow_one_cannot_shut_others_out(serve: Serve, tmp_path: Path, eventually: Eventually) -> None:
    """Whoever connects and says nothing is hung up on when others come; they are answered."""
    place = tmp_path / "m.sock"
    serve(f"unix://{place}")
    slow = [socket.socket(socket.AF_UNIX) for _ in range(3 * MAX_REQUESTS)]
    for each in slow:
        each.settimeout(20)
        each.connect(str(place))
        each.send(b"GET /met")
    assert get(place)[0] == 200
    eventually(lambda: slow[0].recv(10) == b"")
    for each in slow:
        each.close()


def test_patience_ends(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says nothing is hung up on after a while, also when nobody else comes."""
    monkeypatch.setattr(module._Handler, "timeout", 0.1)
    place = tmp_path / "m.sock"
    serve(f"unix://{place}")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.settimeout(20)
        silent.connect(str(place))
        began = time.monotonic()
        assert silent.recv(10) == b""
        assert time.monotonic() - began < 20
    with socket.socket(socket.AF_UNIX) as gone:
        gone.connect(str(place))
        gone.send(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert get(place)[0] == 200


def test_a_port_that_is_taken() -> None:
    """It is an error, and the caller tries again later."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(OSError, match="in use"):
        Endpoint(Metrics(listen=f"127.0.0.1:{server.getsockname()[1]}"), lambda: None)


def test_a_file_in_the_place_of_the_socket(tmp_path: Path) -> None:
    """What is no socket is never replaced."""
    (tmp_path / "m.sock").write_text("precious")
    with pytest.raises(SinkError, match="is not a socket"):
        Endpoint(Metrics(listen=f"unix://{tmp_path}/m.sock"), lambda: None)
    assert (tmp_path / "m.sock").read_text() == "precious"
