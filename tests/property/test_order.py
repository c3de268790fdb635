"""What an event means does not depend on the order in which its records came."""

import json
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.vectors import golden

_STAMP = re.compile(rb"(?:node=\S+ )?type=(\S+) msg=audit\(([^)]*)\): ")
# In the order of arrival, and said to be so.
ARRIVAL = ("paths", "record_types", "records")
# What is about order: records after the end of their event, and those that are damaged.
ODD = ("late-", "no-end", "quirks-", "truncated-", "inject-", "reversed", "daemon-")


def shuffled(log: bytes, seed: int) -> bytes:
    """The log with the records of each event in another order, ends of events last."""
    lines = log.splitlines(keepends=True)
    groups: dict[bytes, list[int]] = {}
    for place, line in enumerate(lines):
        found = _STAMP.match(line)
        if found and found[1] != b"EOE":
            groups.setdefault(found[2], []).append(place)
    result = list(lines)
    for places in groups.values():
        order = random.Random(seed).sample(places, len(places))  # noqa: S311  # a test that can be repeated
        for place, source in zip(places, order, strict=True):
            result[place] = lines[source]
    return b"".join(result)


def meaning(document: golden.Document) -> dict[str, Any]:
    """A document without what is in the order of arrival."""
    auditd = {key: value for key, value in document["auditd"].items() if key not in ARRIVAL}
    for key in ("unset", "truncated"):
        if key in auditd:
            auditd[key] = sorted(auditd[key])
    held = {key: sorted(json.dumps(each) for each in document["auditd"].get(key, [])) for key in ARRIVAL}
    return {**document, "auditd": {**auditd, **held}}


@pytest.mark.parametrize("name", [name for name in golden.names() if not name.startswith(ODD)])
def test_the_order_of_records_does_not_matter(name: str) -> None:
    """A rule fires on an event whatever way its records took to us."""
    vector = golden.load(name)
    expected = {each["event"]["id"]: meaning(each) for each in golden.run([vector.log], vector.options).documents}
    for seed in range(3):
        found = golden.run([shuffled(vector.log, seed)], vector.options).documents
        assert {each["event"]["id"]: meaning(each) for each in found} == expected
