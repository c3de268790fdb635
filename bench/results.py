"""What a bench found, in a file: a JSON object a line, the first of which says where and when it was measured.

In: dictionaries of figures. Out: the file, whole, at the end; until then a `.part` beside it, so that a run that breaks
off leaves what it has and spoils nothing.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bench.contenders import HERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

Line = dict[str, Any]

RESULTS = HERE / "results"
# A machine that does other things makes figures noisy.
BUSY = 0.5


class ResultsError(Exception):
    """A file of results is missing or broken."""


class Results:
    """A file of results that is being written. A context manager; in it, `add`.

    Args:
        path: the file; None for none.
        bench: which bench it is.
        facts: what else is true of the whole run.
    """

    def __init__(self, path: Path | None, bench: str, facts: Mapping[str, object] | None = None) -> None:
        self._path = path
        self.circumstances = circumstances(bench) | dict(facts or {})
        self.lines: list[Line] = []

    @property
    def _part(self) -> Path | None:
        return self._path.with_name(f"{self._path.name}.part") if self._path else None

    def __enter__(self) -> Self:
        if self._part:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._part.write_bytes(b"")
        self.add(self.circumstances)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path and self._part and kind is None:
            self._part.replace(self._path)

    def add(self, line: Line) -> None:
        """Note one object; it is in the file at once."""
        self.lines.append(line)
        if self._part:
            with self._part.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def circumstances(bench: str) -> Line:
    """Where and when."""
    return {
        "kind": "circumstances",
        "bench": bench,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "load": round(os.getloadavg()[0], 2),
    }


def in_words(circumstances: Mapping[str, Any]) -> str:
    """Where and when, for people."""
    load = circumstances["load"]
    busy = ", other work beside it: figures are noisy" if load > BUSY else ""
    return (
        f"{circumstances['date']}, {circumstances['processor']}, {circumstances['processors']} processors,"
        f" Linux {circumstances['kernel']}, load before {load:.2f}{busy}"
    )


def read(path: Path) -> list[Line]:
    """The lines of a file of results, the circumstances first.

    Raises:
        ResultsError: there is none, or it is something else.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    lines: list[Line] = []
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = json.loads(text)
        except ValueError:
            raise ResultsError(f"{path}:{number}: expected a JSON object, found something else") from None
        if not isinstance(line, dict) or "kind" not in line:
            raise ResultsError(f"{path}:{number}: expected an object with a `kind`, found none")
        lines.append(line)
    if not lines or lines[0]["kind"] != "circumstances":
        raise ResultsError(f"{path}:1: expected the circumstances of the run")
    return lines


def of_kind(lines: Iterable[Line], kind: str) -> list[Line]:
    """Those lines whose `kind` is this one."""
    return [line for line in lines if line["kind"] == kind]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
