"""The documents in a package: all that they name is there."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import TREE

SCRIPT = TREE / "packaging" / "documents.py"
_LINK = re.compile(r"\]\((?!\w+:|#)([^)\s]*)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.fixture(params=["deb", "rpm"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The documents of a kind of package."""
    made = tmp_path / str(request.param)
    subprocess.run([sys.executable, "-I", SCRIPT, made.name, made], check=True)
    return made


def test_every_link_leads_somewhere(folder: Path) -> None:
    """Who reads a document on a host can follow it; what the package has not is not pointed to."""
    dangling = []
    count = 0
    for document in folder.glob("*.md"):
        for link in _LINK.findall(document.read_text()):
            count += 1
            name, _, anchor = link.partition("#")
            target = folder / name if name else document
            headings = _HEADING.findall(target.read_text()) if target.exists() else []
            slugs = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
            if not target.exists() or (anchor and anchor not in slugs):
                dangling.append((document.name, link))
    assert dangling == []
    assert count > 10


def test_what_an_administrator_needs_is_there(folder: Path) -> None:
    """What the package does to a host, who can do what to it, and how to read events."""
    kind = folder.name
    assert {"README.md", f"README.{kind}.md", "SECURITY.md", "consuming.md", "delivery.md"} <= {
        each.name for each in folder.iterdir()
    }
    assert "packaging/" not in "".join(_LINK.findall((folder / "README.md").read_text()))


def test_the_text_stays() -> None:
    """A link that leads nowhere in a package is its words; others keep their place within a document."""
    text = "[a](../x.md#b) [c](d.md) [e](https://f.example/g.md) [h](#i)"
    linked = runpy.run_path(str(SCRIPT))["linked"]
    assert linked(text, "docs/y.md", {"x.md": "x.md"}) == "[a](x.md#b) c [e](https://f.example/g.md) [h](#i)"
