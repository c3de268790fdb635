"""The manual pages: complete, and right for every reader of such pages."""

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from audisp_pyaudit.cli import cli
from audisp_pyaudit.config import Config, Rule
from audisp_pyaudit.sink_settings import SINK_TYPES

MAN = Path(__file__).parents[2] / "man"
PAGES = [MAN / "audisp-pyaudit.8", MAN / "audisp-pyaudit.toml.5"]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """The generator, which is no module of ours."""
    spec = importlib.util.spec_from_file_location("man_build", MAN / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(page: Path) -> str:
    """What a page says, without its markup."""
    return re.sub(r"\\f[A-Z]|\\", "", page.read_text().replace("\\(dq", '"').replace("\\[dq]", '"'))


def test_they_are_what_the_generator_makes(build: ModuleType) -> None:
    """The reference of keys is the one in the annotated configuration; there are not two to differ."""
    for page in PAGES:
        assert build.page(page.name) == page.read_text(), f"run man/build.py: {page.name}"


def test_every_key_is_there() -> None:
    """Whoever reads the page learns of every key that there is."""
    text = said(PAGES[1])
    sections = [each for each in vars(Config()).values() if dataclasses.is_dataclass(each)]
    assert len(sections) > 5
    for each in (key for section in sections for key in dataclasses.fields(section)):
        assert re.search(rf"\b{each.name}\b", text), each.name
    for kind, settings in SINK_TYPES.items():
        assert f'"{kind}"' in text
        for each in dataclasses.fields(settings):
            assert re.search(rf"\b{each.name}\b", text), f"{kind}: {each.name}"
    for each in dataclasses.fields(Rule):
        assert re.search(rf"\b{each.name}\b", text), each.name


def test_every_command_is_there() -> None:
    """Whoever reads the page learns of every command that there is."""
    told = CliRunner().invoke(cli, ["--help"]).output
    commands = re.findall(r"^  ([a-z-]+) ", told[told.index("Commands:") :], re.MULTILINE)
    assert len(commands) >= 3
    for each in commands:
        assert each in said(PAGES[0])


def test_blocks_become_entries(build: ModuleType) -> None:
    """A comment, the keys behind it and an example are an entry; what looks like markup stays text."""
    made = build.keys(
        "# The file.\n\n# About the part.\n#[part]\n\n"
        "# What it is; a * and under_score, and `code`.\n#one = 1\n#two = []\n\n"
        '# type = "x": a sort.\n# key: what\n#   it means.\n# More.\n#>[sinks.a]\n#>type = "x"\n'
    )
    assert "The file" not in made
    assert "[part]\n------" in made
    assert "**one** = ``1``, **two** = ``[]``\n    What it is; a \\* and under\\_score, and ``code``." in made
    assert '[sinks.NAME] type = "x"' in made
    assert "A sort." in made
    assert "**key**\n    what it means.\n" in made
    assert "\nMore.\n" in made
    assert '    [sinks.a]\n    type = "x"' in made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
@pytest.mark.parametrize("linter", ["mandoc", "groff"])
def test_they_are_linted(page: Path, linter: str) -> None:
    """They read well on every system, whichever formatter it has."""
    found = shutil.which(linter)
    if found is None:
        assert not os.environ.get("CI"), f"{linter} is not installed"
        pytest.skip(f"{linter} is not installed")
    options = ["-T", "lint", "-W", "warning"] if linter == "mandoc" else ["-man", "-Tutf8", "-ww", "-z", "-K", "utf-8"]
    done = subprocess.run([found, *options, str(page)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
