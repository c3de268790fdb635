"""Fetch Debian packages through apt, in a private folder: the machine's own sources and state stay as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # of the package debian-archive-keyring

# libaudit-dev and libc6-dev exist per architecture; one choice keeps the hashes in data/ the same on every machine.
ARCHITECTURE = "amd64"


def apt(*arguments: str, cwd: Path | None = None) -> str:
    """Run apt-get and return what it prints."""
    # apt's own command line, no shell.
    done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False, cwd=cwd)  # noqa: S603, S607
    if done.returncode:
        raise OSError(f"apt-get {arguments[-1]}: {done.stderr.strip()}")
    return done.stdout


def mirror() -> str:
    """Return the URI of the Debian mirror that this machine uses."""
    only = ("Created-By: Packages", "Label: Debian", "Component: main")
    targets = apt("indextargets", "--format", "$(REPO_URI)", *only)
    if not targets:
        raise OSError("apt-get indextargets: no Debian mirror known; run apt-get update on a Debian machine first")
    return targets.splitlines()[0]


def updated(suite: str, folder: Path) -> list[str]:
    """Fetch the package index of `suite` into `folder`; return the options that make apt-get use it, and only it."""
    signed = f"[signed-by={KEYRING}] " if KEYRING.is_file() else ""
    private = folder.resolve() / f"apt-{suite}"
    for part in ("state/lists/partial", "cache/archives/partial"):
        (private / part).mkdir(parents=True, exist_ok=True)
    (private / "sources.list").write_text(f"deb {signed}{mirror()} {suite} main\n", encoding="utf-8")
    options = {
        "Dir::Etc::sourcelist": f"{private}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": f"{private}/state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": f"{private}/cache",
        "APT::Architecture": ARCHITECTURE,
        "APT::Sandbox::User": "",  # the folder belongs to whoever runs this, not to _apt
    }
    flags = ["--quiet", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]
    apt(*flags, "update")
    return flags


def fetch(wanted: list[tuple[str, list[str]]], folder: Path) -> list[Path]:
    """Download `wanted` (suite and package names) into `folder`; return the .deb files there, sorted."""
    for suite, packages in wanted:
        apt(*updated(suite, folder), "download", *packages, cwd=folder.resolve())
    return sorted(folder.resolve().glob("*.deb"))
