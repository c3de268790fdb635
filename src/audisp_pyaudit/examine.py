"""Examines what a configuration names: is it there, may the plugin's user have it, does who is to get events answer?

In: a configuration that is right by itself. Out: what is wrong on this host, each with its key. Nothing is made, and
nothing is sent but the questions of `connections`.
"""

import grp
import json
import os
import pwd
import socket
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audisp_pyaudit import selinux
from audisp_pyaudit.address import split
from audisp_pyaudit.config import Config
from audisp_pyaudit.privileges import become, folders
from audisp_pyaudit.sink_settings import FileSettings, ForwardSettings, KafkaSettings, SubscriberSettings, UnixSettings
from audisp_pyaudit.sinks.kafka import producer_settings, refusal
from audisp_pyaudit.users import User, find_user

# What a broker or peer gets to answer: a log-in with TLS over a slow line takes a second or two.
CONNECT_SECONDS = 10.0
_STEP_SECONDS = 0.1
_MAX_SAID_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """What is not as it should be; a `note` is worth knowing, and nothing is wrong with it."""

    key: str
    message: str
    note: bool = False


def local(config: Config) -> Iterator[Finding]:
    """What can be seen on this host, as the user that the plugin becomes where we can be that."""
    wanted = config.privileges.user
    user = find_user(wanted) if wanted else None
    if wanted and user is None:
        yield Finding("privileges.user", f"there is no user {wanted}; the plugin would stay root", note=True)
    without = selinux.missing()
    if without:
        yield Finding("", without, note=True)
    yield from _sockets(config)
    if user is not None and os.geteuid() == 0:
        yield from _as_user(user, config)
        return
    if user is not None and os.geteuid() != user.uid:
        yield Finding(
            "privileges.user", f"examined as uid {os.geteuid()}, not as {wanted}: root can do that", note=True
        )
    yield from _permitted(config)


def _sockets(config: Config) -> Iterator[Finding]:
    """Names of users and groups, and what lies where a socket is to be."""
    for name, sink in config.sinks.items():
        if not isinstance(sink, UnixSettings | SubscriberSettings):
            continue
        if sink.group and not _known(grp.getgrnam, sink.group):
            yield Finding(f"sinks.{name}.group", f"there is no group {sink.group}")
        for each in sink.allow:
            if not each.isdecimal() and not _known(pwd.getpwnam, each):
                yield Finding(f"sinks.{name}.allow", f"there is no user {each}")
        path = Path(sink.path)
        if _seen(path.exists) and not _seen(path.is_socket):
            yield Finding(f"sinks.{name}.path", f"{sink.path} is there and is not a socket; it will not be replaced")


def _known(ask: Callable[[str], object], name: str) -> bool:
    try:
        ask(name)
    except KeyError:
        return False
    return True


def _seen(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except OSError:
        return False


def _permitted(config: Config) -> Iterator[Finding]:
    """What the current user may read and write."""
    if config.source is not None and not os.access(config.source, os.R_OK):
        why = f"{config.source}: uid {os.geteuid()} may not read it; a reload would not work"
        yield Finding("", why + _of_a_group(config.source, config.privileges.user))
    for folder in dict.fromkeys(each for each, _ in folders(config)):
        if Path(folder).is_dir() if _seen(Path(folder).exists) else False:
            if not os.access(folder, os.W_OK | os.X_OK):
                yield Finding(_key_of(config, folder), f"{folder}: uid {os.geteuid()} may not write it")
        elif _seen(Path(folder).exists):
            yield Finding(_key_of(config, folder), f"{folder} is not a folder")
    for name, sink in config.sinks.items():
        if isinstance(sink, FileSettings) and _seen(Path(sink.path).exists) and not os.access(sink.path, os.W_OK):
            yield Finding(f"sinks.{name}.path", f"{sink.path}: uid {os.geteuid()} may not write it")
        if isinstance(sink, KafkaSettings):
            why = refusal(sink)
            if why:
                yield Finding(f"sinks.{name}", why)
    yield from _room(config)


def _of_a_group(path: str, user: str) -> str:
    """What a user lacks who could read a file as one of its group; a user that was there before the package, say."""
    try:
        about = os.stat(path)  # noqa: PTH116  # a text
        group = grp.getgrgid(about.st_gid).gr_name
    except (OSError, KeyError):
        return ""
    if not user or not about.st_mode & stat.S_IRGRP or about.st_gid in {os.getegid(), *os.getgroups()}:
        return ""
    return f". It is for the group {group}, which {user} is not in: usermod -a -G {group} {user}"


def _room(config: Config) -> Iterator[Finding]:
    queue = config.queue
    if queue.mode == "lossy" or queue.path not in {each for each, _ in folders(config)}:
        return
    place = Path(queue.path)
    while not _seen(place.exists) and place != place.parent:
        place = place.parent
    try:
        there = os.statvfs(place)
    except OSError:
        return
    free, share = there.f_bavail * there.f_frsize, there.f_blocks * there.f_frsize * queue.share_percent // 100
    limit = min(queue.quota_bytes, share)
    if free < limit:
        message = f"the spool may take {limit} bytes, and {free} are free on the file system of {place}"
        yield Finding("queue.quota_bytes", message, note=True)


def _key_of(config: Config, folder: str) -> str:
    """The key that names something in a folder."""
    if folder == config.queue.path:
        return "queue.path"
    if folder == str(Path(config.state.path).parent):
        return "state.path"
    sinks = [(f"sinks.{name}.path", getattr(sink, "path", "")) for name, sink in config.sinks.items()]
    metrics = [(f"metrics.{name}", path) for name, path in config.metrics.paths()]
    return next((key for key, path in sinks + metrics if path and str(Path(path).parent) == folder), "")


def _as_user(user: User, config: Config) -> Iterator[Finding]:
    """Examine in a process that has become that user, as the plugin does."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            become(user, config)
            said = json.dumps([[each.key, each.message, each.note] for each in _permitted(config)])
            os.write(writer, said.encode()[:_MAX_SAID_BYTES])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        content = stream.read()
    os.waitpid(child, 0)
    if not content:
        yield Finding("privileges.user", f"cannot become {user.name}")
        return
    for key, message, note in json.loads(content):
        yield Finding(key, message, note=note)


# --- over the network -------------------------------------------------------------------------------------------------


def connections(config: Config) -> Iterator[Finding]:
    """Who is to get events, asked: brokers and their topics, peers of the forward protocol."""
    for name, sink in config.sinks.items():
        if isinstance(sink, KafkaSettings):
            yield from _kafka(name, sink)
        elif isinstance(sink, ForwardSettings):
            try:
                _connect(sink.address)
            except OSError as error:
                yield Finding(f"sinks.{name}.address", f"{sink.address}: {error.strerror or error}")
            except UnicodeError:  # a name that cannot be asked for
                yield Finding(f"sinks.{name}.address", f"{sink.address}: there can be no such host name")


def _connect(address: str) -> None:
    found = split(address)
    if isinstance(found, str):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(CONNECT_SECONDS)
            peer.connect(found)
    else:
        socket.create_connection(found, CONNECT_SECONDS).close()


def _kafka(name: str, sink: KafkaSettings) -> Iterator[Finding]:
    from confluent_kafka import Producer  # noqa: PLC0415  # others do without

    said: list[str] = []
    try:
        settings = producer_settings(sink) | {"error_cb": lambda error: said.append(str(error))}
        producer = Producer(settings)
    except Exception as error:  # noqa: BLE001  # KafkaException, ValueError of a secret
        yield Finding(f"sinks.{name}", str(error))
        return
    found = _ask(producer, sink.topic, said)
    if isinstance(found, str):
        yield Finding(f"sinks.{name}.bootstrap", f"{sink.bootstrap}: {found}")
        return
    refused = None if "{" in sink.topic else found.topics[sink.topic].error
    if refused is not None:
        yield Finding(f"sinks.{name}.topic", f"{sink.topic}: {refused.str()}")


def _ask(producer: Any, topic: str, said: list[str]) -> Any:  # noqa: ANN401  # the library has no types
    """The cluster's metadata with that of a topic, or why there is none."""
    deadline = time.monotonic() + CONNECT_SECONDS
    why = "no answer"
    while time.monotonic() < deadline:
        try:
            return producer.list_topics(*([] if "{" in topic else [topic]), timeout=1.0)
        except Exception as error:  # noqa: BLE001  # KafkaException
            why = str(error.args[0].str() if error.args and hasattr(error.args[0], "str") else error)
        producer.poll(_STEP_SECONDS)
        telling = [each for each in said if "_ALL_BROKERS_DOWN" not in each]
        if telling:  # what is refused now is refused in ten seconds
            return telling[0]
    return why
