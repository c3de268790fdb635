"""The errors a user can meet."""

from audisp_pyaudit.errors import ConfigError, ConfigFileError, PyauditError, SinkError


def test_config_error_names_place() -> None:
    """A person finds the line: file, line and key stand before what is wrong."""
    assert str(ConfigError("a.toml", "limits.events", "expected a number", 4)) == (
        "a.toml:4: limits.events: expected a number"
    )
    assert str(ConfigError("a.toml", "", "cannot be read")) == "a.toml: cannot be read"


def test_config_file_error_lists_all() -> None:
    """Everything that is wrong is said at once, a line each."""
    error = ConfigFileError([ConfigError("a", "x", "1"), ConfigError("a", "y", "2")])
    assert str(error).splitlines() == ["a: x: 1", "a: y: 2"]
    assert isinstance(error, PyauditError)


def test_sink_error_says_when_to_try_again() -> None:
    """A sink that failed knows under which word its losses count and when to try again."""
    error = SinkError("/x: No space left on device", "ENOSPC", 5.0)
    assert (str(error), error.reason, error.retry_after) == ("/x: No space left on device", "ENOSPC", 5.0)
