"""Subscribers that read whatever comes and do nothing with it: `python -m bench.readers SOCKET COUNT`.

A process of its own, so that its work is nobody else's. It ends when all of its connections are closed.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from pathlib import Path

_BLOCK_BYTES = 1 << 20
_CONNECT_SECONDS = 30.0


def connected(path: Path, deadline: float) -> socket.socket:
    """A connection, as soon as there is somebody to connect to.

    Raises:
        TimeoutError: there was nobody until the deadline, by `time.monotonic`.
    """
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(path))
        except OSError:
            client.close()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: nobody listens") from None
            time.sleep(0.01)
        else:
            return client


def read_all(path: Path, count: int) -> int:
    """Read on so many connections until they are closed; return how many bytes came."""
    block, total = bytearray(_BLOCK_BYTES), 0
    deadline = time.monotonic() + _CONNECT_SECONDS
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            selector.register(connected(path, deadline), selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                client = key.fileobj
                if not isinstance(client, socket.socket):
                    continue
                got = client.recv_into(block)
                total += got
                if not got:
                    selector.unregister(client)
                    client.close()
    return total


if __name__ == "__main__":
    print(read_all(Path(sys.argv[1]), int(sys.argv[2])))
