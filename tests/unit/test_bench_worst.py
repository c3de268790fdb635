"""The worst cases that figures are measured on (bench/worst.py)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench import worst
from bench.corpus import in_format
from bench.vary import HEADER, make_template

# Of the kernel's buffer, and what auditd puts before it.
LINE_BYTES = 8970 + 60


@pytest.mark.parametrize("name", worst.KINDS)
def test_every_line_is_one_that_the_kernel_can_send(name: str) -> None:
    """No decoder is punished with what cannot come."""
    for event in worst.KINDS[name]():
        assert all(HEADER.match(line) for line in event)
        assert max(len(line) for line in event) <= LINE_BYTES
        assert make_template(in_format(event, "raw") or []).slots


def lines(name: str) -> list[bytes]:
    """Return all lines of a kind."""
    return [line for event in worst.KINDS[name]() for line in event]


def test_each_kind_is_what_it_is_called() -> None:
    """Each worst case stands for one way to make a decoder slow, at the limit of what can be sent."""
    assert max(len(found) for found in re.findall(rb"=([0-9A-F]+)", b" ".join(lines("long-hex")))) > 7900
    assert max(len(line) for line in lines("long-lines")) > 8000
    assert b"".join(lines("split-execve")).count(b"type=EXECVE") > 40
    assert b" a1[17]=" in b"".join(lines("split-execve"))
    assert b" a1999=" in b"".join(lines("split-execve"))
    assert max(line.count(b"=") for line in lines("many-fields")) > 700
    assert max(line.count(b'"') + line.count(b"'") for line in lines("deep-quoting")) > 2500
    assert len(list(worst.every())) == sum(len(list(kind())) for kind in worst.KINDS.values())
