"""Who else runs: what the distribution has for people who read audit records, and what does not decode at all.

In: packages that `bench.fetch_peers` unpacked, or what is installed. Out: contenders, or why they are missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.contenders import HERE, PEERS, Contender, Launch, Missing, all_ours, laurel, package_version

_SYSTEM_PYTHON = Path("/usr/bin/python3")
_ROOT = PEERS / "release"
_FETCH = "`python -m bench.fetch_peers` brings it"
# They get slower the more they were fed, so this is in their favour.
_AUPARSE_MIB, _AUSEARCH_MIB = 10.0, 5.0
# audisp-syslog speaks to /dev/log and to nothing else. In a mount namespace of its own that is ours, and the rest of
# the system is not touched. The processor time of `unshare` and `sh`, some milliseconds, is in its figure.
_NAMESPACE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    'mount -t tmpfs none /dev && ln -s "$1" /dev/log && shift && exec "$@"',
    "sh",
)


def all_contenders(earlier: Path | None = None) -> list[Contender | Missing]:
    """Everybody, ours first; `earlier` is the command of another version of ours."""
    return [*all_ours(earlier), laurel("release"), laurel("sid"), auparse(), ausearch(), syslog(), copy()]


def auparse() -> Contender | Missing:
    """Some thirty lines of Python on libauparse."""
    name = "auparse-python"
    environment = {"PYTHONPATH": str(_ROOT / "usr/lib/python3/dist-packages"), **_libraries()}
    if not _works([str(_SYSTEM_PYTHON), "-c", "import auparse"], environment):
        return Missing(name, f"python3-audit not found; {_FETCH}")

    def prepare(folder: Path, _log: Path) -> Launch:
        output = folder / "out"
        return Launch([str(_SYSTEM_PYTHON), str(HERE / "peer_auparse.py"), str(output)], environment, output)

    version = package_version("release", "python3-audit")
    return Contender(name, version, "json", prepare, slice_mib=_AUPARSE_MIB, paced=False)


def ausearch() -> Contender | Missing:
    """What an administrator types: every field interpreted, as text. It is no plugin; it reads a file."""
    name, command = "ausearch-i", _program("ausearch")
    if command is None or not _works([str(command), "--version"], _libraries()):
        return Missing(name, f"auditd's package not found; {_FETCH}")

    def prepare(folder: Path, log: Path) -> Launch:
        output = folder / "out"
        argv = ["/bin/sh", "-c", 'exec "$0" -i --input "$1" > "$2"', str(command), str(log), str(output)]
        return Launch(argv, _libraries(), output)

    version = package_version("release", "auditd")
    return Contender(name, version, "blocks", prepare, slice_mib=_AUSEARCH_MIB, paced=False)


def syslog() -> Contender | Missing:
    """What comes with auditd: each record to syslog as it is. Somebody else has to decode it, and to write it."""
    name, command = "audisp-syslog", _program("audisp-syslog")
    if command is None:
        return Missing(name, f"auditd's package not found; {_FETCH}")
    if not _works([*_NAMESPACE, "/", "/bin/true"], {"PATH": "/usr/bin:/bin"}):
        return Missing(name, "no mount namespace can be made here, so that it would write to this machine's syslog")

    def prepare(folder: Path, _log: Path) -> Launch:
        environment = {"PATH": "/usr/bin:/bin", **_libraries()}
        # Not in the folder: that may be below /dev, which is another one there.
        address = Path(tempfile.gettempdir()) / f"audisp-pyaudit-bench.{os.getpid()}.log"
        return Launch([*_NAMESPACE, str(address), str(command), "LOG_INFO"], environment, folder / "out", address)

    return Contender(name, package_version("release", "auditd"), "records", prepare)


def copy() -> Contender | Missing:
    """The floor: what comes in goes out, in blocks of 256 KiB."""
    command = shutil.which("dd", path="/usr/bin:/bin")
    if command is None:
        return Missing("copy", "there is no dd")

    def prepare(folder: Path, _log: Path) -> Launch:
        output = folder / "out"
        return Launch([command, "bs=256K", "status=none", f"of={output}"], {}, output)

    return Contender("copy", package_version("installed", "coreutils"), "records", prepare)


def _program(name: str) -> Path | None:
    """Unpacked, else installed."""
    unpacked = [_ROOT / "usr/sbin" / name, _ROOT / "sbin" / name]
    installed = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin")
    return next((path for path in unpacked if path.exists()), Path(installed) if installed else None)


def _libraries() -> dict[str, str]:
    """Where the unpacked libraries are."""
    folders = sorted({str(path.parent) for path in _ROOT.glob("**/lib*.so.*")})
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


def _works(argv: list[str], environment: dict[str, str]) -> bool:
    try:
        return subprocess.run(argv, env=environment, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    for each in all_contenders():
        print(f"{each.name}: missing: {each.why}" if isinstance(each, Missing) else f"{each.name} {each.version}")
    sys.exit()
