"""Documents that are cut to fit."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from audisp_pyaudit.sinks.trim import trimmed


def encode(document: dict[str, Any]) -> bytes:
    """As messages are written."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def document(arguments: int = 10, size: int = 10) -> dict[str, Any]:
    """An execution with so many arguments of so many characters."""
    args = ["/bin/sh", *("x" * size for _ in range(arguments))]
    return {
        "@timestamp": "2026-11-21T01:09:45.324Z",
        "event": {"id": "a:1.000:5", "sequence": 5, "original": ["type=EXECVE " + "a" * arguments * size]},
        "host": {"name": "lab"},
        "process": {
            "pid": 1,
            "name": "sh",
            "args": args,
            "args_count": len(args),
            "command_line": " ".join(args),
            "title": " ".join(args),
        },
        "auditd": {"record_types": ["execve"]},
    }


def test_what_is_said_elsewhere_goes_first() -> None:
    """The arguments stay whole where only their repetitions have to go."""
    whole = document(100, 100)
    found = json.loads(trimmed(document(100, 100), 15_000, encode) or b"")
    assert found["process"]["args"] == whole["process"]["args"]
    assert found["auditd"]["truncated"] == ["event.original", "process.command_line", "process.title"]
    assert "original" not in found["event"]


def test_the_ends_of_the_longest_go_then() -> None:
    """Of a megabyte of arguments the first ones are still there, each with its beginning, and how many there were."""
    found = json.loads(trimmed(document(5000, 1000), 20_000, encode) or b"")
    assert found["process"]["args"][0] == "/bin/sh"
    assert found["process"]["args_count"] == 5001
    assert "process.args" in found["auditd"]["truncated"]
    assert (found["event"]["id"], found["host"]["name"], found["process"]["pid"]) == ("a:1.000:5", "lab", 1)


def test_what_cannot_be_made_to_fit_is_told() -> None:
    """Nothing that is no document any more is sent."""
    assert trimmed(document(), 50, encode) is None


def test_bytes_are_left_out_whole() -> None:
    """A part of Base64 would be other bytes."""
    made = document()
    made["file"] = {"path": "a" * 9000, "path_bytes": "QUJD" * 3000}
    found = json.loads(trimmed(made, 5000, encode) or b"")
    assert "path_bytes" not in found["file"]
    assert "file.path_bytes" in found["auditd"]["truncated"]


def test_bytes_in_lists_are_left_out_whole_and_addresses_stay() -> None:
    """What is shortened is still what its name says."""
    made = document()
    made["process"]["args_bytes"] = ["QUJD" * 500, None]
    made["source"] = {"ip": "2001:0db8:85a3:0000:0000:8a2e:0370:7334"}
    made["file"] = {"path": "a" * 60_000}
    found = json.loads(trimmed(made, 1800, encode) or b"")
    assert "args_bytes" not in found["process"]
    assert found["source"]["ip"] == "2001:0db8:85a3:0000:0000:8a2e:0370:7334"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
    max_leaves=60,
)


_PARTS = st.dictionaries(
    st.sampled_from(["process", "file", "auditd", "user", "related"]),
    st.dictionaries(st.text(max_size=9), _VALUES, max_size=5),
)


@given(_PARTS, st.integers(1, 4000))
def test_it_fits_or_is_told(parts: dict[str, Any], limit: int) -> None:
    """Whatever an event holds, what is sent is a valid document that fits and says that it was cut."""
    made = {**parts, "event": {"id": "x"}}
    data = trimmed(made, limit, encode)
    if data is not None:
        assert len(data) <= limit
        found = json.loads(data)
        assert found["event"]["id"] == "x"
        assert isinstance(found["auditd"]["truncated"], list)
