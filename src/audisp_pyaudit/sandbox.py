"""What the kernel can take from a process for good: new privileges, files outside of its folders, whole syscalls.

In: the folders that the process writes to. Out: what was had of it, for each kernel: Landlock since 5.13, of use to us
from 5.19 on; seccomp where the processor is known here. Whatever a bug lets an attacker run, it runs no program, writes
nothing elsewhere, loads no module, and looks into no other process. Reading is left to the permissions of files.

By ctypes: calls of the C library without callbacks, which the sandbox that auditd's own service is in allows.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from typing import NamedTuple

_PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 8, 38
CAP_AUDIT_CONTROL = 30
_CAPABILITY_VERSION = 0x20080522

# --- Landlock (linux/landlock.h); the numbers of its calls are the same on every architecture -------------------------
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH, _NET_PORT, _ASK_VERSION = 1, 2, 1
_EXECUTE, _WRITE_FILE = 1 << 0, 1 << 1
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << each for each in range(6, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_BIND_TCP = 1 << 0
# Without REFER (the second version) nothing could be moved from one folder to another, not even between our own.
_LEAST_VERSION, _TRUNCATE_VERSION, _NET_VERSION = 2, 3, 4
_WRITES = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _REFER
_NEVER = _MAKE_CHAR | _MAKE_FIFO | _MAKE_BLOCK | _MAKE_SYM
# Opened for writing now and then, and no danger.
_DEVICES = ("/dev/null", "/dev/full", "/dev/tty")

# --- seccomp (linux/seccomp.h, linux/filter.h) ------------------------------------------------------------------------
_SET_MODE_FILTER, _TSYNC, _SPEC_ALLOW = 1, 1, 4
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENT = 0, 4, 16  # the lower half of the first argument
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ERRNO | EPERM
# clone3 hands its flags over in memory, where no filter looks; told that there is none, the C library uses clone.
_CLONE3, _NOT_THERE = 435, 0x00050026  # SECCOMP_RET_ERRNO | ENOSYS
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: in a user namespace one is root again.
_NAMESPACES = 0x7E020000
_X32 = 0x40000000  # syscalls of the x32 ABI have the same architecture


class Machine(NamedTuple):
    """A processor's name for itself in audit, its seccomp call, and its numbers of the syscalls that we never make."""

    arch: int
    seccomp: int
    running: tuple[int, ...]  # execve and execveat
    clone: int
    refused: dict[str, int]


# Syscall, and its numbers on x86_64 and on aarch64.
_REFUSED = """
ptrace 101 117
process_vm_readv 310 270
process_vm_writev 311 271
pidfd_getfd 438 438
mount 165 40
umount2 166 39
pivot_root 155 41
chroot 161 51
setns 308 268
unshare 272 97
open_tree 428 428
move_mount 429 429
fsopen 430 430
fsconfig 431 431
fsmount 432 432
fspick 433 433
mount_setattr 442 442
init_module 175 105
finit_module 313 273
delete_module 176 106
kexec_load 246 104
kexec_file_load 320 294
bpf 321 280
perf_event_open 298 241
add_key 248 217
request_key 249 218
keyctl 250 219
reboot 169 142
swapon 167 224
swapoff 168 225
settimeofday 164 170
clock_settime 227 112
adjtimex 159 171
clock_adjtime 305 266
userfaultfd 323 282
io_uring_setup 425 425
acct 163 89
quotactl 179 60
open_by_handle_at 304 265
mknodat 259 33
personality 135 92
sethostname 170 161
setdomainname 171 162
syslog 103 116
"""


def _numbers(column: int) -> dict[str, int]:
    rows = (line.split() for line in _REFUSED.split("\n") if line)
    return {row[0]: int(row[column]) for row in rows}


MACHINES = {
    "x86_64": Machine(0xC000003E, 317, (59, 322), 56, _numbers(1)),
    "aarch64": Machine(0xC00000B7, 277, (221, 281), 220, _numbers(2)),
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _call(number: int, *arguments: object) -> int:
    """A syscall.

    Raises:
        OSError: it failed.
    """
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def no_new_privileges() -> None:
    """Nothing that this thread runs may gain rights. For good, also for threads that it makes.

    Raises:
        OSError: the kernel cannot.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep_capabilities() -> None:
    """Have this thread keep its permitted capabilities when it becomes another user.

    Raises:
        OSError: the kernel cannot.
    """
    _prctl(_PR_SET_KEEPCAPS, 1)


def set_capabilities(*kept: int) -> None:
    """Have this thread, and those that it makes, keep these capabilities only.

    Raises:
        OSError: one of them is not there.
    """
    mask = sum(1 << each for each in kept)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    if _libc.capset(header, data):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Landlock:
    """A set of rules: writing within some folders only, running nothing.

    Args:
        writable: folders, and what is beneath them; those that are not there are left out.
        ports: on which TCP may be listened.
        may_run: whether programs may be run.

    Raises:
        OSError: this kernel has no Landlock, or one that is too old.
    """

    def __init__(self, writable: Iterable[str], ports: Iterable[int] = (), *, may_run: bool = False) -> None:
        self.version = _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
        if self.version < _LEAST_VERSION:
            raise OSError(0, f"version {self.version} of Landlock is too old")
        writes = _WRITES | (_TRUNCATE if self.version >= _TRUNCATE_VERSION else 0)
        handled = writes | _NEVER | (0 if may_run else _EXECUTE)
        network = _BIND_TCP if self.version >= _NET_VERSION else 0
        attributes = struct.pack("=QQ", handled, network)[: 16 if network else 8]
        self.fd = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
        for folder in writable:
            self._allow(folder, writes)
        for device in _DEVICES:
            self._allow(device, _WRITE_FILE | (writes & _TRUNCATE))
        for port in ports if network else ():
            rule = struct.pack("=QQ", _BIND_TCP, port)
            _call(_ADD_RULE, ctypes.c_int(self.fd), ctypes.c_int(_NET_PORT), rule, ctypes.c_uint32(0))

    def _allow(self, path: str, rights: int) -> None:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        try:
            rule = struct.pack("=Qi", rights, fd)
            _call(_ADD_RULE, ctypes.c_int(self.fd), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
        finally:
            os.close(fd)

    def restrict(self) -> None:
        """Have it hold for this thread and those that it makes, which have to be `no_new_privileges`.

        Raises:
            OSError: it does not.
        """
        _call(_RESTRICT_SELF, ctypes.c_int(self.fd), ctypes.c_uint32(0))

    def close(self) -> None:
        """Let go of the rules; they hold on."""
        os.close(self.fd)


def refuse_syscalls(*, may_run: bool = False) -> bool:
    """Refuse what this process never calls, for all of its threads; False where the processor is not known.

    They get no new privileges, either.

    Raises:
        OSError: this kernel has no seccomp.
    """
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    program = seccomp_program(machine, may_run=may_run)
    buffer = ctypes.create_string_buffer(program, len(program))
    prog = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    flags = ctypes.c_uint(_TSYNC | _SPEC_ALLOW)
    if _call(machine.seccomp, ctypes.c_uint(_SET_MODE_FILTER), flags, prog):
        raise OSError(0, "a thread has a filter of its own")
    return True


def seccomp_program(machine: Machine, *, may_run: bool) -> bytes:
    """The filter: another architecture, and whatever is in the list, is refused with EPERM."""
    numbers = sorted([*machine.refused.values(), *(() if may_run else machine.running)])
    steps = [(_LOAD, 0, 0, _OFFSET_ARCH), (_EQUAL, 1, 0, machine.arch), (_RETURN, 0, 0, _REFUSE)]
    steps += [(_LOAD, 0, 0, _OFFSET_NUMBER), (_AT_LEAST, len(numbers) + 6, 0, _X32)]
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _NOT_THERE)]
    steps += [(_EQUAL, len(numbers) - index + 3, 0, number) for index, number in enumerate(numbers)]
    # Last, as it loads something else: which namespaces a clone is to have.
    steps += [(_EQUAL, 0, 2, machine.clone), (_LOAD, 0, 0, _OFFSET_ARGUMENT), (_ANY_BIT, 1, 0, _NAMESPACES)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
