"""How long a writer that behaves like auditd waits for us: the figures of the drills, as a table.

DRILL_FIGURES=figures.jsonl make drills && python -m bench.stall figures.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_COLUMNS = ("records", "p50", "p99", "p999", "max")


def main(path: Path) -> None:
    """Print the table, and what else the drills noted."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    waits = [each for each in lines if "p999" in each]
    width = max((len(each["drill"]) for each in waits), default=0)
    print("waits of a blocking write of one record, in ms\n")
    print(f"{'drill':{width}}" + "".join(f"{each:>10}" for each in _COLUMNS))
    for each in waits:
        print(f"{each['drill']:{width}}" + "".join(f"{each[column]:>10,}" for column in _COLUMNS))
    print()
    for each in lines:
        if each not in waits:
            said = ", ".join(f"{name} {value}" for name, value in each.items() if name != "drill")
            print(f"{each['drill']}: {said}")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  # the command and its argument
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
