"""The store: the spool as it is used, with what can go wrong."""

import errno
import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit._engine import Frames
from audisp_pyaudit.delivery.accounts import Accounts
from audisp_pyaudit.delivery.cursor import Cursor, Position
from audisp_pyaudit.delivery.ring import Commit, Ring
from audisp_pyaudit.delivery.spool import Spool, SpoolSettings
from audisp_pyaudit.delivery.store import Store
from tests.frames import frames

MIB = 1024 * 1024


class FullDisk:
    """A disk that others have filled."""

    full = True

    def write(self, fd: int, data: memoryview) -> int:
        """Write, unless it is full."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Nothing to do."""


def store(folder: Path, ring: Ring, *, disk: FullDisk | None = None, retry: float = 0.0) -> Store:
    """A store for one sink."""

    def opened() -> Spool:
        return Spool(SpoolSettings(folder / "spool", 64 * MIB), {"sinks": ["kafka"]}, disk or os)

    return Store(opened, dict, ring, Accounts([Cursor("kafka", 0)]), threading.Condition(), retry)


def filled(first: int = 1, count: int = 5) -> Ring:
    """Memory with a commit."""
    ring = Ring(MIB)
    ring.append(Commit(first, first + count, Frames.joined([frames(range(first, first + count))], first)))
    return ring


def test_what_memory_has_gets_to_the_disk(tmp_path: Path) -> None:
    """A commit is safe from the end of the process as soon as it is written."""
    ring = filled()
    made = store(tmp_path, ring)
    assert ring.unstored_bytes
    made.write()
    assert (ring.unstored_bytes, made.committed, made.trouble) == (0, 6, "")
    made.close()


def test_a_full_disk_is_told_and_tried_again(tmp_path: Path) -> None:
    """An administrator reads what is wrong and where; when there is room again, nothing has to be restarted."""
    ring, disk = filled(), FullDisk()
    made = store(tmp_path, ring, disk=disk)
    made.write()
    assert str(tmp_path / "spool") in made.trouble
    assert "the disk is full" in made.trouble
    assert made.reason == "spool_full"
    disk.full = False
    made.write()
    assert (ring.unstored_bytes, made.trouble) == (0, "")
    made.close()


def test_a_disk_that_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """A broken disk does not cost a try per commit."""
    ring, disk = filled(), FullDisk()
    made = store(tmp_path, ring, disk=disk, retry=60.0)
    made.write()
    disk.full = False
    made.write()
    assert ring.unstored_bytes
    made.close()


def test_only_one_process_delivers_and_what_was_before_comes_first(tmp_path: Path) -> None:
    """At a restart, the new process leaves what the old one still does to the old one; also if there are three."""
    first, second, third = (store(tmp_path, filled()) for _ in range(3))
    assert [first.begin(), second.begin(), first.begin()] == [True, False, False]
    first.close()
    assert not third.begin()  # the second one is still writing, which comes first
    assert second.begin()  # and the third does not keep it from delivering
    second.close()
    assert third.begin()
    assert third.delivers
    third.close()


def test_space_is_given_back_when_everybody_has_it(tmp_path: Path) -> None:
    """A spool that is not needed any more takes up no room."""
    first = store(tmp_path, filled())
    first.write()
    first.close()
    ring = Ring(MIB)
    accounts = Accounts([Cursor("kafka", 0)])
    settings = SpoolSettings(tmp_path / "spool", 64 * MIB)
    second = Store(lambda: Spool(settings, {"sinks": ["kafka"]}), dict, ring, accounts, threading.Condition(), 0.0)
    assert second.begin()
    assert accounts.counts("kafka").offered == 5
    second.reclaim()
    assert (tmp_path / "spool" / "g0000000001").is_dir()
    accounts["kafka"].acknowledged = accounts["kafka"].read = Position(2, 0)
    second.reclaim()
    second.save()
    assert not (tmp_path / "spool" / "g0000000001").exists()
    assert (tmp_path / "spool" / "cursors" / "kafka.json").is_file()
    second.close()
