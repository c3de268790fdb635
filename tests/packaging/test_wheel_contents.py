"""What stands in the wheels, and that the source distribution makes the same ones."""

import hashlib
import json
import os
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import TREE
from tests.packaging.wheels import ARCHES, BUILD, SDIST, VERSION, said, wheel

pytestmark = pytest.mark.timeout(900)
_INFO = f"audisp_pyaudit-{VERSION}.dist-info"


@pytest.mark.parametrize("arch", ARCHES)
def test_it_runs_where_it_says(arch: str) -> None:
    """To auditwheel it asks for no symbol that a Linux of 2018 has not, and for no library that has to come along."""
    told = " ".join(said(Path(sys.prefix) / "bin" / "auditwheel", "show", wheel(arch)).split())
    assert f'is consistent with the following platform tag: "manylinux_2_28_{arch}"' in told


@pytest.mark.parametrize("arch", ARCHES)
def test_all_of_the_code_and_nothing_else(arch: str) -> None:
    """The wheel has each module of the tree, one engine, types, the licence, and no path of who built it."""
    with zipfile.ZipFile(wheel(arch)) as archive:
        names = set(archive.namelist())
        content = {name: archive.read(name) for name in names}
    tree = {
        str(each.relative_to(TREE / "src"))
        for each in (TREE / "src" / "audisp_pyaudit").rglob("*.py*")
        if each.is_file()
    }
    tree = {name for name in tree if name.endswith((".py", ".pyi"))}
    code = {*tree, "audisp_pyaudit/py.typed", "audisp_pyaudit/_engine.abi3.so"}
    assert {name for name in names if not name.startswith(_INFO)} == code
    # What is compiled in has authors, too.
    assert {f"{_INFO}/licenses/{each}" for each in ("LICENSE", "LICENSE.crates", "NOTICE")} <= names
    assert message_from_string(content[f"{_INFO}/METADATA"].decode())["Version"] == VERSION
    assert [name for name, data in content.items() if str(TREE).encode() in data or b"/.cargo/" in data] == []


@pytest.mark.parametrize("arch", ARCHES)
def test_what_it_is_made_of(arch: str) -> None:
    """The SBOM in the wheel names every crate of Cargo.lock that is linked, with its hash."""
    with zipfile.ZipFile(wheel(arch)) as archive:
        told = json.loads(archive.read(f"{_INFO}/sboms/audisp-pyaudit.cdx.json"))
    assert told["bomFormat"] == "CycloneDX"
    parts = {each["name"]: each for each in told["components"]}
    assert parts.keys() >= {"pyo3", "memchr", "lz4_flex", "crc32fast"}
    assert all(
        len(each["hashes"][0]["content"]) == hashlib.sha256().digest_size * 2 and each["licenses"]
        for each in parts.values()
    )


def test_the_source_distribution_makes_the_same_wheel(tmp_path: Path) -> None:
    """Whoever builds from PyPI's sources, in another folder and from nothing, gets PyPI's wheel, byte for byte."""
    arch = os.uname().machine
    with tarfile.open(SDIST) as archive:
        assert {each.split("/")[0] for each in archive.getnames()} == {f"audisp_pyaudit-{VERSION}"}
    said("tar", "-C", tmp_path, "-xzf", SDIST)
    tree = tmp_path / f"audisp_pyaudit-{VERSION}"
    said(BUILD, arch, tree, tmp_path / "dist", VIRTUAL_ENV=sys.prefix, WHEEL_TARGET_DIR=str(tmp_path / "objects"))
    (made,) = (tmp_path / "dist").glob("*.whl")
    assert made.name == wheel(arch).name
    assert made.read_bytes() == wheel(arch).read_bytes()
