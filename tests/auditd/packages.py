"""The auditds of Debian's suites, unpacked beside each other; nothing is installed, and nothing of them is started.

In: Debian's archive, as apt on this machine knows it. Out: a folder for each suite, with auditd, the C library and all
other libraries that it needs; they run with the loader in there, whatever this machine has.

    python -m tests.auditd.packages    fetches what is missing; `make test` does that
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge import download

# Debian 12 has 3.0.9, Debian 13 has 4.0.2, and the last one what is newest.
SUITES = ("bookworm", "trixie", "sid")
FOLDER = Path(sys.prefix) / "auditd"
_VERSION = "version"
_INSTALLED = re.compile(r"^Inst ((?:lib|auditd)\S*) ", re.MULTILINE)


@dataclass(frozen=True)
class Unpacked:
    """An auditd that can be started, of a suite."""

    suite: str
    root: Path

    @functools.cached_property
    def version(self) -> tuple[int, ...]:
        """Its version, upstream's."""
        return tuple(int(each) for each in (self.root / _VERSION).read_text().split("."))

    def command(self, preload: Path | None = None) -> list[str]:
        """What starts it: with its own loader and libraries.

        Args:
            preload: a library that goes before all of them.
        """
        loader, *_ = sorted(self.root.glob("**/ld-linux-*.so.*"))
        libraries = sorted({str(each.parent) for each in self.root.glob("**/lib*.so.*")})
        before = ["--preload", str(preload)] if preload else []
        program = next(each for each in (self.root / "usr/sbin/auditd", self.root / "sbin/auditd") if each.exists())
        return [str(loader), "--library-path", ":".join(libraries), *before, str(program)]


def unpacked(suite: str, folder: Path = FOLDER) -> Unpacked | None:
    """The auditd of a suite; None if it was not fetched."""
    found = Unpacked(suite, folder / suite)
    return found if (found.root / _VERSION).exists() else None


def upstream(version: str) -> str:
    """The version that upstream gave it: `1:4.0.2-2+deb13u1` is 4.0.2."""
    found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)
    assert found, version
    return found[1]


def fetch(suite: str, folder: Path = FOLDER) -> None:
    """Fetch and unpack a suite's auditd and all that it needs, unless they are there; no script of theirs is run."""
    if unpacked(suite, folder) is not None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        flags = download.updated(suite, work)
        wanted = _INSTALLED.findall(download.apt(*flags, "--simulate", "--no-install-recommends", "install", "auditd"))
        download.apt(*flags, "download", *wanted, cwd=work)
        root = work / "root"
        for deb in sorted(work.glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", str(deb), str(root)], check=True)  # noqa: S607
        (deb,) = work.glob("auditd_*.deb")
        version = subprocess.run(
            ["dpkg-deb", "--field", str(deb), "Version"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        (root / _VERSION).write_text(upstream(version))
        shutil.rmtree(folder / suite, ignore_errors=True)
        root.rename(folder / suite)


def why_not() -> str:
    """Why there is no auditd to be started here; empty if there is."""
    if os.uname().machine != "x86_64":
        return "the auditds that are fetched are those of amd64"
    missing = [suite for suite in SUITES if unpacked(suite) is None]
    return f"the auditd of {', '.join(missing)} is not in {FOLDER} (make test brings it)" if missing else ""


def _know_the_mirror() -> None:
    """On a machine that never asked for Debian's packages, ask."""
    try:
        download.mirror()
    except OSError:
        download.apt("update")


if __name__ == "__main__":
    if any(unpacked(each) is None for each in SUITES):
        _know_the_mirror()
    with ThreadPoolExecutor() as pool:  # most of it is waiting
        list(pool.map(fetch, SUITES))
