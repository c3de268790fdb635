"""The configuration: its defaults, the annotated file, and what the engine gets of it."""

import dataclasses
import re
from pathlib import Path

from audisp_pyaudit.config import Config, Match, Rule
from audisp_pyaudit.config_file import parse
from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.sink_settings import SINK_TYPES, FileSettings, ForwardSettings, StdoutSettings

ANNOTATED = Path(__file__).parents[2] / "plugin" / "audisp-pyaudit.toml"


def uncommented(marks: str) -> str:
    """The annotated file with some of its commented lines put in force."""
    lines = ANNOTATED.read_text().splitlines()
    return "\n".join(re.sub(rf"^#{marks}(?=[\[a-z])", "", line) for line in lines)


def test_annotated_file_says_the_defaults() -> None:
    """The annotated file is the documentation: what it shows as defaults is what is in force, key by key."""
    shown = parse(uncommented("").encode(), "annotated")
    assert shown == Config()
    assert parse(ANNOTATED.read_bytes(), "annotated") == Config()


def test_annotated_file_has_every_key() -> None:
    """Nothing can be set that the annotated file does not show, and it shows nothing that cannot be set."""
    import tomllib  # noqa: PLC0415  # here only

    table = tomllib.loads(uncommented(""))
    for name in ("host", "decode", "limits", "timing", "state", "queue", "metrics"):
        section = getattr(Config(), name)
        assert list(table[name]) == [field.name for field in dataclasses.fields(section)], name
    everything = tomllib.loads(uncommented(">?"))
    for kind, cls in SINK_TYPES.items():
        keys = {key for sink in everything["sinks"].values() if sink["type"] == kind for key in sink}
        assert keys == {field.name for field in dataclasses.fields(cls)}, kind
    rules = everything["rules"]
    assert {key for rule in rules for key in rule} == {field.name for field in dataclasses.fields(Rule)}
    assert {key for rule in rules for key in rule["match"]} == {field.name for field in dataclasses.fields(Match)}


def test_annotated_examples_are_right() -> None:
    """Whoever uncomments an example gets a configuration that works."""
    found = parse(uncommented(">?").encode(), "annotated")
    assert isinstance(found.sinks["archive"], FileSettings)
    assert isinstance(found.sinks["screen"], StdoutSettings)
    assert found.rules[0].drop
    assert found.rules[1].route == ("archive",)
    assert found.site_fields == (("site_user", "uid"), ("site_payload", "escaped"))


def test_forward_takes_msgpack() -> None:
    """The engine writes what the protocol is made of, without being told, and nothing that nobody wants."""
    found = parse(b"[sinks.a]\ntype = 'forward'\naddress = '[::1]:24224'\n", "a.toml")
    assert found.sinks == {"a": ForwardSettings(address="[::1]:24224", tag="audit", acknowledge=True)}
    assert found.encodings == ["msgpack"]


def test_engine_options() -> None:
    """What the configuration says reaches the engine, in the units it takes."""
    found = parse(
        b"""
[decode]
names = false
name_ttl_seconds = 5
[sinks.a]
type = "stdout"
format = "msgpack"
[sinks.b]
type = "file"
path = "/x"
[[rules]]
name = "r"
route = ["b"]
match = { key = "k", uid = [0, "1*"] }
""",
        "a.toml",
    )
    options = found.engine_options(HostFacts("web-1", "6f1c", ("web",), "b007"), 5000)
    assert options["host"] == {"name": "web-1", "id": "6f1c", "nodes": ["web"], "boot_id": "b007", "architecture": ""}
    assert options["process_start_ms"] == 5000
    assert options["encodings"] == ["json", "msgpack"]
    assert options["names"] == "off"
    assert options["sinks"] == ["a", "b"]
    assert options["rules"] == [
        {"name": "r", "match": {"key": ["k"], "uid": ["0", "1*"]}, "drop": False, "route": ["b"], "class": None}
    ]
    timing = options["timing"]
    assert isinstance(timing, dict)
    assert timing["name_ttl_ms"] == 5000
    assert "drain_ms" not in timing
    limits = options["limits"]
    assert isinstance(limits, dict)
    assert sorted(limits) == ["event_bytes", "event_records", "events", "held_bytes", "line_bytes"]
