"""How the engine is compiled: the same in every package as in the tree that is measured."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "builder", ["packaging/wheel/build", "packaging/rpm/audisp-pyaudit.spec", "packaging/deb/debian/rules"]
)
def test_every_package_is_compiled_as_what_is_measured(builder: str) -> None:
    """Users get the speed that the documents promise, whichever package they take."""
    flags = tomllib.loads((ROOT / ".cargo/config.toml").read_text())["build"]["rustflags"]
    assert flags[0] == "-C"
    lines = [line for line in (ROOT / builder).read_text().splitlines() if "RUSTFLAGS" in line and "=" in line]
    assert [flag for line in lines for flag in line.replace('"', " ").split() if flag == f"-C{flags[1]}"] == [
        f"-C{flags[1]}"
    ]
