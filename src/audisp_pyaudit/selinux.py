"""SELinux: whether the plugin will be in a domain of its own, on a host that enforces a policy.

In: what the kernel says of its policy, and the label of the plugin's program. Out: what is missing, in words.
"""

import os
from pathlib import Path

KERNEL = Path("/sys/fs/selinux")
# What auditd starts; it follows links, as we do.
PROGRAM = "/usr/sbin/audisp-pyaudit"
INSTALL = "/usr/share/audisp-pyaudit/selinux/install"
_LABEL = "audisp_pyaudit_exec_t"
_PARTS = 3  # user, role, type; a level may follow


def missing(kernel: Path = KERNEL, program: str = PROGRAM) -> str:
    """Why the plugin will be in auditd's own domain; empty if it will not, or if nobody can tell.

    Args:
        kernel: where SELinux's own file system is.
        program: what auditd starts.
    """
    try:
        if (kernel / "enforce").read_text().strip() != "1":
            return ""
        label = os.getxattr(program, "security.selinux").decode(errors="replace").rstrip("\0")
    except OSError:
        return ""
    if label.split(":")[_PARTS - 1 : _PARTS] != [_LABEL]:
        why = f"{program} has the label {label}"
    elif not _is_known(label, kernel):
        why = f"the policy does not know the label {label} of {program}"
    else:
        return ""
    return (
        f"SELinux enforces, and {why}: the plugin would be in auditd's own domain, which reaches no broker and writes "
        f"no spool; {INSTALL} loads the policy module and sets its labels"
    )


def _is_known(label: str, kernel: Path) -> bool:
    """Whether a label means something to the policy: root sees those that a module left, too."""
    try:
        fd = os.open(kernel / "context", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # not for us to ask
        return True
    try:
        os.write(fd, label.encode() + b"\0")
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
