"""The deb of this tree, and one like it that is newer.

In: the tree. Out: files that apt installs.
"""

import hashlib
import os
import re
import subprocess
from pathlib import Path

TREE = Path(__file__).parents[2]
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
ENGINE = "usr/lib/audisp-pyaudit/audisp_pyaudit/_engine.abi3.so"
# What an engine has that `change_engine` has changed.
CHANGED = b"changed by a test"
PLUGIN_CONF = "etc/audit/plugins.d/audisp-pyaudit.conf"
TOML = "etc/audisp-pyaudit/audisp-pyaudit.toml"


def build(folder: Path, arch: str = ARCH, target: Path | None = None, tree: Path = TREE) -> Path:
    """Build the package from a source tarball, as `make deb` does.

    Args:
        folder: where.
        arch: the machine it is for, as Debian calls it.
        target: where cargo keeps what it has compiled; None for where it always is.
        tree: what it is made of.
    """
    environment = {**os.environ, **({"CARGO_TARGET_DIR": str(target)} if target else {})}
    command = [str(tree / "packaging" / "deb" / "build"), arch, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (deb,) = folder.glob(f"audisp-pyaudit_*_{arch}.deb")  # not the one with symbols for a debugger
    return deb


def change_engine(tree: Path) -> None:
    """Have a tree's engine differ, as that of a next version does."""
    source = tree / "src" / "engine-py" / "src" / "lib.rs"
    first = "    module.add_class::<Engine>()?;\n"
    assert first in source.read_text()
    source.write_text(
        source.read_text().replace(first, f'{first}    module.add("CHANGED", "{CHANGED.decode()}")?;\n', 1)
    )


def field(deb: Path, name: str) -> str:
    """A field of a package's control file."""
    done = subprocess.run(["dpkg-deb", "--field", deb, name], capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


def next_one(deb: Path, folder: Path) -> Path:
    """The same package with a higher version, in which both configurations have a line more.

    So the next upgrade has something to ask where the administrator has changed them.
    """
    work = folder / "next"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, work], check=True)  # noqa: S607
    sums = work / "DEBIAN" / "md5sums"
    text = sums.read_text()
    for name in (PLUGIN_CONF, TOML):
        path = work / name
        before = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        with path.open("a") as file:
            file.write("\n# What the next version has to add.\n")
        text = text.replace(before, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())
    sums.write_text(text)
    control = work / "DEBIAN" / "control"
    bumped = re.sub(r"^(Version: .*)$", r"\1+next1", control.read_text(), flags=re.MULTILINE)
    control.write_text(bumped)
    made = folder / f"{field(deb, 'Package')}_{field(deb, 'Version')}+next1.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", work, made], check=True, capture_output=True)  # noqa: S607
    return made


def version(root: Path) -> str:
    """The version of what is installed in a system, as Python is told it."""
    (found,) = (root / "usr" / "lib" / "audisp-pyaudit").glob("*.dist-info")
    return found.name.removesuffix(".dist-info").rpartition("-")[2]
