"""Where a peer listens: a Unix socket or a TCP port, as one text in the configuration.

In: `unix:///path`, `host:port` or `[v6]:port`. Out: a path, or a host and a port. Nothing is looked up here.
"""

import re

from audisp_pyaudit.settings import path, shown

UNIX = "unix://"
# A host's name or address; an address with colons in brackets, so that the port is told from it.
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})\Z")
_LAST_PORT = 65535
_PATH_BYTES = 107  # sun_path of a Unix socket is 108 bytes with its closing NUL


def split(text: str) -> str | tuple[str, int]:
    """The path of a Unix socket, or host and port.

    Raises:
        ValueError: it is neither; says what was expected.
    """
    if text.startswith(UNIX):
        found_path = path(text[len(UNIX) :])
        if len(found_path.encode()) > _PATH_BYTES:
            raise ValueError(f"expected a path of at most {_PATH_BYTES} bytes, found {shown(found_path)}")
        return found_path
    found = _HOST_PORT.match(text)
    if found is None or not 0 < int(found[3]) <= _LAST_PORT:
        raise ValueError(f'expected "unix:///path", "host:port" or "[v6]:port", found {shown(text)}')
    return found[1] or found[2], int(found[3])


def address(value: object) -> str:
    """A text that `split` takes; as a check of settings."""
    split(value if isinstance(value, str) else shown(value))
    return str(value)
