"""README.md: what it shows has to be what comes out."""

import json
import re
from pathlib import Path

from audisp_pyaudit._engine import Engine

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_event_shown_is_a_real_one() -> None:
    """A reader sees the document as it is today, made from a real log, not as somebody once imagined it."""
    shown = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert shown
    host = {"name": "lab", "id": "1" * 32}
    engine = Engine({"host": host, "encodings": ["json"]})
    frames = engine.feed((ROOT / "tests/vectors/net-connect-in-progress.log").read_bytes())
    assert len(frames) == 1
    made = frames[0].json
    assert made is not None
    assert json.loads(shown[1]) == json.loads(made)
    assert engine.stats()["records_in"] == 4
    assert engine.stats()["records_published"] + engine.stats()["records_end_of_event"] == 4


def test_every_file_it_names_is_there() -> None:
    """No link of the README leads nowhere."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target


def test_every_make_target_it_names_is_there() -> None:
    """The commands of the README can be typed as they stand."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
