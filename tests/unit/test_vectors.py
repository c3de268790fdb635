"""The vectors: every one gives its golden, and says where it is from and what in it was checked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.corpus import CORPUS
from tests.differential.places import record_types
from tests.vectors import golden, update
from tests.vectors.schema import Checker

NAMES = golden.names()
MAX_BYTES = 3_000_000
MIN_VECTORS = 40
# Ours: what we captured, `quirks.log`, which we wrote, and the lines that a vector's file itself is the source of.
WRITTEN = "none: written by hand"
# Every type of these families, and these types, has to be in a golden.
FAMILIES = ("USER", "CRED_", "SERVICE_", "DAEMON_", "ANOM_")
TYPES = frozenset(
    {"SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE", "SOCKADDR", "LOGIN", "CONFIG_CHANGE", "AVC", "SECCOMP", "TTY"}
)


def numbers_of(ranges: str) -> list[int]:
    """Line numbers of `1-4,9`."""
    numbers: list[int] = []
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_gives_its_golden(name: str) -> None:
    """Real records are decoded today as they were when somebody checked them; nothing of them is lost."""
    vector = golden.load(name)
    run = golden.run([vector.log], vector.options)
    difference = list(update.changes(vector, run.documents))
    assert not difference, "\n".join([*difference, f"if this is right: python tests/vectors/update.py --write {name}"])
    assert run.balanced, run.stats
    assert run.stats["records_held"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_says_where_it_is_from_and_what_was_checked(name: str) -> None:
    """Whoever doubts a golden can go back to the records, and sees which facts another tool confirmed."""
    vector = golden.load(name)
    required = {"capture", "lines", "kernel", "auditd", "what"}
    assert required <= set(vector.provenance) <= required | {"changed"}
    assert all(text.strip() for text in vector.provenance.values())
    assert vector.provenance["what"].endswith((".", "?"))
    assert vector.checked
    assert all(len(fact.split()) > 1 for fact in vector.checked)


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_is_our_own(name: str) -> None:
    """The project may give its vectors away: none is taken from another project's tests."""
    vector = golden.load(name)
    capture = vector.provenance["capture"]
    assert capture in {WRITTEN, "quirks.log"} or capture.endswith((".stdin", ".log"))
    assert "/" not in capture.removeprefix(WRITTEN)
    if "changed" not in vector.provenance:
        assert len(vector.log.split(b"\n")[:-1]) == len(numbers_of(vector.provenance["lines"]))


@pytest.mark.corpus
def test_vectors_are_what_was_captured() -> None:
    """A vector is evidence: what a real kernel and auditd wrote, byte for byte, unless it says what was changed."""
    for name in NAMES:
        vector = golden.load(name)
        capture = vector.provenance["capture"]
        if capture == WRITTEN or "changed" in vector.provenance:
            continue
        source = CORPUS / capture if capture == "quirks.log" else CORPUS / "captures" / capture
        content = source.read_bytes().split(b"\n")
        numbers = numbers_of(vector.provenance["lines"])
        assert vector.log.split(b"\n")[:-1] == [content[number - 1] for number in numbers], name


def test_every_record_type_is_there() -> None:
    """No kind of record that the documentation calls decoded goes untested."""
    seen = {
        kind
        for name in NAMES
        for document in golden.load(name).documents
        for kind in document["auditd"]["record_types"]
    }
    wanted = TYPES | {kind for kind in record_types().values() if kind.startswith(FAMILIES)}
    assert {kind for kind in wanted if kind.lower() not in seen} == set()


def test_there_are_enough_and_they_are_small() -> None:
    """The vectors stay something that a person can look through and a clone can carry."""
    assert len(NAMES) >= MIN_VECTORS
    assert {path.stem for path in golden.HERE.glob("*.json")} == set(NAMES)
    assert sum(path.stat().st_size for path in golden.HERE.iterdir() if path.is_file()) < MAX_BYTES


def test_every_document_is_valid() -> None:
    """The schema in docs/ can be relied on: mappings and code made from it fit every document."""
    checker = Checker()
    assert [error for name in NAMES for error in checker.errors(golden.load(name).documents)] == []


def test_the_schema_check_sees_what_is_wrong() -> None:
    """A document that breaks the schema does not pass because another one was good."""
    document = golden.load("exec-plain").documents[0]
    checker = Checker()
    assert checker.errors([document]) == []
    assert checker.errors([document | {"process": {"pid": "448"}}]) != []
    assert checker.errors([document | {"@timestamp": "yesterday"}]) != []
    assert checker.errors([document | {"surprise": 1}]) != []


def test_update_shows_and_never_touches_what_was_checked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A golden changes only by hand, and what people checked in it is theirs."""
    vector = golden.load("exec-plain")
    (tmp_path / "x.log").write_bytes(vector.log)
    monkeypatch.setattr(golden, "HERE", tmp_path)
    golden.save(golden.Golden("x", {"what": "w"}, ["the fact"], []))
    before = (tmp_path / "x.json").read_bytes()
    assert update.main(["x"]) == 1
    assert (tmp_path / "x.json").read_bytes() == before
    assert '+   "sequence": 49,' in capsys.readouterr().out
    assert update.main(["--write", "x"]) == 0
    after = golden.load("x")
    assert (after.provenance, after.checked) == ({"what": "w"}, ["the fact"])
    assert after.documents == vector.documents
    assert update.main([]) == 0
