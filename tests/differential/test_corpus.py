"""Every log of the shared corpus goes through with the ledger closed: more than a hundred thousand records.

The corpus lies beside the checkout of those who have it and is not part of it; without it the test says so and is
skipped, and the vectors stand in for it.
"""

from __future__ import annotations

import gzip
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.vectors import golden
from tests.vectors.schema import Checker

CORPUS = golden.ROOT.parent / "shared" / "corpus"
SUFFIXES = frozenset({".log", ".stdin", ".gz", ".txt"})
# In `ausearch` is what that tool makes of the logs, which are no records.
LOGS = sorted(path for path in CORPUS.rglob("*") if path.suffix in SUFFIXES and path.parent.name != "ausearch")
# A plugin reads as much at a time.
CHUNK = 65_536


def content_of(path: Path) -> bytes:
    """The bytes of a log, unpacked."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_every_log_goes_through(figures: list[str]) -> None:
    """What others' kernels wrote is read too: no record is lost, no identity given twice, no document odd."""
    if not LOGS:
        pytest.skip(f"there is no corpus at {CORPUS}")
    checker = Checker()
    totals: Counter[str] = Counter()
    for path in LOGS:
        content = content_of(path)
        run = golden.run(content[at : at + CHUNK] for at in range(0, len(content), CHUNK))
        assert run.balanced, f"{path}: {run.stats}"
        assert run.stats["records_held"] == 0, path
        lines = sum(1 for line in content.split(b"\n") if line.rstrip(b"\0"))
        assert run.stats["records_in"] == lines, path
        ids = Counter(document["event"]["id"] for document in run.documents)
        assert [identity for identity, times in ids.items() if times > 1] == [], path
        assert checker.errors(run.documents) == [], path
        totals.update(run.stats)
    figures.append(
        f"corpus: {len(LOGS)} files, {totals['records_in']} records = {totals['records_published']} published in "
        f"{totals['events_published']} documents + {totals['records_end_of_event']} ends of events + "
        f"{totals['records_filtered']} filtered; {totals['lines_unparsed']} lines unparsed, {totals['gaps']} gaps",
    )
