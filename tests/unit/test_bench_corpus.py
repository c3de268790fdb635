"""The logs that figures are measured on (bench/corpus.py, bench/vary.py)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `bench` is scripts, not installed

from bench.corpus import CorpusError, default_vectors, read_events, templates, write_corpus
from bench.vary import USERS, Variation, make_template

if TYPE_CHECKING:
    from bench.corpus import Format

SIZE = 300_000
RECORD = re.compile(rb"type=([A-Z0-9_\[\]]+) msg=audit\((\d{10})\.(\d{3}):(\d+)\):")
FIELD = re.compile(rb"""(?<![\w\]-])([A-Za-z_][\w-]*(?:\[\d+\])?)=("[^"]*"|'[^']*'|\{[^}]*\}|[^\s'"{}]+)""")

# An exec with arguments in hex and in quotes, a connect, a Unix socket, a login, a command with sudo.
EXEC = b"""\
type=SYSCALL msg=audit(1.100:7): arch=c000003e syscall=59 success=yes exit=0 a0=55ca4cf267d0 a1=55ca4cf1caa0 a2=8 \
a3=0 items=2 ppid=389 pid=449 auid=1000 uid=1000 gid=1000 euid=0 tty=pts0 ses=3 comm="tar" exe="/usr/bin/tar" \
subj=unconfined key="exec"\x1dARCH=x86_64 SYSCALL=execve AUID="lab" UID="lab" GID="lab" EUID="root"
type=EXECVE msg=audit(1.100:7): argc=4 a0="tar" a1="-xf" a2="/srv/in/archive1.tgz" a3=2D2D746F3D6D7920666F6C646572
type=CWD msg=audit(1.100:7): cwd="/srv/in/daily"
type=PATH msg=audit(1.100:7): item=0 name="/usr/bin/tar" inode=1629 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 \
nametype=NORMAL\x1dOUID="root" OGID="root"
type=PATH msg=audit(1.100:7): item=1 name=2F7372762F696E2F6D7920666F6C646572 inode=2001 dev=fe:00 mode=040755 \
ouid=1000 ogid=1000 rdev=00:00 nametype=PARENT\x1dOUID="lab" OGID="lab"
type=PROCTITLE msg=audit(1.100:7): proctitle=746172002D7866002F7372762F696E2F61726368697665312E74677A
type=EOE msg=audit(1.100:7):
"""
CONNECT = b"""\
type=SYSCALL msg=audit(1.200:8): arch=c000003e syscall=42 success=yes exit=0 a0=3 a1=7ffd0a1b2c30 a2=10 a3=0 items=0 \
ppid=389 pid=450 auid=4294967295 uid=0 ses=4294967295 comm="curl" exe="/usr/bin/curl" key=(null)\x1dARCH=x86_64 \
SYSCALL=connect AUID="unset" UID="root"
type=SOCKADDR msg=audit(1.200:8): saddr=020001BBC00002350000000000000000\x1d\
SADDR={ saddr_fam=inet laddr=192.0.2.53 lport=443 }
type=SOCKADDR msg=audit(1.200:8): saddr=01002F72756E2F73797374656D642F6E6F7469667900\x1d\
SADDR={ saddr_fam=local path=/run/systemd/notify }
type=SOCKADDR msg=audit(1.200:8): saddr=0A0001BB0000000020010DB800000000000000000000000100000000\x1d\
SADDR={ saddr_fam=inet6 laddr=2001:db8::1 lport=443 }
type=EOE msg=audit(1.200:8):
"""
USER = b"""\
type=LOGIN msg=audit(1.300:9): pid=451 uid=0 subj=unconfined old-auid=4294967295 auid=1000 tty=(none) \
old-ses=4294967295 ses=1 res=1\x1dUID="root" OLD-AUID="unset" AUID="lab"
type=USER_CMD msg=audit(1.400:10): pid=500 uid=1000 auid=1000 ses=1 subj=unconfined msg='cwd="/home/lab" \
cmd=62617368202F726F6F742F73632F612D657865632E7368 exe="/usr/bin/sudo" terminal=pts/0 res=success'\x1d\
UID="lab" AUID="lab"
"""


@pytest.fixture
def vectors(tmp_path: Path) -> list[Path]:
    """A small log and one more."""
    files = [tmp_path / "exec.log", tmp_path / "rest.log"]
    files[0].write_bytes(EXEC + CONNECT)
    files[1].write_bytes(USER + b"no record\ntype=DAEMON_START msg=audit(1.500:1): op=start pid=700\n")
    return files


def make(vectors: list[Path], wanted: Format = "enriched", *, size: int = SIZE, seed: int = 1) -> bytes:
    """Return a log made of these vectors."""
    target = vectors[0].parent / "made.log"
    made = write_corpus(target, templates(read_events(vectors), wanted), size=size, seed=seed)
    content = target.read_bytes()
    assert made.size == len(content)
    assert made.records == content.count(b"\n")
    return content


def events(log: bytes) -> dict[int, list[bytes]]:
    """Return the lines of each event by serial, in order."""
    found: dict[int, list[bytes]] = {}
    for line in log.splitlines():
        record = RECORD.match(line)
        assert record, line
        found.setdefault(int(record[4]), []).append(line)
    return found


def fields(line: bytes) -> dict[bytes, bytes]:
    """Return the fields of a record's own part; a nested msg='…' is opened."""
    own = line.partition(b"): ")[2].partition(b"\x1d")[0].replace(b"msg='", b"").replace(b"'", b"")
    return {match[1]: match[2] for match in FIELD.finditer(own)}


@pytest.mark.parametrize("wanted", ["enriched", "raw"])
def test_same_seed_same_bytes(vectors: list[Path], wanted: Format) -> None:
    """Figures of two days, or of two machines, are about the same log."""
    assert make(vectors, wanted) == make(vectors, wanted)
    assert make(vectors, wanted) != make(vectors, wanted, seed=2)


def test_a_smaller_log_is_the_beginning_of_a_larger_one(vectors: list[Path]) -> None:
    """What a slow peer is given is a slice of what the others read."""
    whole, part = make(vectors), make(vectors, size=SIZE // 3)
    assert whole.startswith(part)


@pytest.mark.parametrize("size", [1, 5_000, SIZE])
def test_size_is_reached_and_not_by_far(vectors: list[Path], size: int) -> None:
    """A log of 200 MiB has 200 MiB: whole events, the last one goes over."""
    log = make(vectors, size=size)
    last = list(events(log).values())[-1]
    assert size <= len(log) < size + sum(len(line) + 1 for line in last)


@pytest.mark.parametrize("wanted", ["enriched", "raw"])
def test_serials_rise_without_gaps_and_time_never_goes_back(vectors: list[Path], wanted: Format) -> None:
    """Nobody who counts gaps has to spend time on ones that are not real."""
    log = make(vectors, wanted)
    serials = [int(found[4]) for found in RECORD.finditer(log)]
    times = [int(found[2] + found[3]) for found in RECORD.finditer(log)]
    assert serials == sorted(serials)
    assert sorted(set(serials)) == list(range(serials[0], serials[-1] + 1))
    assert times == sorted(times)
    assert abs((times[-1] - times[0]) - (serials[-1] - serials[0]) / 10) <= 1  # 10,000 events per second


@pytest.mark.parametrize("wanted", ["enriched", "raw"])
def test_no_two_events_have_the_same_body(vectors: list[Path], wanted: Format) -> None:
    """A cache of whole bodies gains nothing on this log that it would not gain on a host."""
    bodies = [tuple(RECORD.sub(rb"\1", line) for line in lines) for lines in events(make(vectors, wanted)).values()]
    assert len(bodies) > 300
    assert len(set(bodies)) == len(bodies)


@pytest.mark.parametrize("wanted", ["enriched", "raw"])
def test_every_record_still_parses_and_has_the_fields_it_had(vectors: list[Path], wanted: Format) -> None:
    """The log is made of real events: same types, same fields, same lengths of arguments, as in the vectors."""
    shapes = {shape(event) for event in read_events(vectors)}
    for lines in events(make(vectors, wanted)).values():
        assert shape(lines) in shapes


def shape(lines: list[bytes]) -> tuple[object, ...]:
    """Return what never changes of an event: types, field names, what is hex, how long texts are."""
    texts = {b"name", b"cwd", b"cmd", b"proctitle", b"a2", b"a3"}
    return tuple(
        (line[5 : line.index(b" ")], *((key, len(value) if key in texts else 0) for key, value in fields(line).items()))
        for line in lines
        if not line.startswith(b"type=EOE")
    )


def test_arguments_and_paths_change_and_programs_stay(vectors: list[Path]) -> None:
    """What repeats on a host (programs, keys) repeats here, what does not (arguments, files) does not."""
    log = make(vectors)
    execs = [fields(line) for line in log.splitlines() if line.startswith(b"type=EXECVE")]
    assert {each[b"a0"] for each in execs} == {b'"tar"'}
    for argument in (b"a2", b"a3"):
        assert len({each[argument] for each in execs}) > len(execs) * 0.9
    assert all(bytes.fromhex(each[b"a3"].decode()).startswith(b"--to=my ") for each in execs)
    assert {each[b"exe"] for each in map(fields, log.splitlines()) if b"a0" in each and b"exe" in each} == {
        b'"/usr/bin/tar"',
        b'"/usr/bin/curl"',
    }


def test_one_thing_has_one_name_all_over_an_event(vectors: list[Path]) -> None:
    """Arguments and the process title of an event say the same, as they do on a host."""
    for lines in events(make(vectors)).values():
        of_type = {line[5 : line.index(b" ")]: fields(line) for line in lines}
        if b"EXECVE" in of_type:
            title = bytes.fromhex(of_type[b"PROCTITLE"][b"proctitle"].decode()).split(b"\0")
            assert title == [b"tar", b"-xf", of_type[b"EXECVE"][b"a2"].strip(b'"')]


def test_enriched_names_belong_to_their_numbers_and_can_be_looked_up(vectors: list[Path]) -> None:
    """No peer is punished with users that do not exist, nobody sees a name that contradicts its number."""
    names = {str(number): name for number, name in USERS.items()} | {"0": "root", "4294967295": "unset"}
    checked = 0
    for line in make(vectors).splitlines():
        for key, name in re.findall(r'([A-Z-]*[UG]ID)="(.*?)"', line.partition(b"\x1d")[2].decode()):
            assert names[fields(line)[key.lower().encode()].decode()] == name
            checked += 1
    assert checked > 1000


def test_addresses_agree_with_their_hex(vectors: list[Path]) -> None:
    """A peer that reads auditd's text and one that reads the hex see the same connection."""
    lines = make(vectors).splitlines()
    seen = set()
    for line in lines:
        found = re.search(
            rb"saddr=0200(....)(........)0{16}\x1dSADDR=\{ saddr_fam=inet laddr=(\S+) lport=(\d+) \}", line
        )
        if found:
            assert int(found[1], 16) == int(found[4])
            assert ".".join(str(byte) for byte in bytes.fromhex(found[2].decode())) == found[3].decode()
            seen.add(found[3])
        local = re.search(rb"saddr=0100((?:..)+?)00\x1dSADDR=\{ saddr_fam=local path=(\S+) \}", line)
        assert not local or bytes.fromhex(local[1].decode()) == local[2]
    assert len(seen) > 50
    assert len({line for line in lines if b"saddr_fam=inet6 " in line}) > 50


def test_parents_stay_parents(vectors: list[Path]) -> None:
    """A peer that follows processes finds the relations that were captured."""
    pairs = [fields(line) for line in make(vectors).splitlines() if line.startswith(b"type=SYSCALL")]
    assert {int(each[b"pid"]) - int(each[b"ppid"]) for each in pairs} == {449 - 389, 450 - 389}
    assert len({each[b"pid"] for each in pairs}) == len(pairs)


def test_events_end_as_auditd_ends_them(vectors: list[Path]) -> None:
    """The log is what a plugin reads on stdin: EOE behind a syscall's records, also where the vector has none."""
    vectors[0].write_bytes(b"".join(line for line in EXEC.splitlines(keepends=True) if b"=EOE" not in line))
    for wanted, end in (("enriched", b""), ("raw", b" ")):
        for lines in events(make(vectors, wanted)).values():  # type: ignore[arg-type]  # both are formats
            is_end = [line.startswith(b"type=EOE") for line in lines]
            assert is_end[:-1] == [False] * (len(lines) - 1)
            assert is_end[-1] == lines[0].startswith(b"type=SYSCALL")
            assert not is_end[-1] or lines[-1].partition(b"):")[2] == end


def test_raw_is_without_names(vectors: list[Path]) -> None:
    """With `--format raw` everybody has to look names up."""
    assert b"\x1d" not in make(vectors, "raw")


def test_records_without_names_are_not_used_where_auditd_would_have_added_them(vectors: list[Path]) -> None:
    """An enriched log holds no raw events by mistake."""
    vectors[0].write_bytes(re.sub(rb"\x1d[^\n]*", b"", EXEC) + CONNECT)
    assert b"EXECVE" not in make(vectors)
    assert b"EXECVE" in make(vectors, "raw")


def test_percent_signs_and_any_bytes_pass(tmp_path: Path) -> None:
    """Odd bytes of a vector are in the log as they were."""
    vector = tmp_path / "odd.log"
    vector.write_bytes(b"type=USER msg=audit(1.1:1): pid=4000 uid=0 msg='op=100%s %b \xff\xfe res=success'\n")
    assert b"uid=0 msg='op=100%s %b \xff\xfe res=success'\n" in make([vector], "raw", size=2000)


@pytest.mark.parametrize(
    "content",
    [b"", b"no record\n", b"type=CONFIG_CHANGE msg=audit(1.1:1): op=set res=1\n", b"type=EOE msg=audit(1.1:1):\n"],
)
def test_nothing_to_vary_is_an_error(tmp_path: Path, content: bytes) -> None:
    """A file that gives no log is named as the reason, and nothing runs for ever."""
    vector = tmp_path / "none.log"
    vector.write_bytes(content)
    with pytest.raises(CorpusError, match="raw format"):
        make([vector], "raw")


def test_too_little_to_vary_is_an_error(tmp_path: Path) -> None:
    """When no further event would be new, it ends."""
    vector = tmp_path / "little.log"
    vector.write_bytes(b'type=CWD msg=audit(1.1:1): cwd="/srv/123"\n')
    with pytest.raises(CorpusError, match="varied"):
        make([vector], "raw")


def test_make_template_names_what_is_no_record() -> None:
    """A slip in a caller is seen at once."""
    with pytest.raises(ValueError, match="not an audit record: b'abc'"):
        make_template([b"abc"])


def test_words_keep_their_kind_and_length() -> None:
    """Numbers stay numbers and texts keep their length, so records keep theirs."""
    variation = Variation(0, Random(1))  # noqa: S311  # no secret
    assert re.fullmatch(rb"\d{4}", variation.word(b"0815"))
    assert re.fullmatch(rb"[0-9a-z]{5}", variation.word(b"abcde"))
    assert variation.word(b"abcde") == variation.word(b"abcde")


@pytest.mark.skipif(not default_vectors(), reason="no vectors in this tree")
@pytest.mark.parametrize("wanted", ["enriched", "raw"])
def test_the_projects_own_vectors_give_a_log(tmp_path: Path, wanted: Format) -> None:
    """`make bench` works without arguments."""
    kinds = templates(read_events(default_vectors()), wanted)
    made = write_corpus(tmp_path / "made.log", kinds, size=2_000_000)
    found = events((tmp_path / "made.log").read_bytes())
    assert len(found) == made.events
    bodies = {tuple(RECORD.sub(rb"\1", line) for line in lines) for lines in found.values()}
    assert len(bodies) == made.events
