"""SECURITY.md claims nothing without a ground for it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()


def test_every_ground_is_there() -> None:
    """Whoever doubts a line of the table finds the test that it names."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)
    assert len(named) > 30
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_every_line_has_a_ground() -> None:
    """A claim that nothing bad can happen rests on something; what can happen is said so."""
    part = TEXT[TEXT.index("## Who can do what") : TEXT.index("### Whoever runs code")]
    lines = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| ") and line[2:3] != "|"]
    assert len(lines) > 25
    for what, answer, *ground in lines:
        assert "**yes**" in answer or "".join(ground).strip(), what


def test_links_lead_somewhere() -> None:
    """Documents that are named are there."""
    for target in re.findall(r"\]\((docs/[\w.-]+)\)", TEXT):
        assert (ROOT / target).is_file(), target
