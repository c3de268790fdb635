"""docs/index-template.json: what a search engine makes of the document (src/knowledge/index_template.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge import index_template

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = json.loads((ROOT / "docs" / "index-template.json").read_text(encoding="utf-8"))
SCHEMA = json.loads((ROOT / "docs" / "event.schema.json").read_text(encoding="utf-8"))
MAPPINGS = TEMPLATE["template"]["mappings"]
SETTINGS = TEMPLATE["template"]["settings"]["index"]

# JSON types of the schema, and the types of an index that take their values.
TAKES = {
    "string": {"keyword", "ip", "date", "binary"},
    "integer": {"long"},
    "object": {"object"},
}


def schema_places(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every place of the schema and the JSON type that is found there; of a list, that of its elements."""
    if "items" in schema:
        yield from schema_places(schema["items"], path)
    elif "anyOf" in schema:
        yield from (place for choice in schema["anyOf"] for place in schema_places(choice, path) if place[1] != "null")
    else:
        if path:
            yield path, schema["type"]
        for key, child in schema.get("properties", {}).items():
            yield from schema_places(child, f"{path}.{key}" if path else key)


def mapped_places(mapping: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of the mapping, multi-fields too, and what is said of it there."""
    for part in ("properties", "fields"):
        for key, child in mapping.get(part, {}).items():
            place = f"{path}.{key}" if path else key
            yield place, child
            yield from mapped_places(child, place)


MAPPED = dict(mapped_places(MAPPINGS))


def mapped_type(path: str) -> str:
    """Type of a place in the index."""
    return str(MAPPED[path].get("type", "object"))


def test_every_place_of_the_document_is_mapped_as_what_it_holds() -> None:
    """Nothing that the plugin writes is missing in a search because the template was forgotten."""
    places = dict(schema_places(SCHEMA))
    assert len(places) > 900
    wrong = {path: kind for path, kind in places.items() if path not in MAPPED or mapped_type(path) not in TAKES[kind]}
    assert wrong == {}


def test_nothing_else_is_mapped() -> None:
    """A place that the document has no more does not stay behind in everybody's index."""
    assert set(MAPPED) - set(dict(schema_places(SCHEMA))) == {"process.command_line.text"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("@timestamp", "date"),
        ("event.sequence", "long"),
        ("process.pid", "long"),
        ("destination.port", "long"),
        ("source.ip", "ip"),
        ("destination.ip", "ip"),
        ("related.ip", "ip"),
        ("source.address", "keyword"),
        ("tags", "keyword"),
        ("process.args", "keyword"),
        ("process.command_line", "keyword"),
        ("process.command_line.text", "text"),
        ("user.id", "keyword"),
        ("auditd.data.a0", "keyword"),
        ("auditd.data.exit", "keyword"),
        ("auditd.decoded.a2", "keyword"),
        ("auditd.paths", "object"),
        ("auditd.paths.ouid", "keyword"),
        ("auditd.records.fields.value", "keyword"),
        ("process.args_bytes", "binary"),
    ],
)
def test_types_that_rules_and_dashboards_count_on(path: str, kind: str) -> None:
    """Ids and arguments are compared as text, ports as numbers, addresses by network."""
    assert mapped_type(path) == kind


def test_no_document_is_refused() -> None:
    """Every event is kept: also one with a new field, a bad address, a huge number or a text longer than a term."""
    assert MAPPINGS["dynamic"] is False
    for path, mapping in MAPPED.items():
        match mapping.get("type"):
            case "long" | "ip":
                assert mapping["ignore_malformed"] is True, path
            case "keyword" if mapping.get("index", True):
                assert mapping["ignore_above"] * 4 <= 32766, path


def test_exact_bytes_and_raw_lines_cost_no_index() -> None:
    """What nobody searches for takes the space of the document itself and no more."""
    assert MAPPED["event.original"] == {"type": "keyword", "index": False, "doc_values": False}
    kinds = {mapped_type(path) for path in MAPPED if path.endswith("_bytes")}
    assert kinds == {"binary"}


def test_the_limits_of_the_index_hold_it() -> None:
    """The template itself is taken, with room to add fields, and a search without a field name is not refused."""
    assert len(MAPPED) + 100 < SETTINGS["mapping"]["total_fields"]["limit"]
    assert all(path in MAPPED for path in SETTINGS["query"]["default_field"])


def test_the_pattern_is_our_own() -> None:
    """Templates of Elastic for auditbeat and auditd_manager stay in force for their own indices."""
    assert TEMPLATE["index_patterns"] == ["audisp-pyaudit-*"]
    assert TEMPLATE["priority"] > 200


def test_the_file_is_what_the_script_writes() -> None:
    """What is handed to a search engine is what the tables say now."""
    assert json.loads(index_template.generate()) == TEMPLATE


def test_a_stale_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` fails on a file that was edited by hand, and on one that is missing."""
    script = ROOT / "src" / "knowledge" / "index_template.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
    edited = tmp_path / "index-template.json"
    monkeypatch.setattr(index_template, "OUTPUT", edited)
    monkeypatch.setattr(sys, "argv", ["index_template.py", "--check"])
    assert index_template.main() == 1
    edited.write_text(index_template.generate().replace("keyword", "text", 1), encoding="utf-8")
    assert index_template.main() == 1
