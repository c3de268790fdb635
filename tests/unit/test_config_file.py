"""A configuration file: what it says, and everything that can be wrong in one."""

import os
from pathlib import Path

import pytest

from audisp_pyaudit import config_file
from audisp_pyaudit.config import Config
from audisp_pyaudit.config_file import load, parse
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.sink_settings import SINK_TYPES, UnixSettings

MATCHES = "key, record_type, action, category, syscall, exe, uid, auid, unit, host"
TYPES = ", ".join(f'"{each}"' for each in SINK_TYPES)


def errors_of(source: str) -> list[str]:
    """What is wrong in a configuration."""
    with pytest.raises(ConfigFileError) as caught:
        parse(source.encode(), "a.toml")
    return [str(error) for error in caught.value.errors]


def test_no_file_means_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The plugin works without any configuration: one Unix socket."""
    monkeypatch.setattr(config_file, "CONFIG_PATH", str(tmp_path / "none.toml"))
    found = load()
    assert found == Config()
    assert found.source is None
    assert list(found.sinks) == ["events"]
    assert isinstance(found.sinks["events"], UnixSettings)


def test_usual_place_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without --config, the file in /etc counts if it is there."""
    file = tmp_path / "a.toml"
    file.write_text("[timing]\ngrace_ms = 7\n")
    monkeypatch.setattr(config_file, "CONFIG_PATH", str(file))
    assert load().timing.grace_ms == 7


def test_an_empty_file_means_defaults() -> None:
    """A file that says nothing changes nothing."""
    assert parse(b"", "a.toml") == Config()
    assert parse(b"[sinks]\n", "a.toml") == Config()


def test_everything_wrong_is_said_in_order() -> None:
    """All mistakes of a file are named with line, key and expectation, top to bottom."""
    assert errors_of(
        """\
[host]
nam = "x"
[limits]
events = "many"
[sinks.a]
type = "unx"
[sinks.b]
type = "file"
mode = 600
[sinks.C]
type = "stdout"
[[rules]]
name = "x"
match = {}
[[rules]]
name = "x"
drop = true
route = ["q"]
match = { kee = "x" }
"""
    ) == [
        'a.toml:2: host.nam: unknown key; did you mean "name"?',
        'a.toml:4: limits.events: expected a whole number from 16 to 1000000, found "many"',
        f'a.toml:6: sinks.a.type: expected one of {TYPES}, found "unx"; did you mean "unix"?',
        "a.toml:7: sinks.b.path: is missing",
        'a.toml:9: sinks.b.mode: expected a file mode in octal as a text, such as "0600", found 600',
        "a.toml:10: sinks.C: expected a name of lower-case letters, digits, - and _ (at most 63)",
        f"a.toml:14: rules[0].match: expected at least one of {MATCHES}",
        'a.toml:16: rules[1].name: another rule has the name "x"',
        'a.toml:18: rules[1].route: there is no sink "q"',
        'a.toml:19: rules[1].match: kee: unknown key; did you mean "key"?',
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = [", "a.toml:1: not TOML: "),
        ("[a]\nb = = 1\n", "a.toml:2: not TOML: Invalid value, column 5"),
        ("unknown = 1", "a.toml:1: unknown: unknown key; known here: host, decode, limits"),
        ("host = 1", "a.toml:1: host: expected a table ([host]), found 1"),
        ("sinks = 1", "a.toml:1: sinks: expected tables ([sinks.NAME]), found 1"),
        ("[sinks]\na = 1", "a.toml:2: sinks.a: expected a table ([sinks.a]), found 1"),
        (
            "[sinks.a]\nformat = 'json'",
            f"a.toml:1: sinks.a.type: expected one of {TYPES}, is missing",
        ),
        ("[sinks.a]\ntype='kafka'\nbootstrap=''", 'a.toml:3: sinks.a.bootstrap: expected "host:port" of one or more'),
        ("[sinks.a]\ntype='kafka'\nbootstrap='b:1'\ntopic='a b'", "a.toml:4: sinks.a.topic: expected 1 to 249 letters"),
        (
            "[sinks.a]\ntype='kafka'\nbootstrap='b:1'\n[sinks.a.librdkafka]\n'bootstrap.servers'='x'",
            'sinks.a.librdkafka: "bootstrap.servers" is `bootstrap` of the sink',
        ),
        (
            "[sinks.a]\ntype='kafka'\nbootstrap='b:1'\n[sinks.a.librdkafka]\n'linger.ms'=[1]",
            'sinks.a.librdkafka: "linger.ms": expected a text, a number, true or false',
        ),
        (
            "[queue]\nwhen_full = 'drop'",
            'a.toml:2: queue.when_full: expected one of "drop_oldest", "drop_newest", "block"',
        ),
        ("rules = 1", "a.toml:1: rules: expected tables in a list ([[rules]]), found 1"),
        ("rules = [1]", "rules[0]: expected a table ([[rules]]), found 1"),
        ("[[rules]]\nname='a'\ndrop=true\nmatch=1", "a.toml:4: rules[0].match: expected a table (match = "),
        (
            "[sinks.a]\ntype='kafka'\nbootstrap='b:1'\n[sinks.a.librdkafka]\nacks=0",
            'sinks.a.librdkafka: "acks": delivery depends on it; expected "all" or "-1", or nothing',
        ),
        (
            "[sinks.a]\ntype='kafka'\nbootstrap='b:1'\n[sinks.a.librdkafka]\n'enable.idempotence'=false",
            'sinks.a.librdkafka: "enable.idempotence": delivery depends on it; expected "true", or nothing',
        ),
        ("[[rules]]\nname='a'\nkeep='long'\nmatch={key='k'}", 'rules[0].keep: expected one of "longest", "normal"'),
        ("[[rules]]\nname='a'\nroute=[]\nmatch={key='k'}", "a.toml:3: rules[0].route: expected at least one sink"),
        ("[[rules]]\nname='a'\ndrop=true\nmatch={uid='root'}", "uid: expected numbers (or the beginning of one and *)"),
        ("[[rules]]\nname='a'\ndrop=true\nmatch={auid=['1*', '1*0']}", "auid: expected numbers"),
        (
            "[sinks.e]\ntype=[1]",
            f"a.toml:2: sinks.e.type: expected one of {TYPES}, found [1]",
        ),
        ("a = " + "[" * 5000 + "]" * 5000, "a.toml: tables or lists are nested too deep"),
        ("[limits]\nevents = " + "9" * 5000, "a.toml:2: a number has too many digits"),
        ("[limits]\nevents = 0x" + "f" * 9000, "limits.events: expected a whole number from 16 to"),
        ("[sinks.e]\ntype=[0x" + "f" * 9000 + "]", "found a number of very many digits"),
        (
            "[limits]\nheld_bytes = 1073741825",
            "held_bytes: expected a whole number of bytes from 1048576 to 1073741824",
        ),
        (
            "[[rules]]\nname = 'a'\nmatch = {key = 'k'}",
            "rules[0]: expected either drop = true, or route = [sinks], keep, or both",
        ),
        (
            "[[rules]]\nname='a'\ndrop=true\nroute=['events']\nmatch={key='k'}",
            "a.toml:1: rules[0]: expected either drop = true, or route = [sinks], keep, or both",
        ),
        ("[[rules]]\nname='a'\nroute=['event']\nmatch={key='k'}", 'there is no sink "event"; did you mean "events"?'),
    ],
)
def test_each_kind_of_mistake(source: str, expected: str) -> None:
    """Every kind of mistake is told from the others, in words."""
    assert expected in errors_of(source)[0]


def test_too_many_sinks() -> None:
    """A frame's header has 64 route bits; more sinks are refused, not overlooked."""
    source = "\n".join(f"[sinks.s{number}]\ntype='file'\npath='/{number}'" for number in range(65))
    assert errors_of(source) == ["a.toml: sinks: expected at most 64 sinks, found 65"]


def test_what_is_no_text() -> None:
    """A file that is not text is named with the line where that shows."""
    with pytest.raises(ConfigFileError, match=r"a\.toml:2: is not UTF-8 text"):
        parse(b"a = 1\n\xff", "a.toml")


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, or is a folder, or is huge, is an error that says so."""
    with pytest.raises(ConfigFileError, match=r"none\.toml: cannot be read: No such file"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigFileError, match="cannot be read: Is a directory"):
        load(str(tmp_path))
    monkeypatch.setattr(config_file, "MAX_CONFIG_BYTES", 10)
    (tmp_path / "a").write_bytes(b"#" * 11)
    with pytest.raises(ConfigFileError, match="is larger than 10 bytes"):
        load(str(tmp_path / "a"))


def test_a_file_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write the configuration decides what becomes of the audit trail; a slip with modes is told."""
    file = tmp_path / "a.toml"
    file.write_text("")
    file.chmod(0o646)
    with pytest.raises(ConfigFileError, match=r"a\.toml: others may write it \(mode 0646\)"):
        load(str(file))
    file.chmod(0o664)  # a group of administrators
    load(str(file))
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    if os.getuid():
        with pytest.raises(ConfigFileError, match=f"it belongs to user {os.getuid()}"):
            load(str(file))
    else:
        os.chown(file, 1234, -1)
        with pytest.raises(ConfigFileError, match="it belongs to user 1234; expected root or the plugin's user"):
            load(str(file))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe in the configuration's place is told, and holds up nobody."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigFileError, match="pipe: expected a regular file"):
        load(str(tmp_path / "pipe"))


@pytest.mark.parametrize("where", ["secrets]\n'sasl.password'=", "librdkafka]\n'sasl.password'=[", "x]\nsecrets="])
def test_a_password_in_the_wrong_place_is_not_repeated(where: str) -> None:
    """What is said of a mistake goes to terminals and logs; a password must not."""
    end = "]" if where.endswith("[") else ""
    table = "[sinks.a" if where.startswith("x") else f"[sinks.a.{where.partition(']')[0]}"
    source = f"[sinks.a]\ntype='kafka'\nbootstrap='b:1'\n{table}]{where.partition(']')[2]}'hunter2'{end}"
    if where.startswith("x"):
        source = "[sinks.a]\ntype='kafka'\nbootstrap='b:1'\nsecrets='hunter2'"
    told = errors_of(source)
    assert told
    assert "hunter2" not in "".join(told)


def test_a_password_that_others_may_read(tmp_path: Path) -> None:
    """A password in a file that everybody reads is refused, with what to do instead; it is not repeated."""
    file = tmp_path / "a.toml"
    file.write_text('[sinks.k]\ntype = "kafka"\nbootstrap = "a:1"\n[sinks.k.librdkafka]\n"sasl.password" = "hush"\n')
    file.chmod(0o644)
    with pytest.raises(ConfigFileError) as caught:
        load(str(file))
    assert '"sasl.password" stands here, and others may read this file; expected mode 0640' in str(caught.value)
    assert "hush" not in str(caught.value)
    file.chmod(0o640)
    assert load(str(file)).sinks


@pytest.mark.parametrize("user", ['"has space"', '"-x"', '"a:b"', "0", '"' + "x" * 40 + '"'])
def test_users_that_cannot_be(user: str) -> None:
    """What is no name of a user is told when the file is read."""
    with pytest.raises(ConfigFileError, match="expected the name of a user"):
        parse(f"[privileges]\nuser = {user}\n".encode(), "a.toml")


def test_very_many_mistakes_are_told_in_time() -> None:
    """A file of nonsense costs a moment, and names as many mistakes as anybody mends in one go."""
    many = "".join(f"key{number} = 1\n" for number in range(20_000))
    for text in (many, f"[limits]\n{many}", f"[sinks.a]\ntype = 'stdout'\n{many}", "[[rules]]\nx = 1\n" * 20_000):
        with pytest.raises(ConfigFileError) as caught:
            parse(text.encode(), "a.toml")
        assert 100 <= len(caught.value.errors) <= 110


def test_a_file_that_says_nothing() -> None:
    """It is right, and known to say nothing: a reload does not take that for a wish."""
    assert parse(b"# nothing\n", "a.toml").empty
    assert not parse(b"[limits]\n", "a.toml").empty
