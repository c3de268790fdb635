"""What all tests need."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `tests` is not installed

from audisp_pyaudit import privileges
from tests.corpus import CORPUS

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what looks through the corpus, where there is none, and say so."""
    left_out = [] if CORPUS.exists() else [item for item in items if item.get_closest_marker("corpus")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        said = f"{len(left_out)} tests of the corpus were left out: there is none at {CORPUS}"
        config.stash.setdefault(FIGURES, []).append(said)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    for line in terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
