"""Which configuration a process runs with."""

import os
from pathlib import Path

import pytest

from audisp_pyaudit import last_good
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.last_good import WITH_DEFAULTS, WITH_LAST_GOOD, choose, copy_name, keep

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
