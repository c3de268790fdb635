"""Duplicates."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.consumer.seen import Seen


def test_a_duplicate_is_known_while_it_is_remembered() -> None:
    """What comes twice is dropped, what was forgotten comes again rather than being lost."""
    seen = Seen(2)
    assert [seen.again("h", each) for each in "aabaca"] == [False, True, False, True, False, True]
    assert not seen.again("h", "b"), "the least recently seen was forgotten"
    assert len(seen) == 2


def test_hosts_do_not_push_each_other_out() -> None:
    """A host that writes a lot does not make those of a quiet one be handed out twice."""
    seen = Seen(3)
    seen.again("quiet", "a")
    for number in range(100):
        seen.again("busy", str(number))
    assert seen.again("quiet", "a")


def test_all_hosts_together_are_bounded() -> None:
    """Ten thousand hosts cannot fill the memory; those that were silent longest are forgotten first."""
    seen = Seen(10, total=5)
    for number in range(1000):
        seen.again(f"host-{number}", "a")
    assert len(seen) == 5
    assert seen.again("host-999", "a")
    assert not seen.again("host-0", "a")


@given(st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 9)), max_size=80), st.integers(1, 6))
def test_as_a_plain_model(events: list[tuple[str, int]], limit: int) -> None:
    """An event is dropped exactly if it was among the last different ones of its host."""
    seen = Seen(limit)
    model: dict[str, OrderedDict[str, None]] = {"x": OrderedDict(), "y": OrderedDict()}
    for host, number in events:
        ids = model[host]
        before = str(number) in ids
        ids.pop(str(number), None)
        ids[str(number)] = None
        if len(ids) > limit:
            ids.popitem(last=False)
        assert seen.again(host, str(number)) == before
        assert len(seen) == sum(map(len, model.values()))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=200))
def test_never_more_than_was_allowed(events: list[tuple[int, int]]) -> None:
    """Memory is bounded whatever comes, and what was just seen is known."""
    seen = Seen(3, total=7)
    for host, number in events:
        seen.again(str(host), str(number))
        assert len(seen) <= 7
        assert seen.again(str(host), str(number))
