"""Memory that was freed goes back to the kernel.

By itself glibc gives back only what is free at the end of an arena, and each thread has one: after the backlog of a
start, or a burst, the process stays about as large as it was then. Asked for it, glibc gives back every page that
nobody uses; another C library may know no such thing.
"""

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Give back what is free. It takes a millisecond or two, in which others that allocate may wait."""
    if _trim is not None:
        _trim(ctypes.c_size_t(0))
