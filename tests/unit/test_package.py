"""The package's own face."""

import subprocess
import sys

import pytest

import audisp_pyaudit


def test_version_is_that_of_the_distribution() -> None:
    """`--version` and bug reports name the version that is installed."""
    assert audisp_pyaudit.__version__[0].isdigit()


def test_no_other_names() -> None:
    """A slip in a name is an error, not an empty string."""
    with pytest.raises(AttributeError):
        _ = audisp_pyaudit.nothing


def test_reading_begins_before_third_party_code_is_loaded() -> None:
    """Records are read at once at start: what intake needs imports the standard library only."""
    code = (
        "import sys, audisp_pyaudit.plugin, audisp_pyaudit.__main__\n"
        "bad = {'click', 'structlog', 'msgpack', 'tomllib', 'prometheus_client'}\n"
        "bad |= {'audisp_pyaudit._engine', 'audisp_pyaudit.config'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
