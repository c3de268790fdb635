"""What a loss means and what to do about it."""

import re
from pathlib import Path

from audisp_pyaudit.cli.losses import what_to_do

DELIVERY = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")
UNKNOWN = what_to_do("ESTALE")


def test_every_reason_that_is_documented_has_words() -> None:
    """Whoever finds a reason in docs/delivery.md finds it in the status, too."""
    table = DELIVERY[DELIVERY.index("| `auditd.lost.reason`") :].split("\n\n")[0]
    reasons = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
    assert len(reasons) == 13
    assert [each for each in reasons if what_to_do(each) == UNKNOWN] == []


def test_a_reason_of_the_system() -> None:
    """Names of system errors are told as such."""
    assert "the log has more" in UNKNOWN
    assert what_to_do("ENOSPC") == "the disk was full"
