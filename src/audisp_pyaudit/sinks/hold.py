"""Holds what is in the queue for sinks that are not known, since the configuration cannot be read.

In: nothing; it takes nothing. So everything stays in the queue, until a configuration that is right says whose it is.
"""

from audisp_pyaudit.sinks.queued import POLL_SECONDS, QueuedSink


class HoldSink(QueuedSink):
    """A place at the beginning of the queue."""

    type = "hold"

    def step(self) -> None:
        """Wait."""
        self.stop.wait(POLL_SECONDS)

    def recover(self, why: object) -> None:
        """Nothing can fail."""

    def let_go(self) -> None:
        """Nothing is held but the place."""
