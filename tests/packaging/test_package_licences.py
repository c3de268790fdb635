"""Licences: every part of what is given out is named with its own, and its text is there. Nothing has to be built."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import TREE

RPM = TREE / "packaging" / "rpm"
SPEC = (RPM / "audisp-pyaudit.spec").read_text()
COPYRIGHT = (TREE / "packaging" / "deb" / "debian" / "copyright").read_text()
CRATES = [
    each
    for each in tomllib.loads((TREE / "src" / "Cargo.lock").read_text())["package"]
    if not each["name"].startswith("pyaudit-")
]


def said(*command: str | Path) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def bundled() -> list[tuple[str, str, str, str, str]]:
    """What the RPM brings: part of what, name, version, licence, file with the text."""
    lines = (RPM / "bundled.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [(whole, name, version, licence, text) for whole, name, version, licence, text in rows]


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    """What the RPM is made of, as told to machines."""
    found: dict[str, Any] = json.loads(said(TREE / "tools" / "sbom", TREE, RPM / "bundled.txt"))
    return found


def test_what_is_written_of_crates_is_what_they_say() -> None:
    """LICENSE.crates and the deb's copyright file are those of the versions that are linked now."""
    said(TREE / "tools" / "crate-licences", "--check")


def test_each_linked_crate_has_its_text() -> None:
    """Who gets a wheel gets the notice that the authors of each crate in the engine ask for."""
    which = ["--manifest-path", str(TREE / "src" / "Cargo.toml"), "--package", "pyaudit-engine-py", "--locked"]
    how = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    linked = set(re.findall(r"^(?!pyaudit-)(\S+) v(\S+)", said("cargo", "tree", *which, *how), re.MULTILINE))
    parts = re.split(r"^-{100}$", (TREE / "LICENSE.crates").read_text(), flags=re.MULTILINE)[1:]
    found = {(each.split()[0], each.split()[1].removesuffix(":")) for each in parts}
    assert found == linked
    assert all(re.search(r"WARRANTY|warranty", each) for each in parts)


def test_the_deb_has_the_text_of_every_licence_that_it_names() -> None:
    """Nobody is sent to a file that the package does not have, and each crate in the source package has its authors."""
    used = {
        word
        for line in re.findall(r"^License: (.*)$", COPYRIGHT, re.MULTILINE)
        for word in re.split(r",? (?:and|or) ", line)
    }
    texts = dict(re.findall(r"^License: (.*)\n((?: .*\n)+)", COPYRIGHT, re.MULTILINE))
    assert used == texts.keys()
    assert "file UNLICENSE" not in COPYRIGHT
    files = set(re.findall(r"vendor/(\S+)/\*", COPYRIGHT))
    assert files == {f"{each['name']}-{each['version']}" for each in CRATES}


def test_one_list_of_what_the_rpm_brings(sbom: dict[str, Any]) -> None:
    """Whoever looks for a library with a hole in it finds it, in the RPM's `bundled()` and the SBOM, by its version."""
    pinned = dict(re.findall(r"^([a-z-]+)==(\S+) ", (RPM / "bundled.txt").read_text(), re.MULTILINE))
    assert {name: version for whole, name, version, *_ in bundled() if whole == "-"} == pinned
    provides = re.findall(r"^Provides: +bundled\(([a-z0-9-]+)\)(?: = (\S+))?$", SPEC, re.MULTILINE)
    libraries = {name: version.removeprefix("-") for whole, name, version, *_ in bundled() if whole != "-"}
    assert dict(provides) == libraries
    told = {each["name"]: each.get("version", "") for each in sbom["components"]}
    assert told.items() >= {**pinned, **libraries}.items()
    assert all(each["licenses"] for each in sbom["components"])


def test_each_library_has_its_text_and_its_word_in_the_spec(sbom: dict[str, Any]) -> None:
    """The RPM's License: covers all of it, and the texts are there."""
    (licence,) = re.findall(r"^License: +(.*)$", SPEC, re.MULTILINE)
    for part in sbom["components"]:
        for each in part["licenses"]:
            for word in re.split(r" (?:AND|OR) ", each["expression"]):
                assert word in licence, part["name"]
    for whole, name, _, _, text in bundled():
        assert (text == "-") == (whole == "-"), name
        if text != "-":
            names = {"librdkafka": "LICENSE\n", "snappy-c": "LICENSE.snappy\n"}.get(name, f"LICENSE.{name}\n")
            content = (RPM / "licenses" / text).read_text()
            assert text != "librdkafka.txt" or f"\n{names}" in f"\n{content}", name


def test_what_is_inside_what(sbom: dict[str, Any]) -> None:
    """Whoever asks why OpenSSL is in it is led to confluent-kafka."""
    inside = {each["ref"]: each["dependsOn"] for each in sbom["dependencies"]}
    kafka = next(ref for ref in inside if ref.startswith("pkg:pypi/confluent-kafka@"))
    (library,) = inside[kafka]
    assert any(each.startswith("pkg:generic/openssl@") for each in inside[library])


def test_the_notice() -> None:
    """Whose work what events mean is after is said in each package."""
    assert "go-libaudit" in (TREE / "NOTICE").read_text()
    assert "NOTICE" in (TREE / "packaging" / "documents.txt").read_text().split()
