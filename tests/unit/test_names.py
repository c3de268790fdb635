"""Names from NSS, which may hang."""

import os
import pwd
import threading
from collections.abc import Callable

import pytest

from audisp_pyaudit import names
from audisp_pyaudit.names import MAX_THREADS, NameLookup, look_up

Eventually = Callable[..., None]


def gather(lookup: NameLookup, answers: list[names.Answer]) -> list[names.Answer]:
    """Add the answers that came to the list."""
    answers += lookup.answers()
    return answers


def test_names_of_this_host() -> None:
    """Users and groups get the names the host knows them by."""
    assert look_up("uid", str(os.getuid())) == pwd.getpwuid(os.getuid()).pw_name
    assert look_up("gid", "0") == "root"


@pytest.mark.parametrize("key", ["4294967294", "4294967295", "99999999999999999999", "-1", "x", ""])
def test_ids_without_a_name(key: str) -> None:
    """An id that nobody has, or that is none, is no error."""
    assert look_up("uid", key) is None


def test_a_broken_nss_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that fails is told from a user that is not there."""

    def fail(_number: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pwd, "getpwuid", fail)
    with pytest.raises(OSError, match="Input/output error"):
        look_up("uid", "1000")


def test_answers_come_and_are_announced(eventually: Eventually) -> None:
    """The pipeline is told at once when a name is there."""
    called = threading.Event()
    lookup = NameLookup(called.set, lambda kind, key: f"{kind}-{key}")
    lookup.ask("uid", "5")
    assert lookup.outstanding == 1
    eventually(called.is_set, "announcement")
    assert lookup.answers() == [("uid", "5", "uid-5")]
    assert lookup.outstanding == 0
    lookup.close()


def test_an_error_of_the_lookup_is_no_answer(eventually: Eventually, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that fails for a while does not make users nameless: they are asked for again."""
    monkeypatch.setattr(names, "RETRY_SECONDS", 0.02)
    broken = [True]

    def fail(_kind: str, _key: str) -> str:
        if broken[0]:
            raise RuntimeError("broken module")
        return "lab"

    called = threading.Event()
    lookup = NameLookup(called.set, fail)
    lookup.ask("uid", "5")
    eventually(called.is_set, "announcement")
    assert lookup.answers() == []
    broken[0] = False
    answers: list[names.Answer] = []
    eventually(lambda: gather(lookup, answers), "asked again")
    assert answers == [("uid", "5", "lab")]
    assert lookup.outstanding == 0
    lookup.close()


def test_a_hanging_lookup_hangs_nothing_else(eventually: Eventually) -> None:
    """One directory server that does not answer costs its own names; others are still looked up."""
    release = threading.Event()

    def maybe_hang(_kind: str, key: str) -> str:
        if key == "666":
            release.wait(30)
        return key

    lookup = NameLookup(lambda: None, maybe_hang, hang_seconds=0.02)
    lookup.ask("uid", "666")
    lookup.ask("uid", "1")
    answers: list[names.Answer] = []
    eventually(lambda: gather(lookup, answers), "the other name")
    assert answers == [("uid", "1", "1")]
    assert lookup.hung == 1
    release.set()
    eventually(lambda: len(gather(lookup, answers)) == 2, "the late name")
    assert lookup.outstanding == 0
    eventually(lambda: len(lookup._workers) == 1, "the replaced thread ended")
    lookup.close()
    eventually(lambda: not lookup._workers, "all threads ended")


def test_threads_are_bounded(eventually: Eventually, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a dead name service, threads do not pile up; what cannot be asked now gets its name when it lives again."""
    monkeypatch.setattr(names, "RETRY_SECONDS", 0.02)
    release = threading.Event()

    def hang(_kind: str, _key: str) -> str:
        release.wait(30)
        return "late"

    lookup = NameLookup(lambda: None, hang, hang_seconds=0.01)
    for number in range(MAX_THREADS):
        lookup.ask("uid", str(number))
        eventually(lambda wanted=number: lookup.answers() or lookup.hung > wanted, "hanging")
    lookup.ask("uid", "77")
    assert lookup.answers() == []
    assert len(lookup._workers) == MAX_THREADS
    assert lookup.refused == 1
    release.set()
    answers: list[names.Answer] = []
    eventually(lambda: ("uid", "77", "late") in gather(lookup, answers), "late answers")
    assert lookup.outstanding == 0
    lookup.close()


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up ids cannot fill the memory."""
    monkeypatch.setattr(names, "MAX_WAITING", 3)
    monkeypatch.setattr(names, "RETRY_SECONDS", 60)
    release = threading.Event()
    lookup = NameLookup(lambda: None, lambda _kind, _key: str(release.wait(30)))
    for number in range(10):
        lookup.ask("uid", str(number))
    assert lookup.refused >= 6
    assert list(lookup._later) == [("uid", "7"), ("uid", "8"), ("uid", "9")]
    release.set()
    lookup.close()


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of threads, events go without names."""

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    lookup = NameLookup(lambda: None)
    lookup.ask("uid", "0")
    assert lookup.answers() == []
    assert lookup.outstanding == 0
