"""Calls that another thread makes for us."""

import threading

import pytest

from audisp_pyaudit.errand import Errand


def test_another_thread_does_it() -> None:
    """What holds for one thread only is done there, and known to be done here."""
    ran_on: list[threading.Thread] = []
    errand = Errand(lambda: ran_on.append(threading.current_thread()))
    assert not errand.done(0.01)
    thread = threading.Thread(target=errand)
    thread.start()
    assert errand.done(10)
    assert ran_on == [thread]
    thread.join()


def test_how_it_failed_is_known() -> None:
    """What the kernel refused to the other thread is told to whoever asked for it."""

    def refused() -> None:
        raise PermissionError(1, "Operation not permitted")

    errand = Errand(refused)
    errand()
    with pytest.raises(PermissionError):
        errand.done(10)
