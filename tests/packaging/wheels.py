"""The wheels and the source distribution that `make wheels` has made, and a Python of another machine to run one.

In: dist/. Out: files; a folder with Debian's Python for aarch64, of which nothing is installed.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.packaging.package import TREE

sys.path.insert(0, str(TREE / "src"))  # `knowledge` is scripts, not installed

from knowledge import download

DIST = TREE / "dist"
ARCHES = ("x86_64", "aarch64")
VERSION = tomllib.loads((TREE / "src" / "Cargo.toml").read_text())["workspace"]["package"]["version"]
SDIST = DIST / f"audisp_pyaudit-{VERSION}.tar.gz"
BUILD = TREE / "packaging" / "wheel" / "build"
FOREIGN = TREE / "build" / "aarch64"
EMULATOR = "qemu-aarch64-static"


def wheel(arch: str) -> Path:
    """The wheel for a machine; its name says for which Python and which C library it is."""
    return DIST / f"audisp_pyaudit-{VERSION}-cp311-abi3-manylinux_2_28_{arch}.whl"


def said(*command: str | Path, **environment: str) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run([*command], capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def foreign_python(folder: Path) -> Path:
    """A folder with Debian 12's Python for aarch64 and the libraries that it needs, fetched once."""
    root = FOREIGN / "root"
    if not root.exists():
        work = folder / "packages"
        work.mkdir()
        # After the options for this machine's own: the last one counts.
        flags = [
            *download.updated("bookworm", folder),
            "-o",
            "APT::Architecture=arm64",
            "-o",
            "APT::Architectures::=arm64",
        ]
        download.apt(*flags, "update")
        simulated = download.apt(*flags, "--simulate", "--no-install-recommends", "install", "python3.11")
        wanted = [line.split()[1] for line in simulated.splitlines() if line.startswith("Inst ")]
        download.apt(*flags, "download", *wanted, cwd=work)
        FOREIGN.mkdir(parents=True, exist_ok=True)
        part = FOREIGN / "part"
        for deb in sorted(work.glob("*.deb")):
            said("dpkg-deb", "--extract", deb, part)
        part.rename(root)
    return root
