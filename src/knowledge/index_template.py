"""Write docs/index-template.json: how Elasticsearch and OpenSearch have to index the document.

In: the tables that document.py reads. Out: a composable index template, the same for Elasticsearch 8 and 9 and for
OpenSearch 2 and 3: `PUT _index_template/audisp-pyaudit`.

Two rules are behind all that follows:

- An index never refuses a document. What it cannot index it keeps in _source: keys that it does not know (`dynamic`),
  numbers and addresses that are none (`ignore_malformed`), texts longer than a term may be (`ignore_above`).
- What rules compare is a keyword, spelled exactly as in the document.

The pattern is our own: auditbeat-* and logs-auditd_manager.auditd-* have templates already, which know most of these
fields, and two templates of one priority for one name are refused. Rules and dashboards made for them work once the
documents are sent to an index of that name (without this template), or once they look at audisp-pyaudit-* too.

Usage: index_template.py [--check]; with --check nothing is written and a difference is an error.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, only its own folder is on the path

from knowledge import document

OUTPUT = document.DOCS / "index-template.json"

PATTERN = "audisp-pyaudit-*"

# Above the templates that Elasticsearch brings along (100 and 200 by now), so that a broad one of theirs does not win.
PRIORITY = 300

# A term has at most 32766 bytes, and a character in UTF-8 at most 4: a longer text would be refused with its document.
LONGEST_TERM = 8191

# Elasticsearch counts every field, object and multi-field against this; 1000 is what it allows unasked, and the half
# of ours are the exact bytes of others.
FIELDS_LIMIT = 2000

# What a search without a field name looks at. All fields would be some 500 searches in one.
DEFAULT_FIELDS = [
    "event.action",
    "tags",
    "user.name",
    "user.audit.name",
    "process.name",
    "process.executable",
    "process.command_line.text",
    "file.path",
    "source.address",
    "destination.address",
    "auditd.summary.object.primary",
    "auditd.data.syscall",
]

# Base64 of what the text beside it cannot show. Nobody searches for it: `binary` is kept in _source and nowhere else.
BYTES: dict[str, Any] = {"type": "binary"}

KEYWORD: dict[str, Any] = {"type": "keyword", "ignore_above": LONGEST_TERM}
LONG: dict[str, Any] = {"type": "long", "ignore_malformed": True}
ADDRESS: dict[str, Any] = {"type": "ip", "ignore_malformed": True}

# Places whose mapping does not follow from their type in document.tsv.
MAPPINGS: dict[str, dict[str, Any]] = {
    # Not ignore_malformed: data streams forbid it, and the engine alone writes this.
    "@timestamp": {"type": "date"},
    # Whole lines, to be read and not to be searched.
    "event.original": {"type": "keyword", "index": False, "doc_values": False},
    # Rules compare the whole with wildcards; people look for a word, also in a command line longer than a term.
    "process.command_line": {**KEYWORD, "fields": {"text": {"type": "text", "norms": False}}},
    "source.ip": ADDRESS,
    "destination.ip": ADDRESS,
    "related.ip": ADDRESS,
}


def mapping(path: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Mapping of the place that has this schema.

    A list is mapped as what it holds: an index knows no lists.
    """
    if path in MAPPINGS:
        return MAPPINGS[path]
    while schema.get("type") == "array":
        schema = schema["items"]
    if path.endswith("_bytes"):
        return BYTES
    # Lists of objects are no `nested` ones: rules ask for auditd.paths.name as for any other field.
    if "properties" in schema:
        children = schema["properties"].items()
        return {"properties": {key: mapping(f"{path}.{key}".lstrip("."), child) for key, child in children}}
    # What is left is text, or (in lists) text or null, which an index passes over.
    return LONG if schema.get("type") == "integer" else KEYWORD


def template(schema: dict[str, Any]) -> dict[str, Any]:
    """The index template."""
    return {
        "index_patterns": [PATTERN],
        "priority": PRIORITY,
        "version": 1,
        "_meta": {
            "description": "Events of audisp-pyaudit, schema 1",
            "generated": "by src/knowledge/index_template.py from src/knowledge/data; do not edit",
        },
        "template": {
            "settings": {
                "index": {
                    "mapping": {"total_fields": {"limit": FIELDS_LIMIT}},
                    "query": {"default_field": DEFAULT_FIELDS},
                },
            },
            "mappings": {"dynamic": False, "date_detection": False, **mapping("", schema)},
        },
    }


def generate() -> str:
    """The file's text."""
    made = template(document.schema(document.tables()))
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or check that it is what would be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is not what it should be")
    text = generate()
    if not parser.parse_args().check:
        OUTPUT.write_text(text, encoding="utf-8")
    elif not OUTPUT.exists() or OUTPUT.read_text(encoding="utf-8") != text:
        print(f"{OUTPUT}: not what index_template.py writes; run it and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
