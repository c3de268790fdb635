"""Memory that was freed goes back to the kernel."""

import subprocess
import sys

import pytest

from audisp_pyaudit import memory

_FRAGMENTED = """
import resource
import threading

from audisp_pyaudit.memory import give_back


def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() >> 20


def use():
    global kept
    pieces = [bytes(4000) for _ in range(20_000)]
    kept = pieces[::1000]


worker = threading.Thread(target=use)
worker.start()
worker.join()
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(memory._trim is None, reason="the C library here gives nothing back (malloc_trim)")
def test_a_burst_is_forgotten() -> None:
    """The plugin is not for ever as large as it was in its worst second, though some of that is still in use."""
    done = subprocess.run([sys.executable, "-c", _FRAGMENTED], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 30, "MiB of the 76 that were freed"


def test_where_nothing_can_be_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another C library costs memory, not the plugin."""
    monkeypatch.setattr(memory, "_trim", None)
    memory.give_back()
