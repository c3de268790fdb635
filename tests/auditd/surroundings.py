"""What an auditd has around it: a namespace, the system's log, a kernel's audit, and events to come from there.

In: a namespace. Out: the parts, for whoever starts an auditd among them.
"""

import contextlib

from tests.auditd.daemon import KERNEL
from tests.auditd.feed import Feed
from tests.auditd.kernel import Kernel
from tests.auditd.namespace import Namespace
from tests.auditd.syslog import SystemLog


class Surroundings:
    """They come and go together.

    Args:
        space: the namespace, which is closed with them.
        root: another folder that is its root from now on; empty for the one that it has.
    """

    def __init__(self, space: Namespace, root: str = "") -> None:
        with contextlib.ExitStack() as stack:
            self.space = space
            stack.callback(space.close)
            if root:
                space.ask("enter", root=root)
            (said,) = space.ask("log")
            self.log = SystemLog(said)
            stack.callback(self.log.close)
            (listening,) = space.ask("listen_unix", path=KERNEL)
            self.kernel = Kernel(listening)
            self.feed = Feed(self.kernel)
            # What is to end before them.
            self.also = stack.pop_all()

    def close(self) -> None:
        """The end of everything that was started; who still waits for auditd is told that nobody is there."""
        self.feed.give_up()
        self.also.close()
        self.kernel.close()
        self.feed.stop()
