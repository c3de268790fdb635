"""Who runs: `audisp-pyaudit` and laurel (`bench.peers` has the others). How each is found, configured and started.

Every contender gets the settings that cost it least and still give a document for every event; `README.md` lists them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
# Hidden, so that linters that walk through this folder do not take the peers for ours.
PEERS = HERE / "out" / ".peers"

_OURS = """\
[state]
path = ""

[sinks.file]
type = "file"
path = "{output}"
format = "{framing}"
"""
# All that adds to a document is off; the file is never rotated; no state is kept. Keys that a version does not know it
# ignores. 0.8 documents `user-groups` and reads `uid-groups`.
_LAUREL = """\
directory = "{folder}"
statusreport-period = 0
[auditlog]
file = "{name}"
size = 1000000000000
generations = 0
[state]
file = ""
[transform]
execve-argv = [ "array" ]
[translate]
universal = false
user-db = false
drop-raw = false
[enrich]
pid = false
ppid-verbose = false
spawned-by = false
execve-env = []
container = false
container_info = false
systemd = false
script = false
uid-groups = false
user-groups = false
exe-hash = false
"""


@dataclass(frozen=True)
class Launch:
    """How one run is started and where it writes to. auditd starts plugins with an empty environment, so do we.

    Args:
        argv: the command.
        environment: all of it.
        output: the file with what it gave.
        hears: a Unix datagram socket for it to send to; then that is what it gave. None if it writes the file itself.
    """

    argv: list[str]
    environment: dict[str, str]
    output: Path
    hears: Path | None = None


@dataclass(frozen=True)
class Contender:
    """Somebody who turns a log into documents.

    Args:
        name: for the table and for `--only`.
        version: for people.
        framing: of the output: `json` (a document a line), `msgpack` (documents one after the other), `records` (a line
            a record) or `blocks` (lines of an event behind a line of dashes).
        prepare: writes the configuration into a folder and says how to start; the other path is the log, for those who
            do not read standard input.
        slice_mib: so much of the log it gets, in MiB; 0 for all.
        paced: it can be measured with records that come one by one.
    """

    name: str
    version: str
    framing: str
    prepare: Callable[[Path, Path], Launch]
    slice_mib: float = 0
    paced: bool = True


@dataclass(frozen=True)
class Missing:
    """Somebody who is not here, and why."""

    name: str
    why: str


def all_ours(earlier: Path | None = None) -> list[Contender | Missing]:
    """Ours, followed by `earlier`, the command of another version of ours."""
    command = Path(sys.executable).parent / "audisp-pyaudit"
    ours = [_ours(command, "", "json"), _ours(command, "", "msgpack")]
    if earlier:
        ours += [_ours(earlier.absolute(), "earlier-", "json"), _ours(earlier.absolute(), "earlier-", "msgpack")]
    return ours


def _ours(command: Path, prefix: str, framing: str) -> Contender | Missing:
    name = f"{prefix}audisp-pyaudit-{framing}"
    if not command.exists():
        return Missing(name, f"{command} is not there; `make dev` builds it")

    def prepare(folder: Path, _log: Path) -> Launch:
        output, config = folder / "out", folder / "ours.toml"
        config.write_text(_OURS.format(output=output, framing=framing))
        return Launch([str(command), "--config", str(config)], {}, output)

    return Contender(name, output_of([str(command), "--version"]).rpartition(" ")[2], framing, prepare)


def laurel(which: str) -> Contender | Missing:
    """That of this machine's release, or of `sid`."""
    name = f"laurel-{which}"
    root = PEERS / which
    command = [str(root / "usr/sbin/laurel")]
    if which == "sid":  # another release's libraries come with it
        libraries = next((path.parent for path in root.glob("usr/lib/*/ld-linux-*.so.*")), root)
        loader = next(iter(libraries.glob("ld-linux-*.so.*")), None)
        command = [str(loader), "--library-path", str(libraries), *command]
    if not Path(command[-1]).exists():
        installed = shutil.which("laurel", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if which == "sid" or not installed:
            return Missing(name, "not found; `python -m bench.fetch_peers` brings it")
        command = [installed]
    if not output_of([*command, "--version"]):
        return Missing(name, "does not start here")

    def prepare(folder: Path, _log: Path) -> Launch:
        config = folder / "laurel.toml"
        config.write_text(_LAUREL.format(folder=folder, name="out"))
        return Launch([*command, "-c", str(config)], {}, folder / "out")

    return Contender(name, package_version(which, "laurel"), "json", prepare)


def package_version(which: str, package: str) -> str:
    """Version of a package that `fetch_peers` unpacked, else of the installed one."""
    versions = PEERS / which / "versions.txt"
    if versions.exists():
        lines = versions.read_text().splitlines()
        return next((line.removeprefix(f"{package} ") for line in lines if line.startswith(f"{package} ")), "")
    return output_of(["dpkg-query", "-W", "-f", "${Version}", package])


def output_of(argv: list[str]) -> str:
    """What a command prints; empty if it fails."""
    try:
        done = subprocess.run(argv, env={"PATH": "/usr/bin"}, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
