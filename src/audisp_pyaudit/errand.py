"""Something that another thread has to do for us, such as giving up rights that every thread has of its own.

In: a call that does not wait. Out: that it was done, or how it failed, for the thread that wants it.
Standard library only: intake has errands, and is loaded before anything else.
"""

import threading

TYPE_CHECKING = False  # that of `typing`, which takes its time to load
if TYPE_CHECKING:
    from collections.abc import Callable


class Errand:
    """A call for another thread, which calls the errand.

    Args:
        what: the call.
    """

    def __init__(self, what: "Callable[[], None]") -> None:
        self._what = what
        self._done = threading.Event()
        self._failed: OSError | None = None

    def __call__(self) -> None:
        """Do it; on the other thread."""
        try:
            self._what()
        except OSError as error:
            self._failed = error
        self._done.set()

    def done(self, seconds: float) -> bool:
        """Whether it was done; wait for it so long.

        Raises:
            OSError: as the call did.
        """
        in_time = self._done.wait(seconds)
        if self._failed is not None:
            raise self._failed
        return in_time
