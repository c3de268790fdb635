"""Write the documents of goldens anew, and show what changes.

In: NAME.log, through the engine as it is built now. Out: `documents` of NAME.json, if `--write` is given; the other
keys are never touched: whoever writes has to read the difference and to see whether what `checked` says still holds.

Usage: python tests/vectors/update.py [--write] [NAME ...]
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.vectors import golden

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines_of(documents: list[golden.Document]) -> list[str]:
    """Documents as lines to compare."""
    return json.dumps(documents, ensure_ascii=False, indent=1).splitlines()


def changes(old: golden.Golden, documents: list[golden.Document]) -> Iterator[str]:
    """The difference between a golden and what the engine says now; empty if there is none."""
    before, after = lines_of(old.documents), lines_of(documents)
    yield from difflib.unified_diff(before, after, f"{old.name}.json", "engine", lineterm="")


def main(arguments: list[str]) -> int:
    """Run the script; 1 if there are differences that were not written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write what differs")
    parser.add_argument("names", nargs="*", metavar="NAME", help="vectors; all if none is named")
    options = parser.parse_args(arguments)
    different = 0
    for name in options.names or golden.names():
        old = golden.load(name)
        documents = golden.run([old.log], old.options).documents
        difference = list(changes(old, documents))
        if not difference:
            continue
        different += 1
        sys.stdout.write("\n".join(difference) + "\n")
        if options.write:
            old.documents = documents
            golden.save(old)
    done = "written; now see whether `checked` still holds" if options.write else "not written"
    sys.stdout.write(f"{different} goldens differ{f': {done}' if different else ''}\n")
    return 1 if different and not options.write else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
