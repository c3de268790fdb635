"""Standard output as a sink: for people and for tests. Under auditd it is /dev/null."""

from audisp_pyaudit.framing import Frames, stream_framing
from audisp_pyaudit.latency import times_of
from audisp_pyaudit.sink_settings import StdoutSettings
from audisp_pyaudit.sinks.base import SinkStats, copy_of
from audisp_pyaudit.sinks.writer import FrameWriter


class StdoutSink:
    """Frames on standard output.

    Args:
        name: the sink's name.
        index: its bit in a frame's routes.
        settings: what the configuration says.
        fd: the descriptor, 1 but for tests.
    """

    type = "stdout"

    def __init__(self, name: str, index: int, settings: StdoutSettings, fd: int = 1) -> None:
        self.name = name
        self.trouble = ""
        self._index = index
        self._framing = stream_framing(settings.format)
        self._fd = fd
        self._stats = SinkStats()
        self._writer: FrameWriter | None = None

    def start(self) -> None:
        """Nothing to open, but standard output may have been closed before we began."""
        try:
            self._writer = FrameWriter(self._fd, self._framing, self._stats)
        except OSError as error:
            self.trouble = f"standard output: {error.strerror}"

    def deliver(self, frames: Frames) -> None:
        """Write the frames; a reader that does not read costs 100 ms and the frames."""
        blob = frames.blob(self._framing, self._index)
        count = frames.count_for(self._index)
        stats = self._stats
        stats.frames += len(frames)
        stats.offered += len(frames)
        stats.filtered += len(frames) - count
        if self._writer is None:
            stats.lost["EBADF"] += count
        elif count:
            before = stats.delivered
            error = self._writer.write(blob, count)
            if stats.delivered > before:
                stats.latency.note(times_of(frames), stats.delivered - before)
            self.trouble = "" if error is None else f"standard output: {error.strerror or 'nobody reads'}"

    def close(self, deadline: float) -> None:  # noqa: ARG002  # nothing is queued but the rest of one frame
        """Let go; the descriptor stays open."""
        if self._writer is not None:
            self._writer.give_up("shutdown")

    def stats(self) -> SinkStats:
        """A copy of the ledger."""
        return copy_of(self._stats)

    def oldest_ms(self) -> int | None:
        """Nothing waits here, but for the rest of one event."""
        return None
