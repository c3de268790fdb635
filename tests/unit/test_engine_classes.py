"""Which events outlive others when something has to be dropped."""

from collections.abc import Mapping

import pytest

from audisp_pyaudit._engine import Engine

_LOGIN = b'type=USER_LOGIN msg=audit(1.000:5): pid=1 uid=0 auid=0 ses=1 msg=\'acct="x" exe="/a" res=success\'\n'
_UPDATE = b'type=SOFTWARE_UPDATE msg=audit(1.000:6): pid=1 uid=0 auid=0 ses=1 msg=\'sw="x" exe="/b" res=success\'\n'
_LATER = b'type=SOFTWARE_UPDATE msg=audit(1.000:9): pid=1 uid=0 auid=0 ses=1 msg=\'sw="x" exe="/b" res=success\'\n'


def classes(lines: bytes, *rules: Mapping[str, object]) -> list[str]:
    """The classes of what is published, in order."""
    options: dict[str, object] = {
        "host": {"name": "lab", "id": "1" * 32, "nodes": []},
        "encodings": ["json"],
        "sinks": ["kafka"],
        "rules": list(rules),
    }
    engine = Engine(options)
    batches = (engine.feed(lines), engine.close())
    return [frames[index].klass for frames in batches for index in range(len(frames))]


def test_log_ins_outlive_the_rest() -> None:
    """Without a word in the configuration, who logged in is known for longest."""
    assert classes(_LOGIN + _UPDATE) == ["keep", "normal"]


@pytest.mark.parametrize(("said", "expected"), [("keep", ["normal", "keep"]), ("normal", ["normal", "normal"])])
def test_rules_may_say_otherwise(said: str, expected: list[str]) -> None:
    """Every site knows best which of its events it cannot do without."""
    login = {"name": "a", "match": {"exe": ["/a"]}, "class": "normal"}
    update = {"name": "b", "match": {"record_type": ["SOFTWARE_UPDATE"]}, "class": said}
    assert classes(_LOGIN + _UPDATE, login, update) == expected


def test_what_tells_of_a_loss_outlives_the_rest() -> None:
    """That something is missing is known also where the rest had to go."""
    assert classes(_UPDATE + _LATER) == ["normal", "normal", "keep"]


def test_a_class_that_there_is_not_is_refused() -> None:
    """A slip is told, not ignored."""
    with pytest.raises(ValueError, match='there is no class "longest"'):
        classes(b"", {"name": "a", "match": {"exe": ["/a"]}, "class": "longest"})
