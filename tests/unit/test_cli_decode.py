"""`decode`, with the real engine."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from audisp_pyaudit.cli.decode import decode
from audisp_pyaudit.packing import ends

RECORD = (
    "type=USER_LOGIN msg=audit(1700000000.{ms:03}:{serial}): pid=5 uid=0 auid=1000 ses=1 msg='op=login id=1000 "
    'exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success\'\n'
)
LOG = "".join(RECORD.format(ms=serial, serial=serial) for serial in range(1, 101)).encode()
COMMAND = [sys.executable, "-m", "audisp_pyaudit", "decode"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 100 events."""
    path = tmp_path / "audit.log"
    path.write_bytes(LOG)
    return path


def serials(output: str) -> list[int]:
    """The serials of printed JSON; events of our own have none."""
    events = (json.loads(line)["event"] for line in output.splitlines())
    return [event["sequence"] for event in events if "sequence" in event]


def test_a_log_becomes_documents(log: Path) -> None:
    """One document per event, in order, and the ledger says that nothing is missing."""
    result = CliRunner().invoke(decode, ["--format", "json", "--ledger", str(log)])
    assert result.exit_code == 0
    assert serials(result.stdout) == list(range(1, 101))
    assert "records in 100 = published 100 + held 0 + end_of_event 0 + filtered 0" in result.stderr
    assert result.stderr.endswith("ledger closed\n")


def test_gzip_is_recognised(tmp_path: Path, log: Path) -> None:
    """Rotated and packed logs are read as they are, whatever their name, also when packed in several pieces."""
    packed = tmp_path / "audit.log.1"
    packed.write_bytes(gzip.compress(LOG[:5000]) + gzip.compress(LOG[5000:]) + b"\0" * 100)
    one = CliRunner().invoke(decode, [str(packed)])
    assert one.exit_code == 0
    assert one.stdout == CliRunner().invoke(decode, [str(log)]).stdout


def test_standard_input(log: Path) -> None:
    """Logs come by pipe, named - or not at all."""
    for words in (["-"], []):
        done = subprocess.run([*COMMAND, *words], input=gzip.compress(LOG), capture_output=True, check=True)
        assert done.stdout.decode() == CliRunner().invoke(decode, [str(log)]).stdout


def test_what_cannot_be_read_is_said_and_the_rest_is_read(tmp_path: Path, log: Path) -> None:
    """One bad file among several costs itself; what could be read of it comes out."""
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(LOG)[:-20])
    result = CliRunner().invoke(decode, [str(tmp_path / "none"), str(tmp_path), str(cut), str(log)])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"audisp-pyaudit decode: {tmp_path}/none: No such file or directory",
        f"audisp-pyaudit decode: {tmp_path}: Is a directory",
        f"audisp-pyaudit decode: {cut}: the gzip file is cut off",
    ]
    assert set(range(1, 101)) <= set(serials(result.stdout))
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(LOG)[:60] + b"\xff" * 50)
    result = CliRunner().invoke(decode, [str(broken)])
    assert result.exit_code == 1
    assert "Error -3" in result.stderr


def test_a_last_line_without_end(tmp_path: Path) -> None:
    """The end of one file and the beginning of the next are not glued together."""
    parts = [tmp_path / "a", tmp_path / "b"]
    parts[0].write_bytes(LOG[: LOG.index(b"\n")])
    parts[1].write_bytes(LOG[LOG.index(b"\n") + 1 :])
    result = CliRunner().invoke(decode, [str(part) for part in parts])
    assert serials(result.stdout) == list(range(1, 101))


def test_formats(log: Path) -> None:
    """The text format is a line per event, msgpack a document after the other."""
    text = CliRunner().invoke(decode, ["--format", "text", str(log)]).stdout
    assert text.count("\n") == 100
    assert "1000 as root logged in as 1000 on ssh (/usr/sbin/sshd[5])" in text
    packed = subprocess.run([*COMMAND, "--format", "msgpack", str(log)], capture_output=True, check=True).stdout
    assert len(list(ends(packed))) == 100


def test_names_only_if_asked_for(log: Path) -> None:
    """A log of another machine is not decorated with this machine's users, unless one wants that."""
    plain = json.loads(CliRunner().invoke(decode, [str(log)]).stdout.splitlines()[0])
    assert "name" not in plain["user"]
    named = CliRunner().invoke(decode, ["--resolve", str(log)]).stdout.splitlines()
    assert len(named) == 100
    assert {json.loads(line)["user"]["name"] for line in named} == {"root"}


def test_the_host_can_be_named(log: Path) -> None:
    """A log from elsewhere gets the identity of where it is from."""
    document = json.loads(CliRunner().invoke(decode, ["--host", "db-1", str(log)]).stdout.splitlines()[0])
    assert (document["host"]["name"], document["host"]["id"]) == ("db-1", "db-1")
    assert document["event"]["id"] == "db-1:1700000000.001:1"


def test_a_reader_that_has_had_enough(tmp_path: Path) -> None:
    """`decode | head` is quiet."""
    big = tmp_path / "big.log"
    big.write_bytes(b"".join(RECORD.format(ms=1, serial=serial).encode() for serial in range(1, 20_000)))
    script = f"set -o pipefail; {' '.join(COMMAND)} {big} | head -n 1"
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ("{log} >/dev/full", 1, "standard output: No space left on device"),
        ("{log} >&-", 1, "there is no standard output to write to"),
        ("<&-", 2, "which log?"),
        ("- <&-", 1, "Bad file descriptor"),
        ("--host '' {log}", 2, "--host: expected the name of a host"),
        ("--help >/dev/full", 1, "standard output: No space left on device"),
        ("--ledger {log} >/dev/null 2>/dev/full", 0, ""),
        ("--ledger {log} >/dev/null 2>&-", 0, ""),
    ],
)
def test_a_misused_command_says_so(log: Path, words: str, code: int, expected: str) -> None:
    """Whatever is wrong with where it reads or writes is said in a sentence, with a fitting exit code."""
    script = f"{' '.join(COMMAND)} {words.format(log=log)}"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert expected in done.stderr
    assert "Exception ignored" not in done.stderr


def test_no_file_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file, a person is asked which, and the program does not just sit there."""
    import click.testing  # noqa: PLC0415  # its stand-in for standard input

    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda _self: True)
    result = CliRunner().invoke(decode, [])
    assert result.exit_code == 2
    assert "which log?" in result.stderr
