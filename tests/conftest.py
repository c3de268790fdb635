"""What all tests need."""

import signal
from collections.abc import Iterator

import pytest

from audisp_pyaudit import privileges

FIGURES = pytest.StashKey[list[str]]()
# Whoever runs the tests in the background of a shell has them started with SIGINT ignored, and with them all commands
# that ^C is to end.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _not_here(*_arguments: object) -> None:
    raise OSError(1, "not in the process of the tests")


def _no_profile() -> None:
    raise FileNotFoundError(2, "not in the process of the tests")


@pytest.fixture(autouse=True, scope="session")
def _rights() -> Iterator[None]:
    """The tests' own process keeps its rights: there would be no way back. Those that need it start another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privileges, "no_new_privileges", _not_here)
        patch.setattr(privileges, "become", _not_here)
        patch.setattr(privileges, "change_profile", _no_profile)
        yield


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines to be shown at the end of the run."""
    return pytestconfig.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    for line in terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
