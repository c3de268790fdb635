"""What tests of the deb share: the package of this tree, built once, and clean systems beside it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.auditd import namespace
from tests.packaging import package, roots


@pytest.fixture(scope="session")
def deb() -> Path:
    """The package of this tree. Clean systems of all suites are made meanwhile. In CI all has to be there."""
    why = roots.why_not() or namespace.why_not()
    if why:
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(roots.clean, suite) for suite in roots.SUITES]
        built = package.build(package.TREE / "build" / "deb")
    assert all(each.result() for each in made)
    return built
