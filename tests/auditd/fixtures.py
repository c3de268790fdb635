"""What tests with a real auditd share: that all is there, the library, and the plugin as it is installed."""

import os
from pathlib import Path

import pytest

from tests.auditd import namespace, packages, prefix
from tests.auditd.cell import Parts
from tests.auditd.kernel import build


def need(*, rootless: bool = False) -> None:
    """In CI, all has to be there."""
    why = packages.why_not() or namespace.why_not(rootless=rootless)
    if why:
        assert not os.environ.get("CI"), why
        pytest.skip(why)


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """The installed plugin, and what brings it records."""
    need()
    return Parts(build(tmp_path_factory.mktemp("auditd")), prefix.installed() / "bin" / "audisp-pyaudit")


def make_folder(tmp_path: Path) -> Path:
    """A folder for a cell, which whoever the plugin becomes may enter."""
    folder = tmp_path / "cell"
    folder.mkdir(mode=0o755)
    return folder
