"""The endpoint that Prometheus asks: HTTP over a Unix socket, or a port that only this host can reach.

In: requests. Out: the newest status as metrics. Each request has a thread of its own and not much time, and there are
at most a few: whoever asks slowly is hung up on when others come. Nothing here is waited for by anybody.
"""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn

from prometheus_client.exposition import choose_encoder

from audisp_pyaudit.address import split
from audisp_pyaudit.metrics import registry_of
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.sinks.listener import Listener
from audisp_pyaudit.status import Status

# Whoever says nothing, or reads nothing, for as long is hung up on.
PATIENCE_SECONDS = 5.0
# Requests at a time. When another one comes, the oldest has had its time.
MAX_REQUESTS = 4
_POLL_SECONDS = 1.0

Latest = Callable[[], Status | None]


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE_SECONDS
    server_version, sys_version = "audisp-pyaudit", ""
    server: "_Server"

    def do_GET(self) -> None:
        """Answer with the metrics."""
        if self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"Metrics are at /metrics.\n")
            return
        status = self.server.latest()
        if status is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", b"Starting.\n")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._answer(HTTPStatus.OK, content_type, encode(registry_of(status)))

    def _answer(self, code: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the library has it
        """Requests are not told of."""


class _Server(ThreadingMixIn, TCPServer):
    """Serves what comes over a listening socket.

    Args:
        listening: the socket.
        latest: gives the newest status.
    """

    daemon_threads = True

    def __init__(self, listening: socket.socket, latest: Latest) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.latest = latest
        self._open: deque[socket.socket] = deque()
        self._lock = threading.Lock()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Make room and begin."""
        with self._lock:
            self._open.append(request)
            oldest = self._open.popleft() if len(self._open) > MAX_REQUESTS else None
        if oldest is not None:
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """A request has its answer."""
        with self._lock, contextlib.suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked has left."""


class Endpoint:
    """Listens and answers.

    Args:
        settings: where, and who may ask.
        latest: gives the newest status.

    Raises:
        OSError, SinkError: it cannot be.
    """

    def __init__(self, settings: Metrics, latest: Latest) -> None:
        place = split(settings.listen)
        self._listener: Listener | None = None
        if isinstance(place, str):
            self._listener = Listener(place, settings.listen_mode, settings.listen_group)
            listening = self._listener.socket
        else:
            family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
            listening = socket.create_server(place, family=family, backlog=MAX_REQUESTS)
        listening.setblocking(False)  # noqa: FBT003  # who left before he was let in must not be waited for
        self._socket = listening
        self._server = _Server(listening, latest)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    @property
    def displaced(self) -> bool:
        """Whether the name of the Unix socket is gone and nobody has it."""
        return self._listener is not None and self._listener.displaced()

    def unlisten(self) -> None:
        """Listen no more; the name of the Unix socket is removed if it is still ours."""
        if self._listener is not None:
            self._listener.close()
        else:
            self._socket.close()

    def close(self) -> None:
        """End; takes up to a second."""
        self._server.shutdown()
        self.unlisten()
