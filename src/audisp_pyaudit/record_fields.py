"""Which records write which fields, as far as the record view needs it to give a field back to its record.

Source: the kernel's audit_log_format() calls and auditd's field dictionary (facts), compared with our captures of Linux
6.1. Records that are not here, those of programs and most of the kernel's, may write any field.
"""

from collections.abc import Mapping

_IDS = "auid uid gid euid suid fsuid egid sgid fsgid"

# What the kernel's security modules share (security/lsm_audit.c).
_LSM = (
    "path name dev ino ioctlcmd lport fport laddr faddr saddr src daddr dest netif opid ocomm key_serial key_desc kmod"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Records with a fixed set of fields.
CLOSED: Mapping[str, frozenset[str]] = {
    "SYSCALL": _words(f"arch syscall per success exit a0 a1 a2 a3 items ppid pid {_IDS} tty ses comm exe subj key"),
    "PATH": frozenset(),  # its fields are in auditd.paths
    "EXECVE": _words("argc"),
    "CWD": _words("cwd"),
    "PROCTITLE": _words("proctitle"),
    "SOCKADDR": _words("saddr"),
    "SOCKETCALL": _words("nargs a0 a1 a2 a3 a4 a5"),
    "OBJ_PID": _words("opid oauid ouid oses obj ocomm"),
    "FD_PAIR": _words("fd0 fd1"),
    "MMAP": _words("fd flags"),
    "IPC": _words("ouid ogid mode obj"),
    "IPC_SET_PERM": _words("qbytes ouid ogid mode"),
    "MQ_OPEN": _words("oflag mode mq_flags mq_maxmsg mq_msgsize mq_curmsgs"),
    "MQ_SENDRECV": _words("mqdes msg_len msg_prio abs_timeout_sec abs_timeout_nsec"),
    "MQ_NOTIFY": _words("mqdes sigev_signo"),
    "MQ_GETSETATTR": _words("mqdes mq_flags mq_maxmsg mq_msgsize mq_curmsgs"),
    "CAPSET": _words("pid cap_pi cap_pp cap_pe cap_pa"),
    "BPRM_FCAPS": _words("fver fp fi fe old_pp old_pi old_pe old_pa pp pi pe pa frootid"),
    "OPENAT2": _words("oflag mode resolve"),
    "KERN_MODULE": _words("name"),
    "BPF": _words("prog-id op"),
    "FANOTIFY": _words("resp fan_type fan_info subj_trust obj_trust"),
    "TIME_INJOFFSET": _words("sec nsec"),
    "TIME_ADJNTPVAL": _words("op old new"),
    "NETFILTER_CFG": _words("table family entries op pid subj comm"),
    "URINGOP": _words(f"uring_op success exit items ppid pid {_IDS} subj key"),
    "LOGIN": _words("pid uid subj old-auid auid tty old-ses ses res"),
    "LANDLOCK_ACCESS": _words(f"domain blockers {_LSM}"),
    "LANDLOCK_DOMAIN": _words("domain status mode pid uid exe comm denials"),
    "EOE": frozenset(),
}

# Records that write these fields always, beside others.
ALWAYS: Mapping[str, frozenset[str]] = {
    "CONFIG_CHANGE": _words("auid ses"),
    "EVENT_LISTENER": _words("auid ses tty"),
}

# Fields that one type of record is there for: where there is one, they are its.
OWNERS: Mapping[str, str] = {
    "proctitle": "PROCTITLE",
    "cwd": "CWD",
    "saddr": "SOCKADDR",
    "argc": "EXECVE",
    "subj_selinux": "MAC_TASK_CONTEXTS",
    "subj_apparmor": "MAC_TASK_CONTEXTS",
    "subj_smack": "MAC_TASK_CONTEXTS",
}

# What PATH records have beside what is theirs by name; `?` where the file could not be asked.
PATH_FIELDS = _words("item name inode dev mode ouid ogid rdev obj nametype cap_fp cap_fi cap_fe cap_fver cap_frootid")

# Places outside auditd.data, and the field that goes there. ids have their name beside them.
PLACES: Mapping[str, str] = {
    "process.pid": "pid",
    "process.parent.pid": "ppid",
    "process.name": "comm",
    "process.executable": "exe",
    "process.title": "proctitle",
    "process.working_directory": "cwd",
    "process.args_count": "argc",
    "auditd.session": "ses",
    "user.id": "uid",
    "user.group.id": "gid",
    "user.effective.id": "euid",
    "user.effective.group.id": "egid",
    "user.saved.id": "suid",
    "user.saved.group.id": "sgid",
    "user.filesystem.id": "fsuid",
    "user.filesystem.group.id": "fsgid",
    "user.audit.id": "auid",
}

# What the engine wrote in words in the place of a number: the field, and its kind.
WORDED: Mapping[str, str] = {
    "arch": "arch",
    "syscall": "syscall",
    "exit": "exit",
    "sig": "signal",
    "sigev_signo": "signal",
    "code": "seccomp",
    "list": "filter_list",
    "uring_op": "uring_op",
}

# What a record says where there is nothing; which of these words it was is not in the document.
UNSET: Mapping[str, str] = {"key": "(null)", "tty": "(none)", "name": "(null)", "proctitle": "(null)"}
UNSET_ID = "4294967295"
UNSET_IDS = _words(
    f"{_IDS} ses old-auid old-ses oauid oses ouid ogid id sauid iuid igid inode_uid inode_gid obj_uid obj_gid"
)
