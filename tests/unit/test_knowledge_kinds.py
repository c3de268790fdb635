"""What numbers mean: kinds of values, their tables, and which argument of which syscall has which kind."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "src" / "knowledge" / "data"
TABLES = sorted(path.stem for path in (DATA / "values").glob("*.tsv"))
HEADER = Path("/usr/include/linux/audit.h")


def read(name: str) -> list[dict[str, str]]:
    """Return the rows of data/`name`."""
    lines = [line for line in (DATA / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    columns = lines[0].split("\t")
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:]]


KINDS = {row["kind"]: row for row in read("kinds.tsv")}
FAMILIES = {row["family"] for row in read("arches.tsv")}
ARGUMENTS = read("arguments.tsv")


def rows_of(kind: str, family: str) -> list[tuple[int, int | None, str]]:
    """Return (value, mask, name) of the rows that hold for `family`, in the order in which they are tried."""
    table = read(f"values/{kind}.tsv")
    own = any(family in row["arches"].split(",") for row in table)
    chosen = family if own else "*"
    rows = [row for row in table if chosen in row["arches"].split(",")]
    return [(int(row["value"], 16), None if row["mask"] == "-" else int(row["mask"], 16), row["name"]) for row in rows]


def decode(kind: str, number: int, family: str = "x86") -> list[str]:
    """Decode `number` as the engine does: what is not known ends the list in hex, nothing known is an empty list."""
    names, seen = [], 0
    for value, mask, name in rows_of(kind, family):
        if mask is None:
            if value == number:
                return [name]
        elif number & mask == value and not seen & mask:
            names.append(name)
            seen |= mask
    left = number & ~seen
    return [*names, f"{left:#x}"] if names and left else names


def test_kinds_are_well_formed() -> None:
    """A kind is read in one way that the engine knows."""
    for row in KINDS.values():
        assert row["reader"] in {"own", "name", "values", "mode", "keystrokes"}, row
        assert row["base"] in (
            {"-", "dec"} if row["reader"] in {"own", "keystrokes"} else {"dec", "err", "hex", "oct", "auto"}
        )
        assert row["width"] in {"-", "32", "64"}, row


def test_every_kind_is_used_and_every_use_is_a_kind() -> None:
    """No number is left unexplained by a slip of the pen, and no table is dead weight."""
    used = {row["kind"] for name in ("fields.tsv", "path_fields.tsv", "arguments.tsv") for row in read(name)}
    assert used - KINDS.keys() == set()
    # `key` and the other kinds of text are used by fields; a table is used by what takes its numbers.
    assert KINDS.keys() - used == set()
    with_table = {kind for kind, row in KINDS.items() if row["reader"] in {"name", "values"} or kind == "uring_op"}
    assert set(TABLES) == with_table


@pytest.mark.parametrize("kind", TABLES)
def test_tables_do_not_contradict_themselves(kind: str) -> None:
    """One number has one meaning on one machine, whatever stands in the table for others."""
    table = read(f"values/{kind}.tsv")
    width = int(KINDS[kind]["width"])
    named = {family for row in table for family in row["arches"].split(",")}
    assert named <= FAMILIES | {"*"}
    for family in (named - {"*"}) | {"none"}:
        rows = rows_of(kind, family)
        assert len(rows) == len(set(rows))
        assert len({(value, mask) for value, mask, _ in rows}) == len(rows)
        assert {mask is None for _, mask, _ in rows} in ({True}, {False}, set())
        tried: list[tuple[int, int]] = []
        for value, mask, name in rows:
            assert value < 1 << width, name
            if mask is None:
                continue
            assert 0 < mask < 1 << width, name
            assert value & ~mask == 0, name
            assert value or mask.bit_count() > 1, f"{name}: a flag without a bit"
            # A row that only matches what an earlier one has taken is never reached.
            assert not [v for v, m in tried if mask & m == mask and value == v & mask and m == mask], name
            tried.append((value, mask))


@pytest.mark.parametrize("kind", TABLES)
def test_more_bits_are_tried_first(kind: str) -> None:
    """O_SYNC is not read as O_DSYNC and something else: what has several bits comes before its parts."""
    for family in FAMILIES:
        counts = [mask.bit_count() for _, mask, _ in rows_of(kind, family) if mask is not None]
        assert counts == sorted(counts, reverse=True)


def test_every_argument_belongs_to_a_syscall() -> None:
    """A misspelt name would leave a syscall without explanation and nobody would notice."""
    calls = {row["name"] for path in (DATA / "syscalls").glob("*.tsv") for row in read(f"syscalls/{path.name}")}
    assert {row["syscall"] for row in ARGUMENTS} - calls == set()
    assert {row["argument"] for row in ARGUMENTS} <= {"0", "1", "2", "3"}
    assert [row["syscall"] for row in ARGUMENTS] == sorted(row["syscall"] for row in ARGUMENTS)


def test_arguments_have_kinds_that_a_register_can_hold() -> None:
    """Text and addresses are not in a register; what is decoded there is a number."""
    allowed = {"uid", "gid", "decimal"}
    wrong = {
        (row["syscall"], row["kind"])
        for row in ARGUMENTS
        if row["kind"] not in allowed and KINDS[row["kind"]]["reader"] not in {"name", "values", "mode"}
    }
    assert wrong == set()


def test_conditions_can_hold() -> None:
    """`mode` of open() is decoded when a file may be made: each name of a condition can be met."""
    kinds: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in ARGUMENTS:
        kinds[row["syscall"], row["argument"]].add(row["kind"])
    for row in ARGUMENTS:
        if row["when"] == "-":
            continue
        assert re.fullmatch(r"a[0-3]:[A-Za-z0-9_]+(,[A-Za-z0-9_]+)*", row["when"]), row
        argument, names = row["when"][1:].split(":")
        assert argument != row["argument"], row
        # Numbers are looked up: every machine's names are possible.
        known = {entry["name"] for kind in kinds[row["syscall"], argument] for entry in read(f"values/{kind}.tsv")}
        assert set(names.split(",")) <= known, row


def test_a_condition_is_never_hidden() -> None:
    """An argument is decoded by the first line that holds, so a line without a condition stands alone."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in ARGUMENTS:
        lines[row["syscall"], row["argument"]].append(row["when"])
    assert {key: whens for key, whens in lines.items() if len(whens) > 1 and "-" in whens} == {}
    assert {key: whens for key, whens in lines.items() if len(set(whens)) != len(whens)} == {}


@pytest.mark.parametrize(
    ("kind", "number", "family", "names"),
    [
        ("open_flags", 0x241, "x86", ["O_WRONLY", "O_CREAT", "O_TRUNC"]),
        ("open_flags", 0x0, "x86", ["O_RDONLY"]),
        ("open_flags", 0x101002, "x86", ["O_RDWR", "O_SYNC"]),
        ("open_flags", 0x410002, "x86", ["O_RDWR", "O_TMPFILE"]),
        ("open_flags", 0x4000, "x86", ["O_RDONLY", "O_DIRECT"]),
        ("open_flags", 0x4000, "arm64", ["O_RDONLY", "O_DIRECTORY"]),
        ("open_flags", 0x101, "mips", ["O_WRONLY", "O_CREAT"]),
        ("open_flags", 0x80000000, "x86", ["O_RDONLY", "0x80000000"]),
        ("mmap_prot", 0x0, "x86", ["PROT_NONE"]),
        ("mmap_prot", 0x5, "x86", ["PROT_READ", "PROT_EXEC"]),
        ("mmap_flags", 0x22, "x86", ["MAP_PRIVATE", "MAP_ANONYMOUS"]),
        ("mmap_flags", 0x802, "mips", ["MAP_PRIVATE", "MAP_ANONYMOUS"]),
        ("mmap_argument_flags", 0x62, "x86", ["MAP_PRIVATE", "MAP_ANONYMOUS", "MAP_32BIT"]),
        ("mmap_argument_flags", 0x22, "s390", []),
        ("clone_flags", 0x1200011, "x86", ["SIGCHLD", "CLONE_CHILD_CLEARTID", "CLONE_CHILD_SETTID"]),
        ("clone_flags", 0x1200011, "s390", []),
        ("clone_second_flags", 0x1200011, "s390", ["SIGCHLD", "CLONE_CHILD_CLEARTID", "CLONE_CHILD_SETTID"]),
        ("clone_second_flags", 0x1200011, "x86", []),
        ("capabilities", 0x3000, "x86", ["CAP_NET_ADMIN", "CAP_NET_RAW"]),
        ("capabilities", 1 << 40, "x86", ["CAP_CHECKPOINT_RESTORE"]),
        ("capability", 21, "x86", ["CAP_SYS_ADMIN"]),
        ("signal", 17, "x86", ["SIGCHLD"]),
        ("signal", 17, "mips", ["SIGUSR2"]),
        ("signal", 10, "sparc", ["SIGBUS"]),
        ("socket_domain", 10, "x86", ["AF_INET6"]),
        ("socket_type", 0x80802, "x86", ["SOCK_DGRAM", "SOCK_NONBLOCK", "SOCK_CLOEXEC"]),
        ("socket_type", 0x82, "mips", ["SOCK_STREAM", "SOCK_NONBLOCK"]),
        ("sockopt_level", 0xFFFF, "mips", ["SOL_SOCKET"]),
        ("sockopt_level", 1, "x86", ["SOL_SOCKET"]),
        ("socket_option", 16, "powerpc", ["SO_RCVLOWAT"]),
        ("ip_option_set", 64, "x86", ["IPT_SO_SET_REPLACE"]),
        ("ip_option_get", 64, "x86", ["IPT_SO_GET_INFO"]),
        ("ip_protocol", 6, "x86", ["IPPROTO_TCP"]),
        ("dirfd", 0xFFFFFF9C, "x86", ["AT_FDCWD"]),
        ("ptrace_request", 16, "x86", ["PTRACE_ATTACH"]),
        ("ptrace_request", 0x4206, "arm64", ["PTRACE_SEIZE"]),
        ("ioctl_request", 0x5401, "x86", ["TCGETS"]),
        ("ioctl_request", 0x40086602, "x86", ["FS_IOC_SETFLAGS"]),
        ("ioctl_request", 0x80086602, "powerpc", ["FS_IOC_SETFLAGS"]),
        ("ioctl_request", 0x400454CA, "x86", ["TUNSETIFF"]),
        ("ioctl_command", 0x6602, "x86", ["FS_IOC_SETFLAGS"]),
        ("personality", 0x40008, "x86", ["PER_LINUX32", "ADDR_NO_RANDOMIZE"]),
        ("personality", 0xFFFFFFFF, "x86", ["0xffffffff"]),
        ("mount_flags", 0xC0ED0021, "x86", ["MS_MGC_VAL", "MS_RDONLY", "MS_REMOUNT"]),
        ("rlimit", 7, "x86", ["RLIMIT_NOFILE"]),
        ("rlimit", 5, "mips", ["RLIMIT_NOFILE"]),
        ("fcntl_command", 0x409, "x86", ["F_ADD_SEALS"]),
        ("quota_command", 0x80000201, "x86", ["Q_QUOTAON", "GRPQUOTA"]),
        ("reboot_command", 0x4321FEDC, "x86", ["LINUX_REBOOT_CMD_POWER_OFF"]),
        ("seccomp", 0x7FFC0000, "x86", ["log"]),
        ("seccomp", 0x0, "x86", ["kill_thread"]),
        ("uring_op", 18, "x86", ["openat"]),
        ("uring_register", 0x80000002, "x86", ["IORING_REGISTER_FILES", "IORING_REGISTER_USE_REGISTERED_RING"]),
        ("errno", 13, "x86", ["EACCES"]),
        ("errno", 115, "mips", []),
        ("filter_list", 4, "x86", ["exit"]),
        ("permission", 0x6, "x86", ["write", "read"]),
        ("fanotify_response", 2, "x86", ["FAN_DENY"]),
        ("promiscuity", 256, "x86", ["yes"]),
        ("ipc_call", 2, "x86", ["semget"]),
        ("socket_call", 3, "x86", ["connect"]),
        ("shm_get_flags", 0x380, "x86", ["S_IWUSR", "S_IRUSR", "IPC_CREAT"]),
        ("access_mode", 0, "x86", ["F_OK"]),
        ("futex_operation", 0x80, "x86", ["FUTEX_WAIT", "FUTEX_PRIVATE_FLAG"]),
        ("memory_policy", 0x8002, "x86", ["MPOL_BIND", "MPOL_F_STATIC_NODES"]),
    ],
)
def test_what_numbers_mean(kind: str, number: int, family: str, names: list[str]) -> None:
    """Flags and commands read as in the programs that gave them, on the machine that they were given on."""
    assert decode(kind, number, family) == names


def test_devices_requests_are_no_small_numbers() -> None:
    """Constants of the headers of devices that are no requests do not slip in and name whatever is 1, 2 or 3."""
    small = {row["name"] for row in read("values/ioctl_request.tsv") if int(row["value"], 16) < 0x100}
    assert small == {"FIBMAP", "FIGETBSZ"}


def test_tables_stay_small() -> None:
    """What is compiled in stays a fraction of the engine."""
    assert sum(path.stat().st_size for path in (DATA / "values").glob("*.tsv")) < 400_000


@pytest.mark.skipif(not HEADER.is_file(), reason="compares with the kernel header of this machine, which has none")
def test_no_record_type_of_this_machines_header_is_unknown() -> None:
    """A kernel older than the knowledge has no record that we cannot name."""
    known = {int(row["number"]) for row in read("record_types.tsv")}
    ranges = re.compile(r"AUDIT_(?:FIRST|LAST|INTEGRITY_(?:FIRST|LAST))_")
    defined = re.findall(r"^#define\s+(AUDIT_\w+)\s+(\d{4})\b", HEADER.read_text(encoding="utf-8"), re.MULTILINE)
    numbers = {int(number) for name, number in defined if not ranges.match(name) and 1000 <= int(number) <= 2999}
    assert len(numbers) > 80
    assert numbers - known == set()
