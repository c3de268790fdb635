"""Where a peer listens."""

import pytest

from audisp_pyaudit.address import address, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:///run/fluent.sock", "/run/fluent.sock"),
        ("collector.example:24224", ("collector.example", 24224)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("[fe80::1%eth0]:24224", ("fe80::1%eth0", 24224)),
    ],
)
def test_every_way_to_name_a_peer(text: str, expected: object) -> None:
    """A peer on this host or another one is named in one short text."""
    assert split(text) == expected
    assert address(text) == text


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            "collector",
            "collector:",
            ":24224",
            "collector:0",
            "collector:65536",
            "a b:1",
            "::1:24224",
            "[::1]",
            24224,
        ),
        *("tcp://collector:24224", "/run/fluent.sock", "unix://run/fluent.sock", "unix:///" + "x" * 107),
    ],
)
def test_what_is_no_address(wrong: object) -> None:
    """A mistake is told when the configuration is read, not when the first event is to go out."""
    with pytest.raises(ValueError, match="expected"):
        address(wrong)
