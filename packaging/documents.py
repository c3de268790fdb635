"""Lay down the documents of a package in one folder, with links that lead somewhere in it: `documents deb|rpm FOLDER`.

In: the files that documents.txt names, and the README of that kind of package. Out: FOLDER. A link to a document that
is not in the package is its text alone.
"""

import posixpath
import re
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def shipped(kind: str) -> dict[str, str]:
    """Names of documents in a package of a kind, by their path in the tree."""
    listed = (TREE / "packaging" / "documents.txt").read_text(encoding="utf-8").split()
    return {**{path: posixpath.basename(path) for path in listed}, f"packaging/{kind}/README.md": f"README.{kind}.md"}


def linked(text: str, path: str, names: dict[str, str]) -> str:
    """A document's text, with its links as they are in a package.

    Args:
        text: the document.
        path: where it is in the tree.
        names: what is in the package, see `shipped`.
    """

    def put(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))
        return f"[{found[1]}]({names[target]}{found[3] or ''})" if target in names else found[1]

    return _LINK.sub(put, text)


def main() -> None:
    """Copy them."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    names = shipped(kind)
    folder.mkdir(parents=True, exist_ok=True)
    for path, name in names.items():
        text = (TREE / path).read_text(encoding="utf-8")
        made = folder / name
        made.write_text(linked(text, path, names) if name.endswith(".md") else text, encoding="utf-8")
        made.chmod(0o644)


if __name__ == "__main__":
    main()
