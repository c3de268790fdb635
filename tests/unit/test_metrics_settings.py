"""What may be said of metrics in the configuration."""

import pytest

from audisp_pyaudit.config_file import parse
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.metrics_settings import Metrics


def metrics(text: str) -> Metrics:
    """[metrics] with some keys."""
    return parse(f"[metrics]\n{text}\n".encode(), "a.toml").metrics


def error(text: str) -> str:
    """What is wrong with it."""
    with pytest.raises(ConfigFileError) as caught:
        metrics(text)
    return str(caught.value)


def test_nothing_listens_unless_told_to() -> None:
    """By default there is a status file, and no port, no socket, no question to the kernel."""
    assert Metrics() == Metrics("/run/audisp-pyaudit/status.json", "", "", 0o660, "", kernel=False)


@pytest.mark.parametrize("place", ["unix:///run/a.sock", "127.0.0.1:9751", "127.1.2.3:1", "[::1]:9751", ""])
def test_places_of_this_host(place: str) -> None:
    """A Unix socket or any loopback address will do."""
    assert metrics(f'listen = "{place}"').listen == place


@pytest.mark.parametrize("place", ["0.0.0.0:9751", "192.0.2.1:9751", "[::]:9751", "[2001:db8::1]:9", "localhost:9751"])
def test_what_others_may_reach_is_refused(place: str) -> None:
    """How busy a host is is nobody's business but its own; a name may come to mean another address."""
    told = error(f'listen = "{place}"')
    assert told.startswith('a.toml:2: metrics.listen: expected "unix:///path", "127.0.0.1:port" or "[::1]:port"')
    assert "which other hosts may reach or which is a name" in told


@pytest.mark.parametrize("place", ['"9751"', "9751", '"127.0.0.1"', '"127.0.0.1:0"', '"[::1%lo]:x"', '"unix://a"'])
def test_what_is_no_place(place: str) -> None:
    """Anything else is an error with file, line and key."""
    assert error(f"listen = {place}").startswith("a.toml:2: metrics.listen: expected ")


def test_a_textfile_that_nobody_would_read() -> None:
    """node_exporter reads files that end in .prom, and no others: better to hear of it now."""
    assert metrics('textfile = "/a/b.prom"').textfile == "/a/b.prom"
    assert "expected a path that ends in .prom" in error('textfile = "/a/b.txt"')
    assert "expected an absolute path" in error('textfile = "b.prom"')


def test_one_path_one_purpose() -> None:
    """A status that would be written over a sink's file, the state or another of its kind is an error."""
    sink = '[sinks.a]\ntype = "file"\npath = "/a/out"\n'
    assert 'metrics.status: sink "a" has /a/out already' in error(f'status = "/a//out"\n{sink}')
    state = "/var/lib/audisp-pyaudit/engine.state"
    assert "the state (state.path) has" in error(f'status = "{state}.lock"')
    assert "metrics.status has /a/x.prom already" in error('status = "/a/x.prom"\ntextfile = "/a/x.prom"')
    assert "metrics.status has /a/s already" in error('status = "/a/s"\nlisten = "unix:///a/s"')
