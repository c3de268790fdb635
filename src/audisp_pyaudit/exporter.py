"""Where metrics are to be had: a file for node_exporter, and an endpoint that Prometheus asks.

In: the newest status, from the pipeline's thread, which waits for nothing here. Out: Prometheus' text, every 15 seconds
into a file, and to whoever asks over a Unix socket or a port of this host. All that is done on threads of its own; the
library is loaded there, and only if somebody wants metrics.
"""

from __future__ import annotations

import contextlib
import gc
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.files import Version, replace_file, version_of

if TYPE_CHECKING:
    from audisp_pyaudit.endpoint import Endpoint
    from audisp_pyaudit.metrics_settings import Metrics
    from audisp_pyaudit.status import Status

TEXTFILE_SECONDS = 15.0
# node_exporter is another user.
_TEXTFILE_MODE = 0o644
_STARTED = re.compile(rb"^audisp_pyaudit_start_time_seconds ([0-9.e+]+)$", re.MULTILINE)
RETRY_SECONDS = 5.0
# How long the end of the process may wait for the last numbers in the file.
LAST_SECONDS = 0.1
# How long one that is replaced is waited for.
LEAVE_SECONDS = 2.0


class Exporter:
    """Publishes metrics.

    Args:
        settings: where.
    """

    def __init__(self, settings: Metrics) -> None:
        self._settings = settings
        self._latest: Status | None = None
        self._textfile_trouble = self._endpoint_trouble = ""
        self._last = self._closed = False
        self._changed = threading.Event()
        self._done = threading.Event()
        self._version: Version | None = None
        self._endpoint: Endpoint | None = None
        self._before: object = None
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    @property
    def trouble(self) -> str:
        """Why metrics cannot be had; empty if they can."""
        return "; ".join(filter(None, (self._textfile_trouble, self._endpoint_trouble)))

    def start(self, before: object = None) -> None:
        """Begin; when the one before has let go of its port, if there is one."""
        self._before = before
        self._thread.start()

    def latest(self) -> Status | None:
        """The newest status."""
        return self._latest

    def publish(self, status: Status, *, last: bool) -> None:
        """Take the newest status. At the end, wait a moment until the file has it."""
        first, self._latest = self._latest is None, status
        if first or last:
            self._last = last
            self._changed.set()
        if last:
            self._done.wait(LAST_SECONDS)

    def close(self) -> None:
        """Publish no more, though the process goes on: others will. The file stays as it is."""
        self._closed = True
        self._changed.set()

    # --- on a thread of its own ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        if isinstance(self._before, Exporter):
            self._before.close()
            self._before._thread.join(LEAVE_SECONDS)  # noqa: SLF001  # one of us
            self._before = None
        try:
            self._publish()
        except Exception as error:  # noqa: BLE001  # a bug here costs the metrics, no event
            self._textfile_trouble = f"this is a bug, please report it: {error!r}"
        self._done.set()

    def _publish(self) -> None:
        new = "prometheus_client" not in sys.modules
        try:
            from audisp_pyaudit.metrics import rendered  # noqa: PLC0415  # others do without the library

            if self._settings.listen:
                import audisp_pyaudit.endpoint  # noqa: F401, PLC0415  # for `_serve`, as long as it is there
        except ImportError as error:
            self._textfile_trouble = _why_not(error)
            return
        if new:
            gc.freeze()  # as at the start, see `plugin`
        while not self._closed:
            self._serve()
            last = self._last
            if self._latest is not None and self._settings.textfile:
                self._textfile_trouble = self._write(rendered(self._latest), self._latest["started"])
            if last:
                break
            self._changed.wait(RETRY_SECONDS if self._endpoint_trouble else TEXTFILE_SECONDS)
            self._changed.clear()
        if self._endpoint is not None:
            self._endpoint.unlisten() if self._last else self._endpoint.close()

    def _write(self, text: bytes, started: float) -> str:
        path = Path(self._settings.textfile)
        try:
            if version_of(path) != self._version and _began(path) > started:
                return ""  # of a process after us
            self._version = replace_file(path, text, _TEXTFILE_MODE)
        except OSError as error:
            return f"{path}: {error.strerror}"
        return ""

    def _serve(self) -> None:
        """Have an endpoint, if one is wanted and can be."""
        if not self._settings.listen:
            return
        from audisp_pyaudit.endpoint import Endpoint  # noqa: PLC0415  # as above

        if self._endpoint is not None:
            if not self._endpoint.displaced:
                return
            self._endpoint.close()
            self._endpoint = None
        try:
            self._endpoint = Endpoint(self._settings, self.latest)
        except SinkError as error:
            self._endpoint_trouble = str(error)
        except OSError as error:
            self._endpoint_trouble = f"{self._settings.listen}: {error.strerror or error}"
        else:
            self._endpoint_trouble = ""
            self._endpoint.start()


def _why_not(error: ImportError) -> str:
    """What is told of a module that could not be loaded: of the library, or of ours, which are read when needed."""
    if (error.name or "").partition(".")[0] == __package__:
        return f"the package was changed or removed while the plugin ran; restart auditd: {error}"
    return f"Python's prometheus-client is missing: {error}"


def _began(path: Path) -> float:
    """When the process began that wrote a file of metrics; 0 if nobody knows."""
    with contextlib.suppress(OSError, ValueError):
        found = _STARTED.search(path.read_bytes())
        return float(found[1]) if found else 0.0
    return 0.0
