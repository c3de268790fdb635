"""Who runs: `audisp-pyaudit`, and what a user would pick instead. How each is found, configured and started.

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
_SYSTEM_PYTHON = Path("/usr/bin/python3")

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
    """How one run is started and where it writes to. auditd starts plugins with an empty environment, so do we."""

    argv: list[str]
    environment: dict[str, str]
    output: Path


@dataclass(frozen=True)
class Contender:
    """Somebody who turns a log into documents.

    Args:
        name: for the table and for `--only`.
        version: for people.
        framing: of the output: `json` (a document a line) or `msgpack` (documents one after the other).
        prepare: writes the configuration into a folder and says how to start.
        slow: gets a slice of the log only.
    """

    name: str
    version: str
    framing: str
    prepare: Callable[[Path], Launch]
    slow: bool = False


@dataclass(frozen=True)
class Missing:
    """Somebody who is not here, and why."""

    name: str
    why: str


def all_contenders(earlier: Path | None = None) -> list[Contender | Missing]:
    """Everybody, ours first, followed by `earlier`, the command of another version of ours."""
    command = Path(sys.executable).parent / "audisp-pyaudit"
    ours = [_ours(command, "", "json"), _ours(command, "", "msgpack")]
    if earlier:
        ours += [_ours(earlier.absolute(), "earlier-", "json"), _ours(earlier.absolute(), "earlier-", "msgpack")]
    return [*ours, _laurel("release"), _laurel("sid"), _auparse()]


def _ours(command: Path, prefix: str, framing: str) -> Contender | Missing:
    name = f"{prefix}audisp-pyaudit-{framing}"
    if not command.exists():
        return Missing(name, f"{command} is not there; `make dev` builds it")

    def prepare(folder: Path) -> Launch:
        output, config = folder / "out", folder / "ours.toml"
        config.write_text(_OURS.format(output=output, framing=framing))
        return Launch([str(command), "--config", str(config)], {}, output)

    return Contender(name, _output([str(command), "--version"]).rpartition(" ")[2], framing, prepare)


def _laurel(which: str) -> Contender | Missing:
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
    if not _output([*command, "--version"]):
        return Missing(name, "does not start here")

    def prepare(folder: Path) -> Launch:
        config = folder / "laurel.toml"
        config.write_text(_LAUREL.format(folder=folder, name="out"))
        return Launch([*command, "-c", str(config)], {}, folder / "out")

    return Contender(name, package_version(which, "laurel"), "json", prepare)


def _auparse() -> Contender | Missing:
    name, root = "auparse-python", PEERS / "release"
    environment = {
        "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
        "LD_LIBRARY_PATH": ":".join(str(path.parent) for path in root.glob("**/libauparse.so.0")),
    }
    argv = [str(_SYSTEM_PYTHON), "-c", "import auparse"]
    try:
        subprocess.run(argv, env=environment, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return Missing(name, "python3-audit not found; `python -m bench.fetch_peers` brings it")

    def prepare(folder: Path) -> Launch:
        output = folder / "out"
        return Launch([str(_SYSTEM_PYTHON), str(HERE / "peer_auparse.py"), str(output)], environment, output)

    return Contender(name, package_version("release", "python3-audit"), "json", prepare, slow=True)


def package_version(which: str, package: str) -> str:
    """Version of a package that `fetch_peers` unpacked, else of the installed one."""
    versions = PEERS / which / "versions.txt"
    if versions.exists():
        lines = versions.read_text().splitlines()
        return next((line.removeprefix(f"{package} ") for line in lines if line.startswith(f"{package} ")), "")
    return _output(["dpkg-query", "-W", "-f", "${Version}", package])


def _output(argv: list[str]) -> str:
    """What a command prints; empty if it fails."""
    try:
        done = subprocess.run(argv, env={"PATH": "/usr/bin"}, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
