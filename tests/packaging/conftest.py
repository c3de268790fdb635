"""Leaves out what takes minutes, unless PACKAGES is set, and shows figures at the end of a run."""

import os

import pytest

FIGURES = pytest.StashKey[list[str]]()
# They build packages and whole systems to install them on, or need wheels for other machines: `make test-packages` sets
# PACKAGES, `make test-wheel` sets WHEELS, `make test-selinux` sets SELINUX, `make test` none of them.
_LEFT_OUT = {
    "PACKAGES": ["test_deb_*.py", "test_rpm_*.py"],
    "WHEELS": ["test_wheel_*.py"],
    "SELINUX": ["test_selinux_*.py"],
}
collect_ignore_glob = [glob for name, globs in _LEFT_OUT.items() if not os.environ.get(name) for glob in globs]


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines to be shown at the end of the run."""
    return pytestconfig.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    for line in terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
