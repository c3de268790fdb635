"""Events from a file."""

import json
from pathlib import Path

import pytest

from audisp_pyaudit.consumer.address import FileAddress
from audisp_pyaudit.consumer.base import EndOfEvents, Problem
from audisp_pyaudit.consumer.file import FileSource
from audisp_pyaudit.errors import ConsumerError
from audisp_pyaudit.packing import pack

DOCUMENTS = [{"a": number, "text": "x" * 1000} for number in range(1000)]


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_all_of_a_file(tmp_path: Path, form: str) -> None:
    """What the file sink or `decode` wrote is read to its end, in either format."""
    path = tmp_path / "events"
    path.write_bytes(
        b"".join(json.dumps(each).encode() + b"\n" if form == "json" else pack(each) for each in DOCUMENTS)
    )
    source = FileSource(FileAddress(str(path), "events"))
    assert [source.receive(0) for _ in DOCUMENTS] == DOCUMENTS
    for _ in range(2):
        with pytest.raises(EndOfEvents):
            source.receive(0)
    source.finish()
    source.commit()
    source.close()
    source.close()


def test_a_file_that_ends_within_a_document(tmp_path: Path) -> None:
    """The last document of a program that was killed is missed, not overlooked."""
    (tmp_path / "events").write_text('{"a":1}\n{"a":')
    source = FileSource(FileAddress(str(tmp_path / "events"), "events"))
    assert source.receive(0) == {"a": 1}
    last = source.receive(0)
    assert isinstance(last, Problem)
    assert str(last.error) == "events: the stream ended inside a document, which is lost"
    with pytest.raises(EndOfEvents):
        source.receive(0)
    source.close()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, or none, is named."""
    for path, expected in ((tmp_path / "none", "No such file"), (tmp_path, "directory"), (Path("a\0b"), "null byte")):
        with pytest.raises(ConsumerError, match=expected):
            FileSource(FileAddress(str(path), "file:///x"))
    (tmp_path / "log").write_bytes(b"type=SYSCALL msg=audit(1.000:1): \n")
    source = FileSource(FileAddress(str(tmp_path / "log"), "log"))
    with pytest.raises(ConsumerError, match="log: what comes is no stream of events"):
        source.receive(0)
    source.close()
