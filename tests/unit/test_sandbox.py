"""What a process can no longer do. Each in a process of its own: there is no way back."""

import errno
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from audisp_pyaudit import sandbox

DATA = Path(__file__).parents[2] / "src" / "knowledge" / "data"

_BEGIN = """
import os, subprocess, sys, threading
from audisp_pyaudit import sandbox
folder = sys.argv[1]

def tried(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return error.errno
    return 0

"""


def in_a_process(code: str, folder: Path) -> list[str]:
    """What a program says."""
    command = [sys.executable, "-c", _BEGIN + code, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def landlock_version() -> int:
    """Of this kernel; 0 for none that is of use."""
    try:
        rules = sandbox.Landlock([])
    except OSError:
        return 0
    rules.close()
    return rules.version


need_landlock = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock of use")


@pytest.mark.parametrize("name", list(sandbox.MACHINES))
def test_the_numbers_are_the_kernels(name: str) -> None:
    """What is refused is what was meant, on each processor: the numbers are those of the kernel's headers."""
    lines = (DATA / "syscalls" / f"{name}.tsv").read_text().splitlines()
    rows = (line.split("\t") for line in reversed(lines) if re.match(r"\d+\t", line))
    known = {row[1]: int(row[0]) for row in rows}  # the first of each name; x32 has others
    machine = sandbox.MACHINES[name]
    assert {each: known[each] for each in machine.refused} == machine.refused
    assert (known["execve"], known["execveat"]) == machine.running
    assert known["seccomp"] == machine.seccomp
    assert (known["clone"], known["clone3"]) == (machine.clone, 435)
    arches = (DATA / "arches.tsv").read_text().lower()
    assert f"{machine.arch:x}" in arches


@pytest.mark.parametrize("may_run", [True, False])
def test_the_filter_decides(*, may_run: bool) -> None:
    """The filter's program, run by hand: refused is what is in the list, or of another architecture, nothing else."""
    for machine in sandbox.MACHINES.values():
        program = sandbox.seccomp_program(machine, may_run=may_run)

        def decide(number: int, arch: int, argument: int = 0, program: bytes = program) -> int:
            data, value, at = {0: number, 4: arch, 16: argument}, 0, 0
            while True:
                code, yes, no, k = struct.unpack_from("=HBBI", program, 8 * at)
                at += 1
                if code == 0x20:
                    value = data[k]
                elif code == 0x06:
                    return int(k)
                else:
                    at += yes if {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code] else no

        allowed, refused = 0x7FFF0000, 0x00050000 | errno.EPERM
        assert decide(435, machine.arch) == 0x00050000 | errno.ENOSYS
        assert decide(machine.clone, machine.arch, 0x003D0F00) == allowed  # a thread
        for bit in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
            assert decide(machine.clone, machine.arch, bit | 17) == refused
        for number in (each for each in range(500) if each != 435):
            wanted = number in machine.refused.values() or (not may_run and number in machine.running)
            assert decide(number, machine.arch) == (refused if wanted else allowed)
            assert decide(number, 0x40000003) == refused
            assert decide(number | 0x40000000, machine.arch) == refused


@need_landlock
def test_files_are_written_in_our_folders_only(tmp_path: Path) -> None:
    """Whoever gets to run code in the plugin cannot write a cron job or an authorized key, even where it is root."""
    (tmp_path / "ours").mkdir()
    code = """
rules = sandbox.Landlock([folder + "/ours", folder + "/missing"])
sandbox.no_new_privileges()
rules.restrict()
rules.close()
inside, outside = folder + "/ours/a", folder + "/a"
print(tried(open, inside, "w"), tried(os.mkdir, folder + "/ours/b"), tried(os.rename, inside, folder + "/ours/b/a"))
print(tried(open, outside, "w"), tried(os.mkdir, outside), tried(os.symlink, "/", folder + "/ours/link"))
print(tried(open, os.devnull, "w"), tried(open, "/etc/hosts"), tried(subprocess.run, ["true"]))
"""
    refused = str(errno.EACCES)
    assert in_a_process(code, tmp_path) == ["0", "0", "0", refused, refused, refused, "0", "0", refused]


@need_landlock
def test_nobody_listens_on_tcp(tmp_path: Path) -> None:
    """No port is opened but those that the configuration names."""
    code = """
import socket
free = socket.socket()
free.bind(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
rules = sandbox.Landlock([], [port])
sandbox.no_new_privileges()
rules.restrict()
print(tried(socket.socket().bind, ("127.0.0.1", port)), tried(socket.socket().bind, ("127.0.0.1", port + 1)))
print(rules.version)
"""
    ours, other, version = in_a_process(code, tmp_path)
    assert ours == "0"
    assert int(other) == (errno.EACCES if int(version) >= 4 else 0)


@pytest.mark.skipif(platform.machine() not in sandbox.MACHINES, reason="no filter for this processor")
def test_no_program_is_run_by_any_thread(tmp_path: Path) -> None:
    """The filter holds for threads that were there before, too; what the plugin needs goes on."""
    code = """
go, said = threading.Event(), []
def other():
    go.wait()
    said.append(tried(subprocess.run, ["true"]))
thread = threading.Thread(target=other)
thread.start()
sandbox.no_new_privileges()
print(sandbox.refuse_syscalls())
go.set()
thread.join()
later = threading.Thread(target=lambda: said.append(tried(os.execv, "/bin/true", ["true"])))
later.start()
later.join()
print(*said, tried(open, folder + "/a", "w"))
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
CLONE = sandbox.MACHINES[sandbox.platform.machine()].clone
for flags in (0x10000000 | 17, 0x50000000 | 17):  # a user namespace, in which one is root, and a network of its own
    libc.syscall(CLONE, ctypes.c_ulong(flags), None, None, None, None)
    print(ctypes.get_errno())
print(tried(os.fork))
"""
    refused = str(errno.EPERM)
    assert in_a_process(code, tmp_path)[:6] == ["True", refused, refused, "0", refused, refused]


def test_programs_may_be_run_for_kerberos(tmp_path: Path) -> None:
    """Where tickets are had by kinit, that can be run, and nothing else is given."""
    code = """
sandbox.no_new_privileges()
sandbox.refuse_syscalls(may_run=True)
print(tried(subprocess.run, ["true"]))
"""
    assert in_a_process(code, tmp_path) == ["0"]


def test_an_unknown_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the numbers are not known, nothing is refused, and it is said so."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not sandbox.refuse_syscalls()


def test_capabilities(tmp_path: Path) -> None:
    """Capabilities that are given up are gone; one that was never there is an error, and told."""
    code = """
sandbox.set_capabilities()
print(open("/proc/self/status").read().split("CapEff:")[1].split()[0])
print(tried(sandbox.set_capabilities, sandbox.CAP_AUDIT_CONTROL))
"""
    assert in_a_process(code, tmp_path) == ["0" * 16, str(errno.EPERM)]
