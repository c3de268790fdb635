"""plugin/audisp-pyaudit.conf: the file that auditd itself reads, by rules that changed little since 2.8."""

from pathlib import Path

CONF = Path(__file__).parents[2] / "plugin" / "audisp-pyaudit.conf"

# What every auditd from 2.8 to 4.2 takes; any other key or value makes it skip the whole plugin.
ACCEPTED = {
    "active": {"yes", "no"},
    "direction": {"out"},
    "path": None,
    "type": {"always"},
    "format": {"string"},
}
# auditd before 4.1.3 skips longer lines.
LONGEST_LINE = 159


def settings() -> dict[str, str]:
    """Keys and values of the file."""
    lines = [line for line in CONF.read_text(encoding="ascii").splitlines() if line and not line.startswith("#")]
    return {key: value for key, _, value in (line.partition(" = ") for line in lines)}


def test_every_auditd_accepts_it() -> None:
    """An administrator may copy the file to any auditd from 2.8 on: no key or value that one of them refuses."""
    found = settings()
    assert found.keys() == ACCEPTED.keys()
    for key, values in ACCEPTED.items():
        assert values is None or found[key] in values, key


def test_its_form_is_what_auditd_reads() -> None:
    """No line is silently skipped: blanks around =, no tabs, short lines, a newline at the end."""
    text = CONF.read_text(encoding="ascii")
    assert text.endswith("\n")
    assert "\t" not in text
    for line in text.splitlines():
        assert len(line) <= LONGEST_LINE
        assert not line or line.startswith("#") or line.split(" ")[1] == "="
    assert CONF.name.count(".") == 1, "auditd ignores file names with two dots"


def test_nothing_runs_until_the_administrator_says_so() -> None:
    """Installing the package changes nothing on a running host."""
    assert settings()["active"] == "no"


def test_the_path_is_one_that_auditd_can_check() -> None:
    """The plugin is started: an absolute path in a folder whose name has at least four characters."""
    path = Path(settings()["path"])
    assert path.is_absolute()
    assert len(str(path.parent)) >= 4
