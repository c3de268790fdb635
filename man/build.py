"""Makes the manual pages: `man/build.py` writes them, `man/build.py --check` says whether they are what it would write.

In: the pages' text in reStructuredText beside this file, and plugin/audisp-pyaudit.toml, whose comments are the
reference of all keys. Out: man/audisp-pyaudit.8 and man/audisp-pyaudit.toml.5, by docutils.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from docutils.core import publish_string

HERE = Path(__file__).parent
ANNOTATED = HERE.parent / "plugin" / "audisp-pyaudit.toml"
PAGES = ("audisp-pyaudit.8", "audisp-pyaudit.toml.5")
_SETTING = re.compile(r"#([a-z_]+) = (.*)")
_TABLE = re.compile(r"#(\[\[?[a-z._]+\]\]?)")
_ITEM = re.compile(r"([a-z_]+): ")
_TYPE = re.compile(r'type = "([a-z]+)": ')


def keys(annotated: str) -> str:
    """The reference of all keys, from the comments of the annotated configuration, as reStructuredText."""
    blocks = [block.split("\n") for block in re.split(r"\n\n+", annotated.strip())]
    # The first says what the file is, which the page says itself; it ends where the first table is described.
    begin = next(number for number, block in enumerate(blocks) if any(map(_TABLE.fullmatch, block)))
    return "\n".join(line for block in blocks[begin:] for line in _block(block)) + "\n"


def _block(lines: list[str]) -> Iterator[str]:
    """One paragraph of comments, the settings behind it, and examples."""
    settings = [found for found in map(_SETTING.fullmatch, lines) if found]
    title = next((found[1] for found in map(_TABLE.fullmatch, lines) if found), "")
    examples = [line[2:] for line in lines if line.startswith("#>")]
    text = [line[1:].removeprefix(" ") for line in lines if line.startswith("# ") or line == "#"]
    kind = _TYPE.match(text[0]) if text else None
    if kind:
        title = title or f'[sinks.NAME] type = "{kind[1]}"'
        text[0] = text[0][kind.end() :]
        text[0] = text[0][:1].upper() + text[0][1:]
    if not title and not settings:
        title = "[sinks]" if not examples else "[[rules]]" if "name = " in examples[1] and text else ""
    if title:
        yield from ("", _plain(title), "-" * len(_plain(title)), "")
    if settings and not title:
        yield ", ".join(f"**{_plain(each[1])}** = ``{each[2]}``" for each in settings)
        yield from (f"    {_plain(paragraph)}\n" for paragraph in _paragraphs(text))
        settings = []
    else:
        for paragraph in _paragraphs(text):
            item = _ITEM.match(paragraph)
            if item:
                yield from (f"**{item[1]}**", f"    {_plain(paragraph[item.end() :])}", "")
            else:
                yield from (_plain(paragraph), "")
    if settings:
        yield ", ".join(f"**{_plain(each[1])}** = ``{each[2]}``" for each in settings)
        yield "    What there is where the file names no sink.\n"
    if examples:
        yield from ("::", "", *(f"    {each}" for each in examples), "")


def _paragraphs(text: list[str]) -> Iterator[str]:
    """Lines joined. The name of a key begins another paragraph, which goes on in lines that are set in."""
    joined = ""
    for line in text:
        if joined and (_ITEM.match(line) or (_ITEM.match(joined) and not line.startswith("  "))):
            yield joined
            joined = ""
        joined = f"{joined} {line.strip()}".strip()
    if joined:
        yield joined


def _plain(text: str) -> str:
    """Text in which nothing has a meaning but what stands between backquotes, which is code here and there."""
    parts = text.split("`")
    escaped = (re.sub(r"([\\*_|])", r"\\\1", part) if not number % 2 else part for number, part in enumerate(parts))
    return "``".join(escaped) if len(parts) % 2 else re.sub(r"([\\*_|`])", r"\\\1", text)


def page(name: str) -> str:
    """A page, in the macros of man(7).

    Raises:
        docutils.utils.SystemMessage: its text is no reStructuredText.
    """
    text = (HERE / f"{name}.rst").read_text(encoding="utf-8")
    text = text.replace("@KEYS@\n", keys(ANNOTATED.read_text(encoding="utf-8")))
    settings = {"halt_level": 2, "report_level": 2, "output_encoding": "unicode", "input_encoding": "unicode"}
    made = str(publish_string(text, writer="manpage", settings_overrides=settings))
    made = re.sub(r"^(\.S[HS] .*\n)\.sp\n", r"\1", made, flags=re.MULTILINE)  # no space before the first paragraph
    return re.sub(r"by the Docutils \S+ manpage writer", "by man/build.py with docutils", made)


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them."""
    stale = 0
    for name in PAGES:
        made, target = page(name), HERE / name
        if "--check" not in arguments:
            target.write_text(made, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != made:
            stale += 1
            sys.stderr.write(f"man/{name} is not what man/build.py makes; run it\n")
    return stale > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
