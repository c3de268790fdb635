"""What the configuration may say of metrics and status.

Nothing that stands in an audit record is in either; but whoever reads metrics learns how busy a host is, so an endpoint
is never reachable from another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from audisp_pyaudit.address import UNIX, split
from audisp_pyaudit.settings import flag, mode, path_or_none, setting, shown, socket_path, text


def textfile(value: object) -> str:
    """The path of a file that node_exporter's textfile collector reads; empty for none."""
    found = path_or_none(value)
    if found and not found.endswith(".prom"):
        raise ValueError(f"expected a path that ends in .prom, as node_exporter reads no other, found {shown(value)}")
    return found


def endpoint(value: object) -> str:
    """Where metrics are asked for: a Unix socket or a port of this host; empty for nowhere."""
    if value == "":
        return ""
    wanted = 'expected "unix:///path", "127.0.0.1:port" or "[::1]:port"'
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {shown(value)}")  # noqa: TRY004  # as every check
    if value.startswith(UNIX):
        socket_path(value[len(UNIX) :])
        return value
    try:
        place = split(value)
    except ValueError:
        raise ValueError(f"{wanted}, found {shown(value)}") from None
    if not _is_loopback(place[0]):
        raise ValueError(f"{wanted}, found {shown(value)}, which other hosts may reach or which is a name")
    return value


def _is_loopback(host: str) -> bool:
    """Whether it is an address of this host alone; a name may come to mean another one."""
    import ipaddress  # noqa: PLC0415  # few sites need it; the start must be fast

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Metrics:
    """What is told of ourselves, and where."""

    status: str = setting("/run/audisp-pyaudit/status.json", path_or_none)
    textfile: str = setting("", textfile)
    listen: str = setting("", endpoint)
    # Of a Unix socket: who may ask.
    listen_mode: int = setting(0o660, mode)
    listen_group: str = setting("", text)
    # Whether the kernel is asked for its own counters, for which it wants CAP_AUDIT_CONTROL.
    kernel: bool = setting(default=False, check=flag)

    def paths(self) -> Iterator[tuple[str, str]]:
        """Keys and paths of what is written or listened on."""
        listen = self.listen[len(UNIX) :] if self.listen.startswith(UNIX) else ""
        for name, path in (("status", self.status), ("textfile", self.textfile), ("listen", listen)):
            if path:
                yield name, path
