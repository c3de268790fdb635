"""The harness that starts real auditds (tests/auditd): what it must never do, and what it knows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd import inside
from tests.auditd.expectations import expected
from tests.auditd.kernel import number_of
from tests.auditd.packages import upstream


def test_nothing_is_started_beside_the_machines_own_auditd() -> None:
    """Whoever runs these tests keeps the machine's audit: outside of a pid namespace of its own nothing is started."""
    ours = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  # no path
    assert inside.why_not(ours, ours, 1)  # process 1 of a container
    assert inside.why_not("pid:[1]", "pid:[2]", 77)  # not the one that was made for it
    assert inside.why_not("", "pid:[2]", 1)
    assert inside.why_not("pid:[1]", "pid:[2]", 1) == ""
    for arguments in ([ours], []):
        done = subprocess.run(
            [sys.executable, "-I", inside.__file__, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "could take over the machine's audit" in done.stderr


@pytest.mark.parametrize(
    ("version", "blocked", "most_args", "raw_cut", "reload"),
    [
        ((3, 0, 9), True, 2, 0, "signal"),
        ((3, 1, 3), True, 0, 0, "signal"),
        ((4, 0), True, 2, 0, "signal"),
        ((4, 0, 2), True, 0, 0, "signal"),
        ((4, 0, 5), False, 0, 0, "signal"),
        ((4, 2), False, 0, 16, "new process"),
        ((4, 2, 2), False, 0, 0, "new process"),
        ((5, 0), False, 0, 0, "new process"),
    ],
)
def test_what_a_version_does(
    version: tuple[int, ...],
    blocked: bool,  # noqa: FBT001  # a column of the table
    most_args: int,
    raw_cut: int,
    reload: str,
) -> None:
    """An auditd that is newer than the tests is expected to do what the last one does."""
    found = expected(version)
    assert (found.restarted_blocked, found.most_args) == (blocked, most_args)
    assert (found.raw_cut, found.reload) == (raw_cut, reload)


def test_numbers_of_record_types() -> None:
    """Records are fed by our own tables, also those that no auditd has a name for."""
    assert (number_of("SYSCALL"), number_of("DAEMON_START"), number_of("UNKNOWN[1399]")) == (1300, 1200, 1399)
    with pytest.raises(KeyError):
        number_of("UNKNOWN[x]")


def test_the_version_of_a_package() -> None:
    """Debian's additions to a version say nothing about auditd."""
    assert [upstream(each) for each in ("1:3.0.9-1", "1:4.0.2-2+deb13u1\n", "4.2.1-1")] == ["3.0.9", "4.0.2", "4.2.1"]
