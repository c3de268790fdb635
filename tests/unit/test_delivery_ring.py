"""Commits in memory: bounded, what is on disk goes first, what is to be kept longest goes last."""

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.ring import Commit, Ring
from tests.frames import frames, serials


def commit(numbers: Iterable[int], keep: Iterable[int] = (), *, stored: bool = False) -> Commit:
    """Events with these serials, whose sequences are the same numbers."""
    numbers = list(numbers)
    return Commit(numbers[0], numbers[-1] + 1, Frames.joined([frames(numbers, keep=keep)], numbers[0]), stored)


def test_a_sequence_is_found() -> None:
    """A sink goes on exactly where it was."""
    ring = Ring(1_000_000)
    for start in (1, 4, 10):
        ring.append(commit(range(start, start + 3)))
    firsts = [found and found.first for found in (ring.at(each) for each in (0, 1, 3, 4, 6, 7, 9, 12, 13))]
    assert firsts == [1, 1, 1, 4, 4, 10, 10, 10, None]


def test_what_the_disk_has_is_forgotten_first() -> None:
    """Memory stays small without costing an event."""
    ring = Ring(1)
    for start in (1, 4):
        ring.append(commit(range(start, start + 3), stored=True))
    ring.append(commit(range(7, 9)))
    assert ring.shrink() == []
    assert ring.at(0) == ring.at(7)
    assert len(ring) == 1


def test_the_oldest_go_first_and_log_ins_last() -> None:
    """When something has to go, who logged in is still told."""
    ring = Ring(10_000_000)
    for start in (1, 4, 7):
        ring.append(commit(range(start, start + 3), keep=[start + 1]))
    full = ring.size
    ring.limit = full - 1
    assert [serials(each) for each in ring.shrink()] == [[1, 3]]
    ring.limit = full * 6 // 10
    assert [serials(each) for each in ring.shrink()] == [[4, 6]]
    ring.limit = 1
    assert [serials(each) for each in ring.shrink(lambda each: each.first == 1)] == [[5]]
    assert [serials(each) for each in ring.shrink()] == [[2]]
    assert [found and serials(found.frames) for found in (ring.at(0),)] == [[7, 8, 9]]


def test_size_is_that_of_what_is_there() -> None:
    """The bound holds, whatever was taken out."""
    ring = Ring(10_000_000)
    for start in (1, 4, 7):
        ring.append(commit(range(start, start + 3), keep=[start]))
    ring.limit = ring.size // 2
    ring.shrink()
    found, sequence = 0, 0
    while (each := ring.at(sequence)) is not None:
        found, sequence = found + each.size, each.last
    assert ring.size == found <= ring.limit
    ring.forget_stored()
    assert ring.size == found == ring.unstored_bytes


def test_what_everybody_has_takes_up_no_memory() -> None:
    """A host whose events are delivered at once needs little memory; what the disk does not have yet stays."""
    ring = Ring(1 << 20)
    for start in (1, 4, 7, 10):
        ring.append(commit(range(start, start + 3)))
    for each in list(ring.unstored())[:3]:
        each.stored = True
    ring.forget_before(7)
    assert [each.first for each in [ring.at(0)] if each] == [7]
    ring.forget_before(100)
    assert [each.first for each in [ring.at(0)] if each] == [10]
    assert ring.size == ring.unstored_bytes
