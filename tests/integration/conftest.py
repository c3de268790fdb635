"""Plugins that run as auditd runs them, and what they read."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.plugin import TIMEOUT, Plugin


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Plugin]]:
    """Starts plugins, and makes sure that they end."""
    plugins = []

    def start(config: str, whole: str = "", **how: Any) -> Plugin:  # noqa: ANN401  # as `Plugin` has it
        if whole:
            plugins.append(Plugin(tmp_path, whole, **how))
            return plugins[-1]
        text = f'[host]\nname = "web-1"\nid = "{"0" * 32}"\n[state]\npath = "{tmp_path}/engine.state"\n{config}'
        plugins.append(Plugin(tmp_path, text, **how))
        return plugins[-1]

    yield start
    for plugin in plugins:
        plugin.kill()


@pytest.fixture
def subscribe() -> Iterator[Callable[[Path], socket.socket]]:
    """Connects to a sink's socket once it is there."""
    clients = []

    def connect(path: Path) -> socket.socket:
        deadline = time.monotonic() + TIMEOUT
        while True:
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(str(path))
            except OSError:
                client.close()
                assert time.monotonic() < deadline, f"nobody listens on {path}"
                time.sleep(0.01)
            else:
                break
        client.settimeout(TIMEOUT)
        clients.append(client)
        time.sleep(0.3)  # accepted by the sink's thread
        return client

    yield connect
    for client in clients:
        client.close()


def records(first: int, last: int) -> bytes:
    """Events of one record each, with these serials."""
    return "".join(
        f"type=USER_LOGIN msg=audit(1700000000.{serial % 1000:03}:{serial}): pid=5 uid=0 auid=1000 ses=1 "
        'msg=\'op=login acct="lab" exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success\'\n'
        for serial in range(first, last + 1)
    ).encode()


@pytest.fixture
def make_records() -> Callable[..., bytes]:
    """Makes records."""
    return records
