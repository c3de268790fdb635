"""Leaves out what takes minutes, unless PACKAGES is set, and shows figures at the end of a run."""

import os

import pytest

FIGURES = pytest.StashKey[list[str]]()
# They build packages and whole systems to install them on: `make test-packages` sets PACKAGES, `make test` does not.
collect_ignore_glob = [] if os.environ.get("PACKAGES") else ["test_deb_*.py", "test_rpm_*.py"]


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines to be shown at the end of the run."""
    return pytestconfig.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    for line in terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
