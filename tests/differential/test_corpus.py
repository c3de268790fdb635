"""Every log of the shared corpus goes through with the ledger closed, and says what libauparse says.

More than a hundred thousand records that many kernels and versions of auditd wrote. The corpus lies beside the
checkout of those who have it and is not part of it; without it the tests are left out, which is said, and the vectors
stand in for it.
"""

from __future__ import annotations

import gzip
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.corpus import CORPUS
from tests.differential import comparison, excuses
from tests.differential.comparison import Log
from tests.differential.names import CHUNK
from tests.vectors import golden
from tests.vectors.schema import Checker

pytestmark = pytest.mark.corpus
SUFFIXES = frozenset({".log", ".stdin", ".gz", ".txt"})
# In `ausearch` is what that tool makes of the logs, which are no records.
LOGS = sorted(path for path in CORPUS.rglob("*") if path.suffix in SUFFIXES and path.parent.name != "ausearch")
# Below this something of the comparison must have gone missing.
MIN_COMPARED = 1_880_000


def content_of(path: Path) -> bytes:
    """The bytes of a log, unpacked."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_every_log_goes_through(figures: list[str]) -> None:
    """What others' kernels wrote is read too: no record is lost, no identity given twice, no document odd."""
    assert LOGS, f"there is no log below {CORPUS}"
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


@pytest.mark.oracle
def test_every_fact_is_in_the_document(figures: list[str], tmp_path: Path) -> None:
    """Whatever ausearch shows of logs that we have never seen before is in the documents too, or it is said why not."""
    comparison.need_oracle()
    total = comparison.compare(_log(path, tmp_path) for path in LOGS)
    listed = excuses.listed()
    unexplained = listed.unexplained(total.differences)
    figures.extend(comparison.figures_of("corpus", total, listed, len(unexplained)))
    assert not unexplained, "not in differences.toml:\n" + "\n".join(map(str, unexplained))
    assert total.compared >= MIN_COMPARED
    idle = [rule for rule in listed.idle(corpus=True) if rule.corpus]
    assert not idle, "in differences.toml, but there is no such difference:\n" + "\n".join(map(str, idle))


def _log(path: Path, folder: Path) -> Log:
    content = content_of(path)
    readable = path
    if path.suffix == ".gz":
        readable = folder / path.stem
        readable.write_bytes(content)
    return Log(str(path.relative_to(CORPUS)), readable, content, {})
