"""msgpack, as consumers read it."""

import pytest

from audisp_pyaudit.packing import ends, pack, unpack


def test_there_and_back() -> None:
    """What is packed is what was meant, with text as text."""
    document = {"a": [1, "é", None], "b": {"c": True}}
    assert unpack(pack(document)) == document
    assert pack({"a": "b"}) == b"\x81\xa1a\xa1b"


def test_not_one_value() -> None:
    """A stream that is out of step is an error, not a wrong document."""
    with pytest.raises(ValueError, match="extra"):
        unpack(b"\x01\x02")


def test_ends() -> None:
    """Values are told apart without being decoded."""
    assert list(ends(b"\x01\x81\xa1a\xa1b\xc0")) == [1, 6, 7]
