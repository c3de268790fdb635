"""What holds for every input: chunks, order, damage, limits, encodings."""

from __future__ import annotations

import base64
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import packing
from audisp_pyaudit._engine import Engine
from tests.property import strategies
from tests.vectors import golden
from tests.vectors.schema import Checker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audisp_pyaudit._engine import Frames

SCHEMA = Checker()
# A byte at a time is slow, and the shorter vectors hold everything.
SHORT = [name for name in golden.names() if len(golden.load(name).log) <= 4000]
LIMITS = st.fixed_dictionaries(
    {
        "line_bytes": st.integers(1, 600),
        "events": st.integers(1, 5),
        "event_records": st.integers(1, 5),
        "event_bytes": st.integers(1, 2000),
        "held_bytes": st.integers(1, 3000),
    },
)
# What a saved state needs besides the lines: a head, and a length for each line.
STATE_HEAD = 200
STATE_LINE = 4

Document = dict[str, Any]


def joined(lines: Sequence[bytes]) -> bytes:
    """Lines as a stream."""
    return b"".join(line + b"\n" for line in lines)


def by_id(documents: Sequence[Document]) -> dict[str, Document]:
    """Documents by their identity, of which no two may share one."""
    found = {document["event"]["id"]: document for document in documents}
    assert len(found) == len(documents)
    return found


def check_frames(frames: Frames) -> list[Document]:
    """Both encodings of every frame say the same, and what the schema allows; the documents."""
    documents: list[Document] = []
    for index in range(len(frames)):
        frame = frames[index]
        assert frame.json is not None
        assert frame.msgpack is not None
        document = json.loads(frame.json)
        assert document == packing.unpack(frame.msgpack)
        assert b"\n" not in frame.json
        assert document["event"]["id"] == frame.id
        documents.append(document)
    assert SCHEMA.errors(documents) == []
    return documents


@given(data=st.data())
def test_any_chunking_gives_the_same_documents(data: st.DataObject) -> None:
    """However the kernel cuts the stream into reads, the same events come out, byte for byte, gaps and all."""
    chosen = data.draw(st.lists(st.sampled_from(golden.names()), min_size=1, max_size=3))
    content = b"".join(golden.load(name).log for name in chosen)
    whole = golden.run([content])
    pieces = golden.run(data.draw(strategies.chunked(content)))
    assert pieces.json == whole.json
    assert pieces.msgpack == whole.msgpack
    assert pieces.stats == whole.stats


@pytest.mark.parametrize("name", SHORT)
def test_bytes_one_by_one_give_the_same_documents(name: str) -> None:
    """Not even a reader that gets a byte at a time sees anything else."""
    content = golden.load(name).log
    pieces = golden.run(content[at : at + 1] for at in range(len(content)))
    assert pieces.json == golden.run([content]).json


@given(content=strategies.damaged_streams(), data=st.data())
def test_damaged_input_is_chunked_alike(content: bytes, data: st.DataObject) -> None:
    """That holds for any bytes."""
    limits: dict[str, object] = {"limits": data.draw(LIMITS)}
    whole = golden.run([content], limits)
    pieces = golden.run(data.draw(strategies.chunked(content)), limits)
    assert pieces.json == whole.json
    assert pieces.stats == whole.stats


@given(merge=strategies.merges())
def test_interleaving_changes_nothing_but_the_order(merge: tuple[list[bytes], list[bytes]]) -> None:
    """Two processors that write at the same time make the same events as one after the other."""
    in_a_row, mixed = (golden.run([joined(lines)]) for lines in merge)
    assert by_id(mixed.documents) == by_id(in_a_row.documents)
    assert all(document["event"]["kind"] == "event" for document in mixed.documents)
    assert mixed.stats == in_a_row.stats


def sorted_lists(value: object) -> object:
    """A document with its lists in an order of their own, arguments excepted."""
    match value:
        case dict():
            return {key: item if key.startswith("args") else sorted_lists(item) for key, item in value.items()}
        case list():
            return sorted((sorted_lists(item) for item in value), key=repr)
        case _:
            return value


def is_unordered(event: tuple[bytes, ...]) -> bool:
    """Whether the order of an event's records says nothing: those of one type are numbered, or there is one of each."""
    types = Counter(strategies.type_of(line) for line in event)
    return all(times == 1 or kind in {b"PATH", b"EXECVE"} for kind, times in types.items())


@given(
    event=st.sampled_from([event for event in strategies.whole_events() if is_unordered(event)]),
    data=st.data(),
)
def test_records_of_an_event_come_in_any_order(event: tuple[bytes, ...], data: st.DataObject) -> None:
    """A log that was sorted, or read backwards, has the same facts in it."""
    ends = [line for line in event if strategies.type_of(line) == b"EOE"]
    lines = data.draw(st.permutations([line for line in event if line not in ends]))
    (document,) = golden.run([joined(event)]).documents
    (mixed,) = golden.run([joined([*lines, *ends])]).documents
    assert sorted_lists(mixed) == sorted_lists(document)


@given(
    operations=st.lists(
        st.one_of(strategies.damaged_streams(), st.integers(0, 3000), st.sampled_from(["answer", "no answer"])),
        max_size=6,
    ),
    limits=LIMITS,
    ask=st.booleans(),
    raw=st.sampled_from(["never", "unparsed", "always"]),
)
def test_arbitrary_bytes_break_nothing(
    operations: list[bytes | int | str],
    limits: dict[str, int],
    ask: bool,  # noqa: FBT001  # drawn
    raw: str,
) -> None:
    """No bytes that a user of the machine can write stop the audit trail, grow memory, or make a record vanish."""
    changed = {"limits": limits, "names": "ask" if ask else "off", "include_raw": raw}
    engine = Engine(golden.OPTIONS | changed)
    documents: list[Document] = []
    now = 0
    for operation in operations:
        match operation:
            case bytes():
                documents += check_frames(engine.feed(operation))
            case int():
                now += operation
                documents += check_frames(engine.tick(now))
            case str():
                for kind, key in engine.wants():
                    engine.tell(kind, key, f"name-{key}" if operation == "answer" else None)
        check_bounds(engine, limits)
    documents += check_frames(engine.close())
    stats = engine.stats()
    assert golden.Run(documents, b"", b"", stats).balanced
    assert stats["records_held"] == stats["events_held"] == 0
    assert stats["events_published"] == len(by_id(documents))


def check_bounds(engine: Engine, limits: dict[str, int]) -> None:
    """Nothing is held past the limits, and every record is accounted for at any time."""
    stats = engine.stats()
    assert golden.Run([], b"", b"", stats).balanced
    # As many may wait for records, and as many for names.
    assert stats["events_held"] <= 2 * limits["events"]
    assert stats["records_held"] <= 2 * limits["events"] * limits["event_records"]
    # A line is held even if it is longer than all that may be held: it has to be published.
    lines = 2 * max(limits["held_bytes"], limits["line_bytes"])
    nodes = 1000  # names that the strategies write
    assert len(engine.state()) <= STATE_HEAD + lines + STATE_LINE * stats["records_held"] + nodes


def without_part(document: Document) -> Document:
    """A document as if it were the first of its event."""
    event = document["event"] | {"id": document["event"]["id"].partition("/")[0]}
    auditd = {key: value for key, value in document["auditd"].items() if key != "part"}
    return document | {"event": event, "auditd": auditd}


@given(drawn=strategies.events(), data=st.data())
def test_a_restart_loses_no_event(drawn: list[tuple[bytes, ...]], data: st.DataObject) -> None:
    """The plugin may be restarted between any two records: the next process goes on where this one was.

    What was held comes as another part of its event, since nobody knows whether it was published after the state was
    saved; so no identity is given twice.
    """
    lines = [line for event in drawn for line in event]
    stop = data.draw(st.integers(0, len(lines)))
    before = Engine(golden.OPTIONS)
    documents = check_frames(before.feed(joined(lines[:stop])))
    held = before.stats()["events_held"]
    after = Engine(golden.OPTIONS, before.state())
    documents += check_frames(after.feed(joined(lines[stop:])))
    documents += check_frames(after.close())
    assert golden.Run([], b"", b"", after.stats()).balanced
    assert len(by_id(documents)) == len(documents)
    assert sum(document["auditd"].get("part", 1) == 2 for document in documents) == held
    found = by_id([without_part(document) for document in documents])
    assert found == by_id(golden.run([joined(lines)]).documents)


@given(content=strategies.damaged_streams())
def test_exact_bytes_are_never_lost(content: bytes) -> None:
    """Text that is no UTF-8 is shown with marks in it, and its bytes are beside it."""
    for document in golden.run([content], {"include_raw": "always"}).documents:
        event = document["event"]
        for index, line in enumerate(event.get("original", [])):
            beside = event.get("original_bytes", [None] * len(event["original"]))[index]
            exact = line.encode() if beside is None else base64.b64decode(beside)
            assert exact.decode("utf-8", "replace").count("�") == line.count("�")
            assert exact in content
