"""Who runs beside us in the bench (bench/contenders.py, bench/peers.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench import peers
from bench.contenders import Contender, Missing, all_ours
from bench.corpus import write_corpus
from bench.measure import Log, from_file
from bench.sets import SETS

NAMES = ["audisp-pyaudit-json", "audisp-pyaudit-msgpack", "laurel-release", "laurel-sid"]
NAMES += ["auparse-python", "ausearch-i", "audisp-syslog", "copy"]


def test_everybody_is_there_or_missing_with_a_reason() -> None:
    """A table never lacks somebody without a word."""
    found = peers.all_contenders()
    assert [each.name for each in found] == NAMES
    assert all(each.why for each in found if isinstance(each, Missing))
    assert [each.name for each in all_ours(Path("/x/audisp-pyaudit"))[2:]] == [f"earlier-{name}" for name in NAMES[:2]]


@pytest.mark.parametrize("each", peers.all_contenders(), ids=lambda each: each.name)
def test_whoever_is_there_reads_a_log_to_its_end(tmp_path: Path, each: Contender | Missing) -> None:
    """Settings and commands of each contender fit its version: a document for every event comes out."""
    if isinstance(each, Missing):
        assert not os.environ.get("CI"), f"{each.name}: {each.why}"
        pytest.skip(f"{each.name}: {each.why}")
    path = tmp_path / "whole.log"
    log = Log(path, write_corpus(path, SETS["exec"].kinds(), size=200_000))
    assert from_file(each, log, tmp_path).trouble == ""
