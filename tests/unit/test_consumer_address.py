"""URLs of consumers."""

import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.consumer.address import FileAddress, KafkaAddress, UnixAddress, parse
from audisp_pyaudit.errors import ConsumerError


@pytest.mark.parametrize(
    ("url", "bootstrap", "group", "start"),
    [
        ("kafka://broker/audit", "broker:9092", "", ""),
        ("kafka://broker:9093/audit", "broker:9093", "", ""),
        ("KAFKA://a,b:1,c/audit", "a:9092,b:1,c:9092", "", ""),
        ("kafka://[::1]/audit", "[::1]:9092", "", ""),
        ("kafka://[::1]:19092,10.0.0.1/audit", "[::1]:19092,10.0.0.1:9092", "", ""),
        ("kafka://b/audit?group=siem%201&from=end", "b:9092", "siem 1", "end"),
        ("kafka://b/audit?from=beginning", "b:9092", "", "beginning"),
    ],
)
def test_a_topic(url: str, bootstrap: str, group: str, start: str) -> None:
    """Brokers may be written as short as people write them; the port that everybody means is known."""
    assert parse(url) == KafkaAddress(bootstrap, "audit", group, start)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "expected kafka://host[:port]/topic, unix:///path, subscriber:///path"),
        ("http://broker/audit", "expected kafka://"),
        ("kafka:/broker/audit", "expected kafka://"),
        ("kafka://broker", "the name of a topic"),
        ("kafka://broker/", "the name of a topic"),
        ("kafka://broker/a/b", "the name of a topic"),
        ("kafka://broker/au dit", "the name of a topic"),
        ("kafka:///audit", "expected host or host:port"),
        ("kafka://a,,b/audit", "expected host or host:port"),
        ("kafka://a:0/audit", "a port from 1 to 65535"),
        ("kafka://a:65536/audit", "a port from 1 to 65535"),
        ("kafka://a:/audit", "a port from 1 to 65535"),
        ("kafka://a:x/audit", "a port from 1 to 65535"),
        ("kafka://a:\N{SUPERSCRIPT TWO}/audit", "a port from 1 to 65535"),
        ("kafka://::1/audit", "stands in brackets"),
        ("kafka://[::1/audit", "in brackets"),
        ("kafka://[::x]/audit", "in brackets"),
        ("kafka://[::1]9092/audit", "in brackets"),
        ("kafka://b/audit?offset=5", "expected group or from"),
        ("kafka://b/audit?siem", "expected group"),
        ("kafka://b/audit?group=", "has no value"),
        ("kafka://b/audit?group=a&group=b", "there twice"),
        ("kafka://b/audit?from=5", 'expected beginning or end, found "5"'),
        ("unix://path", "three slashes"),
        ("file://host/path", "three slashes"),
    ],
)
def test_what_means_nothing(url: str, expected: str) -> None:
    """Whoever mistypes a URL reads what is wrong with it, and what was expected."""
    with pytest.raises(ConsumerError) as caught:
        parse(url)
    assert expected in str(caught.value)


@pytest.mark.parametrize("url", ["kafka://lab:geheim@b/audit", "kafka://lab:ge/heim@b/audit", "kafka://l:geheim?@b/t"])
def test_a_password_is_not_repeated(url: str) -> None:
    """A password that somebody put into the URL does not end up in a log, too."""
    with pytest.raises(ConsumerError) as caught:
        parse(url)
    assert "settings" in str(caught.value)
    assert "heim" not in str(caught.value)


def test_a_path_says_what_is_there(tmp_path: Path) -> None:
    """The path of a socket and that of a file can both be given as they are."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert isinstance(parse(str(tmp_path / "s")), UnixAddress)
    assert isinstance(parse(str(tmp_path / "none")), FileAddress)
    assert parse("unix:///run/a%20b") == UnixAddress("/run/a b", "unix:///run/a%20b")
    assert parse("file:///a/b") == FileAddress("/a/b", "file:///a/b")


@given(st.text(alphabet="kafkaunixfile:/?[]=&@,.%a1-é\0 ", max_size=40))
def test_any_text(text: str) -> None:
    """Whatever is given is an address or an error of ours, never a traceback."""
    with contextlib.suppress(ConsumerError):
        parse(text)
