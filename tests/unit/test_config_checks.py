"""What the values of a configuration allow only together."""

import pytest

from audisp_pyaudit.config_file import parse
from audisp_pyaudit.errors import ConfigFileError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "[state]\npath='/x/s'\n[sinks.a]\ntype='file'\npath='/x//y/../s'",
            "a.toml:5: sinks.a.path: /x/s is used for the state already (state.path)",
        ),
        (
            "[sinks.a]\ntype='file'\npath='/x'\n[sinks.b]\ntype='unix'\npath='//./x'",
            'a.toml:4: sinks.b: sink "a" has /x already',
        ),
        ("[timing]\ngrace_ms = 9000", "timing.grace_ms: expected at most timing.event_timeout_ms (2000)"),
        ("[limits]\nline_bytes = 16777216\nevent_bytes = 16384", "limits.line_bytes: expected at most"),
        (
            "[sinks.a]\ntype='file'\npath='/x'\n[sinks.b]\ntype='file'\npath='/x'",
            'a.toml:4: sinks.b: sink "a" has /x already',
        ),
        ("[sinks.a]\ntype='stdout'\n[sinks.b]\ntype='stdout'", 'sink "a" has standard output already'),
    ],
)
def test_values_that_contradict_each_other(source: str, expected: str) -> None:
    """What is right by itself and wrong with the rest is told, at the line that has to change."""
    with pytest.raises(ConfigFileError) as caught:
        parse(source.encode(), "a.toml")
    assert expected in str(caught.value.errors[0])
