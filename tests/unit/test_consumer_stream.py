"""Documents out of a stream of bytes."""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.consumer import stream as module
from audisp_pyaudit.consumer.base import Problem
from audisp_pyaudit.consumer.stream import Stream
from audisp_pyaudit.errors import ConsumerError
from audisp_pyaudit.framing import frame
from audisp_pyaudit.packing import pack

FRAMINGS = ("json-lines", "msgpack", "msgpack-prefixed")
TEXTS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=20), max_size=6)


def encoded(documents: Sequence[dict[str, Any]], framing: str) -> bytes:
    """A stream of documents."""
    payloads = [json.dumps(each).encode() if framing == "json-lines" else pack(each) for each in documents]
    return b"".join(frame(each, framing) for each in payloads)


def read(stream: Stream, blob: bytes, cuts: Sequence[int] = ()) -> tuple[list[Any], list[str]]:
    """Documents and problems of a stream that arrives in pieces."""
    ends = sorted({*(cut % (len(blob) + 1) for cut in cuts), len(blob)} - {0})
    found = [each for begin, end in zip([0, *ends], ends, strict=False) for each in stream.feed(blob[begin:end])]
    last = stream.end()
    problems = [each for each in [*found, last] if isinstance(each, Problem)]
    return [each for each in found if not isinstance(each, Problem)], [str(each.error) for each in problems]


@pytest.mark.parametrize("framing", FRAMINGS)
@given(documents=TEXTS, cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_any_documents_in_any_pieces(framing: str, documents: list[dict[str, str]], cuts: list[int]) -> None:
    """Whatever a sink writes in whatever form, and however it arrives, every document is read, in order."""
    assert read(Stream("s"), encoded(documents, framing), cuts) == (documents, [])


@pytest.mark.parametrize("framing", FRAMINGS)
@given(documents=TEXTS.filter(bool), cut=st.integers(1, 10_000), cuts=st.lists(st.integers(0, 2000), max_size=4))
def test_a_stream_that_is_cut_off(framing: str, documents: list[dict[str, str]], cut: int, cuts: list[int]) -> None:
    """A writer that was killed costs the document that it was writing, and that is said."""
    ends = [len(encoded(documents[:count], framing)) for count in range(len(documents) + 1)]
    blob = encoded(documents, framing)[: cut % ends[-1]]
    whole = max(count for count, end in enumerate(ends) if end <= len(blob))
    found, problems = read(Stream("s"), blob, cuts)
    assert found == documents[:whole]
    assert [("inside a document" in each) for each in problems] == ([] if len(blob) in ends else [True])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes(blob: bytes, cuts: list[int]) -> None:
    """Bytes that are no stream of events are an error of ours, in whatever pieces; nothing else is raised."""
    with contextlib.suppress(ConsumerError):
        read(Stream("s"), blob, cuts)


@pytest.mark.parametrize("framing", ["json-lines", "msgpack-prefixed"])
def test_a_document_that_is_none_costs_itself(framing: str) -> None:
    """Where the next document begins is known: damage is skipped, and named with its place."""
    good = [{"a": "1"}, {"b": "2"}]
    bad = frame(b"{x}" if framing == "json-lines" else b"\xc1", framing)
    blob = encoded(good[:1], framing) + bad + encoded(good[1:], framing)
    found, problems = read(Stream("s"), blob)
    assert found == good
    assert len(problems) == 1
    assert problems[0].startswith("s: document 2: ")


@pytest.mark.parametrize("damage", [b"\xc1", b"\x05"])
def test_msgpack_without_lengths_cannot_be_found_again(damage: bytes) -> None:
    """Rather than guess where the next document begins, reading ends with a sentence; what came before was given."""
    stream = Stream("s")
    found = stream.feed(encoded([{"a": "1"}], "msgpack") + damage + encoded([{"b": "2"}], "msgpack"))
    assert next(found) == {"a": "1"}
    with pytest.raises(ConsumerError, match="document 2 is none, and where the next one begins cannot be known"):
        next(found)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_document_without_end(framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that never become a document cannot fill the memory."""
    monkeypatch.setattr(module, "MAX_DOCUMENT_BYTES", 1000)
    endless = {"json-lines": b"{" * 5000, "msgpack": b"\x81\xa1a\xdb\x00\x00\xff\xff" + b"x" * 5000}
    stream = Stream("s")
    with pytest.raises(ConsumerError, match="no stream of events"):
        list(stream.feed(endless.get(framing, b"\x00\xff\xff\xff" + b"x" * 5000)))


def test_lines_without_anything_are_nothing() -> None:
    """An empty line between documents is no damage."""
    assert read(Stream("s"), b'{"a":1}\n\n{"b":2}\n') == ([{"a": 1}, {"b": 2}], [])
