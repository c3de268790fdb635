"""The bytes of the forward protocol."""

import sys
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.packing import pack
from audisp_pyaudit.sinks.chunk import Answers, entry, message, new_id
from tests.fluent.server import acks, decoded

DOCUMENT = {"event": {"id": "é" * 200}, "a": [1, None]}


@pytest.mark.parametrize("count", [1, 20, 70_000])
def test_a_message_says_what_was_put_in(count: int) -> None:
    """A peer reads tag, times to the millisecond, and documents that are those of every other sink."""
    entries = [entry(1_795_224_000_123 + each, pack(DOCUMENT)) for each in range(count)]
    found = decoded(msgpack.unpackb(message("audit.web", entries, "an id")))
    assert found.tag == "audit.web"
    assert found.option == {"chunk": "an id", "size": count}
    assert found.entries[0] == ((1_795_224_000, 123_000_000), DOCUMENT)
    assert len(found.entries) == count


def test_no_answer_is_asked_for_where_none_is_wanted() -> None:
    """A peer that would answer does not fill a buffer that nobody reads."""
    assert decoded(msgpack.unpackb(message("t", [entry(0, pack({}))], None))).option == {"size": 1}


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [
        (0, (0, 0)),
        (-1, (0, 0)),
        (2**32 * 1000 - 1, (2**32 - 1, 999_000_000)),
        (2**32 * 1000, (2**32 - 1, 0)),
        (2**63 - 1, (2**32 - 1, 0)),
    ],
)
def test_times_that_do_not_fit(time_ms: int, expected: tuple[int, int]) -> None:
    """A record with a forged time does not stop the events behind it."""
    found = decoded(msgpack.unpackb(message("t", [entry(time_ms, pack({}))], None)))
    assert found.entries == [(expected, {})]


def test_ids_differ() -> None:
    """An acknowledgement can only mean one chunk."""
    assert len({new_id() for _ in range(1000)}) == 1000


def test_answers_in_pieces() -> None:
    """However the network cuts them, acknowledgements are read."""
    answers, found = Answers(), list[str]()
    for byte in acks("one", "two"):
        found += answers.feed(bytes([byte]))
    assert found == ["one", "two"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (msgpack.packb(["HELO", {"nonce": b"x"}]), "wants authentication"),
        (msgpack.packb({}), "refuses a chunk"),
        (msgpack.packb({"ack": 5}), "is no acknowledgement"),
        (b'{"ack": "x"}', "is no acknowledgement"),
        (b"HTTP/1.1 400 Bad Request\r\n", "is no acknowledgement"),
        (b"\xc1", "is no msgpack"),
        (b"\xda\xff\xff" + b"x" * 70_000, "is no msgpack"),
    ],
)
def test_what_is_no_acknowledgement(said: bytes, expected: str) -> None:
    """The log says that somebody else listens there, or wants what we do not speak."""
    with pytest.raises(ValueError, match=expected):
        list(Answers().feed(said))


def test_what_was_acknowledged_before_it_counts() -> None:
    """A peer that goes wrong does not get again what it acknowledged."""
    answers = Answers().feed(acks("one", "two") + msgpack.packb({}))
    assert [next(answers), next(answers)] == ["one", "two"]
    with pytest.raises(ValueError, match="refuses"):
        next(answers)
