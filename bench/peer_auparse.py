"""What somebody writes in an afternoon with the distribution's python3-audit: records on stdin, a JSON line per event.

Run by the distribution's python: `/usr/bin/python3 peer_auparse.py OUT < log`. Every field, interpreted.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import auparse  # type: ignore[import-not-found,unused-ignore]  # the distribution's, not in our environment


def _text(parser: Any) -> str | None:  # noqa: ANN401  # auparse has no types
    try:
        return str(parser.interpret_field())
    except UnicodeDecodeError:
        return None


def _type(parser: Any) -> str:  # noqa: ANN401  # auparse has no types
    try:
        return str(parser.get_type_name())
    except LookupError:  # a type it does not know
        return f"UNKNOWN[{parser.get_type()}]"


def _on_event(parser: Any, _kind: int, out: TextIO) -> None:  # noqa: ANN401  # auparse has no types
    stamp = parser.get_timestamp()
    records = []
    more = parser.first_record()
    while more:
        fields, more = {}, parser.first_field()
        while more:
            fields[parser.get_field_name()] = _text(parser)
            more = parser.next_field()
        records.append({"type": _type(parser), "fields": fields})
        more = parser.next_record()
    out.write(json.dumps({"time": f"{stamp.sec}.{stamp.milli:03d}", "serial": stamp.serial, "records": records}) + "\n")


with Path(sys.argv[1]).open("w") as target:
    feed = auparse.AuParser(auparse.AUSOURCE_FEED)
    feed.add_callback(_on_event, target)
    while chunk := os.read(0, 65536):
        feed.feed(chunk)
    feed.flush_feed()
