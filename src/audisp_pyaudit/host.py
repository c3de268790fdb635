"""This host: its name, its machine-id, and the other names under which records of its own may come.

In: files of the system (and what the configuration says instead). Out: `HostFacts`. It never asks the network: the
plugin starts before there is one, and a resolver that hangs would cost audit records. So the fully qualified name and
the addresses that auditd may write as `node=` are taken from /etc/hosts, where the resolver looks first.
"""

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ETC = Path("/etc")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# More than any host has; a broken file must not fill the table that every record is compared with.
MAX_NODES = 256


@dataclass(frozen=True)
class HostFacts:
    """`name` and `id` as they stand in every document; `nodes` are further names that mean this host.

    `boot_id` changes at every boot, after which the kernel numbers events anew; empty if it is not known.
    `architecture` is the machine as `uname -m` says it. `auditd_names` are those of `nodes` that auditd.conf
    gave, which only root may read on some systems.
    """

    name: str
    id: str
    nodes: tuple[str, ...]
    boot_id: str = ""
    architecture: str = ""
    auditd_names: tuple[str, ...] = ()


def host_facts(
    name: str = "",
    machine_id: str = "",
    nodes: tuple[str, ...] = (),
    etc: Path = ETC,
    auditd_names: tuple[str, ...] = (),
) -> HostFacts:
    """Find out who we are.

    Args:
        name: what the configuration says, empty for the system's own.
        machine_id: likewise.
        nodes: further names from the configuration.
        etc: where the system's files are.
        auditd_names: what auditd.conf said when it could be read.
    """
    auditd_names = tuple(_auditd_names(etc)) or auditd_names
    system_name = socket.gethostname()
    name = name or system_name or "localhost"
    found = [*nodes, system_name, *auditd_names, *_hosts_names(etc, {name, system_name})]
    others = tuple(dict.fromkeys(node for node in found if node and node != name))[:MAX_NODES]
    machine_id = machine_id or _machine_id(etc) or name
    return HostFacts(name, machine_id, others, _read(BOOT_ID).strip(), os.uname().machine, auditd_names)


def _machine_id(etc: Path) -> str:
    text = _read(etc / "machine-id").strip()
    return text if re.fullmatch(r"[0-9a-f]{32}", text) else ""


def _auditd_names(etc: Path) -> Iterator[str]:
    """`name = ` in auditd.conf: what auditd writes with `name_format = user`."""
    for line in _read(etc / "audit" / "auditd.conf").splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "name" and value.strip():
            yield value.strip()


def _hosts_names(etc: Path, own: set[str]) -> Iterator[str]:
    """All names and the address of every line of /etc/hosts that holds a name of ours."""
    for line in _read(etc / "hosts").splitlines():
        words = line.partition("#")[0].split()
        if own.intersection(words[1:]):
            yield from words


def _read(path: Path) -> str:
    """The first 64 KiB of a file, empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(65536).decode(errors="replace")
    except OSError:
        return ""
