"""What tests of the RPM share: the package of this tree, built once."""

import os
from pathlib import Path

import pytest

from tests.auditd import namespace
from tests.packaging import package, roots
from tests.packaging import rpm as rpm_package


@pytest.fixture(scope="session")
def rpm() -> Path:
    """The package of this tree. In CI all that is needed has to be there."""
    why = rpm_package.why_not() or roots.why_not() or namespace.why_not()
    if why:
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    return rpm_package.build(package.TREE / "build" / "rpm")
