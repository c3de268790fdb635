"""`tail`."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from audisp_pyaudit.consumer import stream as module
from audisp_pyaudit.cli.tail import tail
from audisp_pyaudit.packing import pack, unpack

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
