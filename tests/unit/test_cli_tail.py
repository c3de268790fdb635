"""`tail`."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.cli.tail import _settings, tail
from audisp_pyaudit.consumer import stream as module
from audisp_pyaudit.packing import pack, unpack
from tests.kafka.mock import MockBroker

DOCUMENTS = [{"event": {"action": "x", "id": str(number)}, "text": "é"} for number in range(3)]


class Server:
    """Offers bytes on a Unix socket, in pieces."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "s")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(1)

    def run(self, pieces: list[bytes], *words: str) -> Result:
        """Run `tail` on it."""

        def serve() -> None:
            client, _ = self._socket.accept()
            with client:
                for piece in pieces:
                    try:
                        client.sendall(piece)
                    except BrokenPipeError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        result = CliRunner().invoke(tail, [self.path, *words])
        thread.join(10)
        assert not thread.is_alive()
        return result

    def close(self) -> None:
        """Give it back."""
        self._socket.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server in a folder of its own."""
    server = Server(tmp_path)
    yield server
    server.close()


def lines() -> bytes:
    """The documents as JSON lines."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in DOCUMENTS)


def prefixed() -> bytes:
    """The documents as msgpack with lengths."""
    return b"".join(struct.pack(">I", len(pack(each))) + pack(each) for each in DOCUMENTS)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("stream", [lines(), prefixed()])
def test_both_streams_in_any_pieces(server: Server, stream: bytes, size: int) -> None:
    """Whatever the sink offers is recognised, however it arrives, and the end is said."""
    result = server.run([stream[at : at + size] for at in range(0, len(stream), size)], "--format", "json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == DOCUMENTS
    assert result.exit_code == 0
    assert "the plugin has ended" in result.stderr


def test_count(server: Server) -> None:
    """Scripts can wait for so many events."""
    result = server.run([lines()], "--format", "json", "--count", "2")
    assert result.stdout.count("\n") == 2
    assert result.exit_code == 0
    assert result.stderr == ""


def test_formats(server: Server) -> None:
    """The reader chooses its format, whatever the stream's is."""
    assert server.run([prefixed()], "--format", "text").stdout.splitlines() == ["x"] * 3
    assert unpack(server.run([lines()], "--format", "msgpack", "--count", "1").stdout_bytes) == DOCUMENTS[0]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "neither JSON lines nor msgpack"),
        (b'{"a": 1', "ended inside a document"),
        (b"{x}\n\n\n", "Expecting property name"),
        (b"\0\0\0\1\x05", "a document is not a map"),
    ],
)
def test_other_streams(server: Server, stream: bytes, expected: str) -> None:
    """A socket that offers something else is an error in a sentence."""
    result = server.run([stream])
    assert result.exit_code == 1
    assert expected in result.stderr
    assert "Traceback" not in result.output


def test_a_document_without_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that never become a document cannot fill the memory."""
    monkeypatch.setattr(module, "MAX_DOCUMENT_BYTES", 1000)
    assert "no document ends" in server.run([b"{" * 5000]).stderr


def test_nobody_there(tmp_path: Path) -> None:
    """A socket that is not there, or that nobody serves, is named."""
    result = CliRunner().invoke(tail, [str(tmp_path / "none")])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}/none: No such file or directory\n"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    result = CliRunner().invoke(tail, [str(tmp_path / "stale")])
    assert "nobody listens there" in result.stderr


@pytest.mark.parametrize(
    ("target", "code", "told"),
    [("/dev/full", 1, "audisp-pyaudit: standard output: No space left on device\n"), ("closed", 0, "")],
)
def test_output_that_cannot_be_written(tmp_path: Path, target: str, code: int, told: str) -> None:
    """A full disk is said in a sentence; a reader that has had enough (`head`) is no error."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(1)
        if target == "closed":
            reader, out = os.pipe()
            os.close(reader)
        else:
            out = os.open(target, os.O_WRONLY)
        command = [sys.executable, "-m", "audisp_pyaudit", "tail", str(tmp_path / "s")]
        with subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True) as process:
            os.close(out)
            client, _ = listener.accept()
            with client:
                client.sendall(lines())
                _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (code, told)


@pytest.fixture(scope="module")
def broker() -> MockBroker:
    """A broker on loopback."""
    return MockBroker()


def put(broker: MockBroker, topic: str, *payloads: bytes) -> None:
    """Messages in the first partition, so that they have an order."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for payload in payloads:
        producer.produce(topic, payload, partition=0)
    assert producer.flush(20) == 0


def payloads() -> list[bytes]:
    """The documents as messages, in both formats."""
    return [json.dumps(DOCUMENTS[0]).encode(), pack(DOCUMENTS[1]), json.dumps(DOCUMENTS[2]).encode()]


@pytest.mark.parametrize("form", ["json", "msgpack", "text"])
def test_a_topic_from_its_beginning(broker: MockBroker, form: str) -> None:
    """What is on a topic is shown in the format that the reader wants, whatever it is written in."""
    broker.make_topic(f"beginning-{form}")
    put(broker, f"beginning-{form}", *payloads())
    url = f"kafka://{broker.bootstrap}/beginning-{form}"
    result = CliRunner().invoke(tail, [url, "--from-beginning", "--count", "3", "--format", form])
    assert (result.exit_code, result.stderr) == (0, "")
    expected = {
        "json": b"".join(
            json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for each in DOCUMENTS
        ),
        "msgpack": b"".join(pack(each) for each in DOCUMENTS),
        "text": b"x\n" * 3,
    }
    assert result.stdout_bytes == expected[form]


def test_a_topic_from_now_on(broker: MockBroker) -> None:
    """Without more words only new events are shown, and ^C ends that without one."""
    broker.make_topic("now")
    put(broker, "now", b'{"event":{"id":"old"}}')
    command = [sys.executable, "-m", "audisp_pyaudit", "tail", f"kafka://{broker.bootstrap}/now", "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        number = 0
        deadline = time.monotonic() + 30
        while not select.select([process.stdout], [], [], 0.1)[0]:  # it begins with what comes once it has connected
            assert time.monotonic() < deadline, "nothing was shown"
            put(broker, "now", b'{"event":{"id":"new-%d"}}' % number)
            number += 1
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert json.loads(first)["event"]["id"].startswith("new-")
    assert (process.returncode, error) == (130, "")


def test_a_message_that_is_no_document(broker: MockBroker) -> None:
    """A stranger's message on the topic is said with its place, events are shown, and a script learns of it."""
    broker.make_topic("odd")
    put(broker, "odd", b"hello", payloads()[0])
    url = f"kafka://{broker.bootstrap}/odd"
    result = CliRunner().invoke(tail, [url, "--from-beginning", "--count", "1", "--format", "text"])
    assert (result.exit_code, result.stdout) == (1, "x\n")
    assert result.stderr.startswith(f"audisp-pyaudit tail: {url}, partition 0, offset 0: it is no JSON or msgpack")


def test_a_broker_that_is_away() -> None:
    """Whoever waits for a broker is told that, and why, and is not sent away."""
    command = [sys.executable, "-m", "audisp_pyaudit", "tail", "kafka://127.0.0.1:1/audit"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=30)
    assert told.startswith("audisp-pyaudit tail: kafka://127.0.0.1:1/audit: all brokers are away; waiting (")
    assert "Connection refused" in told
    assert (process.returncode, out, error) == (130, "", "")


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["kafka://b"], 1, "kafka://b:9092/: expected the name of a topic"),
        (["kafka://b/t", "--set", "no.such=1"], 1, 'a setting cannot be: No such configuration property: "no.such"'),
        (["kafka://b/t", "--set", "geheim"], 1, "--set: expected NAME=VALUE"),
        (["kafka://b/t", "--settings", "/none"], 1, "/none: No such file or directory"),
        (["/none", "--set", "a=b"], 1, "/none: settings are librdkafka's"),
        (["/none", "--from-beginning"], 2, "--from-beginning is for kafka://"),
    ],
)
def test_words_that_make_no_sense(words: list[str], code: int, expected: str) -> None:
    """What was mistyped is said in a sentence, without what may be a password."""
    result = CliRunner().invoke(tail, words)
    assert result.exit_code == code
    assert expected in result.stderr
    assert "geheim" not in result.stderr


def test_settings_from_a_file(tmp_path: Path) -> None:
    """Passwords stay out of the command line; a line that is none is named, not shown."""
    file = tmp_path / "client.conf"
    file.write_text("# TLS\n\n security.protocol = SASL_SSL\nsasl.password=a=b \nclient.id=file\n")
    assert _settings(("client.id=said",), str(file)) == {
        "security.protocol": "SASL_SSL",
        "sasl.password": "a=b",
        "client.id": "said",
    }
    file.write_text("client.id=x\ngeheim\n")
    result = CliRunner().invoke(tail, ["kafka://b/t", "--settings", str(file)])
    assert result.stderr == f"Error: {file}:2: expected NAME=VALUE, such as security.protocol=SASL_SSL\n"
    file.write_bytes(b"\xff")
    assert "can't decode" in CliRunner().invoke(tail, ["kafka://b/t", "--settings", str(file)]).stderr


def test_a_file(tmp_path: Path) -> None:
    """A file of events can be looked at, too."""
    (tmp_path / "events").write_bytes(lines())
    result = CliRunner().invoke(tail, [str(tmp_path / "events"), "--format", "text"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "x\n" * 3, "")
