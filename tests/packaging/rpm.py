"""The RPM of this tree, one like it that is newer, and a Debian that has what it requires.

In: the tree, a Debian in a folder. Out: files that rpm installs, and a system on which it does so without being told to
overlook anything.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.packaging import roots
from tests.packaging.package import PLUGIN_CONF, TOML, TREE, change_engine

ARCH = os.uname().machine
OBJECTS = TREE / "build" / "rpm-objects"
# The names of the C library's versions are read from it.
_LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-x86-64.so.2")
_STUB = "debian-stands-in"
# What of the distribution the stub stands for besides, and where it is.
_FOUND = {
    "/bin/sh": "bin/sh",
    "/usr/bin/python3.11": "usr/bin/python3.11",
    "python3.11": "usr/bin/python3.11",
    "shadow-utils": "usr/sbin/useradd",
    "audit": "usr/sbin/auditd",
}
# What the scripts and the launcher of the RPM find in a Debian under other names of packages.
_INSTALLED = ("auditd", "passwd", "python3.11", "rpm", "systemd")


def why_not() -> str:
    """Why no RPM can be built and tried here; empty if it can."""
    missing = [each for each in ("rpmbuild", "rpm") if shutil.which(each) is None]
    if not Path("/usr/bin/python3.11").exists():
        missing.append("/usr/bin/python3.11")
    return f"{', '.join(missing)} is missing (make test-packages installs it)" if missing else ""


def said(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(
        [*command], capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def build(folder: Path, arch: str = ARCH, tree: Path = TREE, dist: str = "") -> Path:
    """Build the package from a source tarball, as `make rpm` does.

    Args:
        folder: where it is put.
        arch: the machine it is for.
        tree: what it is made of.
        dist: what its release has at the end.
    """
    shutil.rmtree(folder, ignore_errors=True)
    environment = {"VIRTUAL_ENV": sys.prefix, "RPM_OBJECTS": str(OBJECTS), "RPM_DIST": dist}
    said(tree / "packaging" / "rpm" / "build", arch, folder, environment=environment)
    (rpm,) = folder.glob(f"*.{arch}.rpm")
    return rpm


def next_one(rpm: Path, folder: Path) -> Path:
    """The same sources with a higher release, a line more in both configurations, and another engine."""
    (source,) = [
        each for each in (rpm.parent / "SOURCES").glob("*.tar.gz") if re.search(r"-[\d.]+\.tar\.gz\Z", each.name)
    ]
    said("tar", "-C", folder, "-xzf", source)
    tree = folder / source.name.removesuffix(".tar.gz")
    for name in (PLUGIN_CONF, TOML):
        with (tree / "plugin" / Path(name).name).open("a") as file:
            file.write("\n# What the next version has to add.\n")
    change_engine(tree)
    return build(folder / "rpm", tree=tree, dist=".next")


def _of_libraries(root: Path) -> list[str]:
    """What a system's C library provides, as rpm names it."""
    paths = [path for name in _LIBRARIES for path in (root / "usr" / "lib").glob(f"*-linux-gnu/{name}")]
    paths += [*(root / "lib64").glob("ld-linux-*.so.2"), *(root / "lib").glob("ld-linux-*.so.1")]
    found = {line for path in paths for line in said("/usr/lib/rpm/elfdeps", "--provides", path).splitlines()}
    return sorted(found | {"rtld(GNU_HASH)"})


def _empty(name: str, provided: Iterable[str], folder: Path) -> Path:
    """A package without files that provides what it is told to."""
    spec = folder / f"{name}.spec"
    lines = [f"Name: {name}", "Version: 1", "Release: 1", "Summary: It stands in", "License: Apache-2.0"]
    lines += ["BuildArch: noarch", *(f"Provides: {each}" for each in provided)]
    spec.write_text("\n".join([*lines, "%description", "What a system has.", "%files", ""]))
    said("rpmbuild", "-bb", "--define", f"_topdir {folder}", spec)
    return folder / "RPMS" / "noarch" / f"{name}-1-1.noarch.rpm"


def _stub(root: Path, folder: Path) -> Path:
    """A package that provides what a system has that was not installed by rpm: each thing is looked for."""
    for path in _FOUND.values():
        assert (root / path).exists()
    return _empty(_STUB, [*_of_libraries(root), *_FOUND], folder)


def repository(root: Path, folder: Path, others: Iterable[str]) -> Path:
    """A folder with what EL has of what the package requires, under EL's names, all of it empty; and other packages.

    Args:
        root: a system, whose C library says what EL's provides.
        folder: where.
        others: names of packages that it has besides.
    """
    of_el = {"glibc": _of_libraries(root), "bash": ["/bin/sh"], "python3.11": ["/usr/bin/python3.11"]}
    made = [_empty(name, of_el.get(name, []), folder) for name in (*of_el, "shadow-utils", "audit", *others)]
    return made[0].parent


def system(folder: Path, arch: str = "") -> Path:
    """A Debian with auditd and rpm, whose database of packages knows what is there; ARCH as `roots.clean` has it."""
    clean = roots.clean("bookworm", arch)
    archive = clean.with_name(f"{clean.stem}-rpm.tar")
    if not archive.exists():
        root = _with(clean, folder / "first", *_INSTALLED)
        stub = _stub(root, folder)
        shutil.copy(stub, root / "tmp" / stub.name)
        roots.run(root, "rpm", "--install", f"/tmp/{stub.name}")  # noqa: S108  # of that system
        roots.pack(root, archive)
        shutil.rmtree(root)
    return roots.unpack(archive, folder / "root")


def dnf_system(folder: Path) -> Path:
    """A Debian with dnf, whose database of packages is empty."""
    return _with(roots.clean("bookworm"), folder / "root", *_INSTALLED, "createrepo-c", "dnf")


def _with(clean: Path, root: Path, *packages: str) -> Path:
    roots.unpack(clean, root)
    roots.run(root, "apt-get", "--yes", "--quiet", "--no-install-recommends", "install", *packages)
    return root


def tags(rpm: Path, *names: str) -> list[tuple[str, ...]]:
    """Tags of a package that are lists, side by side: a row for each file, say."""
    return [
        tuple(line.split("\t"))
        for line in said(
            "rpm", "-qp", "--queryformat", "[" + "\t".join(f"%{{{each}}}" for each in names) + "\n]", rpm
        ).splitlines()
    ]
