"""Fetching packages without touching the machine's apt (src/knowledge/download.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge import download


def test_apt_stays_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refreshing the facts leaves the machine's own package sources and lists as they were."""
    calls: list[tuple[tuple[str, ...], Path | None]] = []

    def fake_apt(*arguments: str, cwd: Path | None = None) -> str:
        calls.append((arguments, cwd))
        return "http://mirror.example/debian/\n"

    monkeypatch.setattr(download, "apt", fake_apt)
    (tmp_path / "a_1_all.deb").touch()
    assert download.fetch([("sid", ["a", "b"])], tmp_path) == [tmp_path / "a_1_all.deb"]

    sources = (tmp_path / "apt-sid/sources.list").read_text(encoding="utf-8")
    assert sources.endswith("http://mirror.example/debian/ sid main\n")
    (_, _), (update, _), (fetched, folder) = calls
    assert update[-1] == "update"
    assert fetched[-3:] == ("download", "a", "b")
    assert folder == tmp_path
    for arguments in (update, fetched):
        assert "Dir::Etc::sourceparts=/dev/null" in arguments
        for key in ("Dir::State", "Dir::Cache", "Dir::Etc::sourcelist"):
            assert any(a.startswith(f"{key}={tmp_path}/apt-sid") for a in arguments)


def test_no_mirror_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without Debian sources the message says what to do."""
    monkeypatch.setattr(download, "apt", lambda *_arguments: "")
    with pytest.raises(OSError, match="run apt-get update on a Debian machine first"):
        download.mirror()
