"""Where events are read from, as a URL says it.

In: a URL or a path. Out: an address of one of three kinds; of a path it is looked whether a socket is there. What is
wrong is said with what was expected; a password that somebody put into the URL is not repeated.
"""

import ipaddress
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from audisp_pyaudit.errors import ConsumerError
from audisp_pyaudit.sink_settings import topic as check_topic

PORT = 9092
BEGINNING, END = "beginning", "end"
_EXPECTED = "expected kafka://host[:port]/topic, unix:///path, subscriber:///path, file:///path, or a path"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_HOST = re.compile(r"[A-Za-z0-9._-]+\Z")
_LAST_PORT = 65535


@dataclass(frozen=True)
class KafkaAddress:
    """A topic, and who reads it."""

    bootstrap: str  # host:port of one or more brokers, with commas
    topic: str
    group: str  # empty: none
    start: str  # BEGINNING, END, or empty: nothing was said

    @property
    def where(self) -> str:
        """As errors name it."""
        return f"kafka://{self.bootstrap}/{self.topic}"


@dataclass(frozen=True)
class UnixAddress:
    """The socket of a plugin's sink; `acknowledges`: one that wants to hear what is finished with."""

    path: str
    where: str
    acknowledges: bool = False


@dataclass(frozen=True)
class FileAddress:
    """A file of events."""

    path: str
    where: str


Address = KafkaAddress | UnixAddress | FileAddress


def parse(url: str) -> Address:
    """What a URL or path means.

    Raises:
        ConsumerError: it means nothing.
    """
    if not url:
        raise ConsumerError("the URL is empty", _EXPECTED)
    found = _SCHEME.match(url)
    if found is None:
        return UnixAddress(url, url) if _is_socket(url) else FileAddress(url, url)
    scheme, rest = found[1].lower(), url[found.end() - 1 :]
    if scheme == "kafka" and rest.startswith("//"):
        return _kafka(rest[2:])
    if scheme in ("unix", "subscriber", "file"):
        path = unquote(rest.removeprefix("//"))
        if not path.startswith("/"):
            raise ConsumerError(url, f"expected {scheme}:///path, with three slashes")
        return FileAddress(path, url) if scheme == "file" else UnixAddress(path, url, scheme == "subscriber")
    raise ConsumerError(f"{scheme}:/…", _EXPECTED)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except (OSError, ValueError):  # who opens it finds the same, and says it
        return False


def _kafka(rest: str) -> KafkaAddress:
    if "@" in rest:
        text = "a user or a password does not belong into the URL, but into the settings (an @ in a group is %40)"
        raise ConsumerError("kafka://…", text)
    before, _, query = rest.partition("?")
    hosts, _, topic = before.partition("/")
    bootstrap = ",".join(_broker(each) for each in hosts.split(","))
    where = f"kafka://{bootstrap}/{topic}"
    try:
        check_topic(topic)
    except ValueError as error:
        raise ConsumerError(where, f"expected the name of a topic behind the brokers: {error}") from None
    said = dict[str, str]()
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in ("group", "from"):
            raise ConsumerError(where, f'"{name}" is not known behind the ?; expected group or from')
        if name in said:
            raise ConsumerError(where, f'"{name}" is there twice')
        if not value:
            raise ConsumerError(where, f'"{name}" has no value')
        said[name] = value
    if query and not said:
        raise ConsumerError(where, f'expected group=NAME or from={BEGINNING} behind the ?, found "{query}"')
    start = said.get("from", "")
    if start not in ("", BEGINNING, END):
        raise ConsumerError(where, f'from: expected {BEGINNING} or {END}, found "{start}"')
    return KafkaAddress(bootstrap, topic, said.get("group", ""), start)


def _broker(text: str) -> str:
    """A broker as librdkafka wants it, `host:port`."""
    host, port = text, ""
    if text.startswith("["):
        inner, bracket, port = text[1:].partition("]")
        try:
            ipaddress.IPv6Address(inner)
        except ValueError:
            bracket = ""
        if not bracket or (port and not port.startswith(":")):
            raise ConsumerError(f"kafka://{text}", "expected an IPv6 address in brackets, such as [::1]:9092")
        host, port = f"[{inner}]", port or f":{PORT}"
    else:
        host, colon, number = text.partition(":")
        if ":" in number:
            raise ConsumerError(f"kafka://{text}", "an IPv6 address stands in brackets, such as [::1]:9092")
        if not _HOST.match(host):
            raise ConsumerError(f"kafka://{text}", "expected host or host:port, several with commas")
        port = f":{number}" if colon else f":{PORT}"
    number = port[1:]
    if not (number.isascii() and number.isdigit() and len(number) <= len(str(_LAST_PORT))) or not (
        1 <= int(number) <= _LAST_PORT
    ):
        raise ConsumerError(f"kafka://{text}", f"expected a port from 1 to {_LAST_PORT} behind the host")
    return f"{host}:{int(number)}"
