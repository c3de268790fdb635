"""Which configuration a process runs with."""

import os
from pathlib import Path

import pytest

from audisp_pyaudit import config, last_good
from audisp_pyaudit.config import State
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.last_good import WITH_DEFAULTS, WITH_LAST_GOOD, choose, copy_name, keep, outdated, salvage
from audisp_pyaudit.privileges import writable

RIGHT = '[state]\npath = "{0}/state/engine.state"\n[queue]\n# the disk\npath = "{0}/spool"\n[timing]\ngrace_ms = 7\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that is right."""
    found = tmp_path / "a.toml"
    found.write_text(RIGHT.format(tmp_path))
    return found


def test_what_was_asked_for(file: Path) -> None:
    """A configuration that is right is used, and kept for a day when it is not."""
    config, problems, meanwhile = choose(str(file))
    assert (config.timing.grace_ms, problems, meanwhile) == (7, [], "")
    keep(config)
    copy = file.parent / "state" / copy_name(str(file))
    assert copy.read_bytes() == file.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mistake", ["[timing\n", "[timing]\ngrace = 3\n", "x = \x01\n"])
def test_the_last_one_that_was_right(file: Path, mistake: str) -> None:
    """After a slip of whatever kind, the next start runs as the one before did, and says what is wrong."""
    keep(choose(str(file))[0])
    file.write_text(file.read_text().replace("[timing]\n", mistake))
    config, problems, meanwhile = choose(str(file))
    assert (config.timing.grace_ms, meanwhile) == (7, WITH_LAST_GOOD)
    assert str(file) in problems[0]


def test_a_copy_that_others_may_have_written_is_not_read(file: Path) -> None:
    """Whoever has the plugin's user cannot make root's next start read a configuration of theirs."""
    keep(choose(str(file))[0])
    copy = file.parent / "state" / copy_name(str(file))
    file.write_text(file.read_text() + "[nonsense]\n")
    copy.chmod(0o622)
    assert choose(str(file))[2] == WITH_DEFAULTS
    copy.chmod(0o600)
    assert choose(str(file))[2] == WITH_LAST_GOOD
    if os.geteuid() == 0:  # nobody else can give files away
        os.chown(copy, 1234, -1)
        assert choose(str(file))[2] == WITH_DEFAULTS


def test_without_a_copy_everything_is_held(file: Path) -> None:
    """At the first start, too: events go to the disk that the file names, for the sinks that it will name."""
    file.write_text(file.read_text() + "[nonsense]\n")
    config, problems, meanwhile = choose(str(file))
    assert (meanwhile, len(problems)) == (WITH_DEFAULTS, 1)
    assert HOLD in config.sinks
    assert config.queue.path == f"{file.parent}/spool"
    assert config.state.path == f"{file.parent}/state/engine.state"


def test_a_bug_in_reading_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever goes wrong, there is a configuration to run with."""
    monkeypatch.setattr(last_good, "load", lambda _file: 1 // 0)
    _, problems, meanwhile = choose(str(tmp_path / "none.toml"))
    assert "cannot be understood" in problems[0]
    assert meanwhile == WITH_DEFAULTS


def test_two_plugins_have_two_copies() -> None:
    """The copies of two configurations whose states are in one folder do not overwrite each other."""
    names = {copy_name(each) for each in ("/etc/audisp-pyaudit/audisp-pyaudit.toml", "/a.toml", "/b.toml")}
    assert len(names) == 3


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ('queue.path = "/a/spool"\nstate.path = "/a/s"\nx = 1\n', ("/a/s", "/a/spool")),
        ('[queue]\nmode = "lossless"\npath = "/a/spool"\n[state\npath = "/a/s"\n', (None, "/a/spool")),
        ("[queue]\npath = \"/a/spool\n[state]\npath = '/a/s'\n", ("/a/s", None)),
        ('[queue]\npath = 7\n[state]\npath = "relative"\n', (None, None)),
    ],
)
def test_what_a_wrong_file_still_says(tmp_path: Path, wrong: str, expected: tuple[str | None, str | None]) -> None:
    """What is held lies where the mended file will look for it, however the path is written."""
    file = tmp_path / "a.toml"
    file.write_text(wrong)
    found = salvage(str(file))
    assert (found.state, found.queue) == (expected[0] or State().path, expected[1] or config.Queue().path)


def test_who_to_be_and_what_is_in_reach(tmp_path: Path) -> None:
    """A plugin that holds events runs as the user who owns the spool, and can later write where the file says."""
    file = tmp_path / "a.toml"
    text = '[privileges]\nuser = ""\n[sinks.a]\ntype = "file"\npath = "/srv/audit/f"\n'
    file.write_text(text + 'nonsense = 1\n[sinks.b]\ntype = "forward"\naddress = "unix:///run/fluent/s"\n')
    found, problems, _ = choose(str(file))
    assert problems
    assert found.privileges.user == ""
    assert {"/srv/audit", "/run/fluent"} <= set(found.reach)
    assert {"/srv/audit", "/run/fluent"} <= writable(found)


def test_a_copy_that_is_a_link_is_not_opened(file: Path) -> None:
    """Root opens no device because a link of the plugin's user leads to it."""
    keep(choose(str(file))[0])
    copy = file.parent / "state" / copy_name(str(file))
    copy.rename(file.parent / "elsewhere")
    copy.symlink_to(file.parent / "elsewhere")
    file.write_text(file.read_text() + "[nonsense]\n")
    assert choose(str(file))[2] == WITH_DEFAULTS


def test_after_a_reload_the_copy_is_the_new_one_or_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start over a slip never runs with a copy that does not know the newest sinks."""
    found = choose(str(file))[0]
    keep(found)
    copy = file.parent / "state" / copy_name(str(file))
    file.write_text(file.read_text() + "# changed\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    outdated(found)
    assert b"# changed" in copy.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: 61990)
    outdated(found)
    assert not copy.exists()
