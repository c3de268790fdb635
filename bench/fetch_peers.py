"""Bring the peers: Debian packages, downloaded by apt and unpacked into `bench/out/.peers`. Nothing is installed.

`release` is the machine's own Debian release, `sid` Debian's newest. No maintainer script runs, no service is touched,
root is not needed. What cannot be had is named and left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.contenders import PEERS

_RELEASE = ("laurel", "auditd", "python3-audit", "libauparse0", "libaudit1")
# sid's laurel needs sid's C library, which is run beside the machine's own.
_SID = ("laurel", "libc6", "libgcc-s1", "libacl1")


class FetchError(Exception):
    """A package could not be had."""


def _run(argv: list[str], folder: Path) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise FetchError(f"{argv[0]}: {lines[-1]}")
    return done.stdout


def _sid_options(folder: Path) -> list[str]:
    """Let apt look at sid, with the same mirror as ever, in a folder of its own."""
    wanted = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]
    sites = [line.split() for line in _run(wanted, folder).splitlines()]
    mirrors = [site for site, release, part in sites if part == "main" and "-" not in release and "/debian" in site]
    if not mirrors:
        raise FetchError("apt knows no Debian mirror")
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirrors[0]} sid main\n")
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::Languages": "none",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def fetch(which: str, packages: tuple[str, ...]) -> list[str]:
    """Download and unpack; return `name version` of each package.

    Raises:
        FetchError: something could not be had; what was there before stays.
    """
    target = PEERS / which
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options: list[str] = []
        if which == "sid":
            options = _sid_options(folder)
            _run(["apt-get", *options, "update"], folder)
        _run(["apt-get", *options, "download", *packages], folder)
        debs = sorted(folder.glob("*.deb"))
        if target.exists():
            shutil.rmtree(target)
        target.mkdir(parents=True)
        for deb in debs:
            _run(["dpkg-deb", "-x", str(deb), str(target)], folder)
        versions = [_run(["dpkg-deb", "-f", str(deb), "Package", "Version"], folder) for deb in debs]
    lines = [" ".join(line.partition(": ")[2] for line in version.splitlines()) for version in versions]
    (target / "versions.txt").write_text("".join(f"{line}\n" for line in lines))
    return lines


def main() -> int:
    """Bring what can be had."""
    missed = 0
    for which, packages in (("release", _RELEASE), ("sid", _SID)):
        try:
            print(f"{which}: {', '.join(fetch(which, packages))}")
        except (FetchError, OSError) as error:
            print(f"{which}: not to be had: {error}")
            missed += 1
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
