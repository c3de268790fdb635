"""Memory that was freed goes back to the kernel.

glibc keeps what threads other than the first free inside their arenas, for good: after the backlog of a start, or a
burst, the process stays as large as it was then. Asked for it, glibc gives back every page that nobody uses, also in
the middle; another C library may know no such thing.
"""

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Give back what is free. It takes a millisecond or two; other threads run on, but for those that allocate."""
    if _trim is not None:
        _trim(ctypes.c_size_t(0))
