"""The AppArmor profile of the plugin, where a package installed one.

In: nothing. Out: a thread that lives under the profile. The profile is attached to no path: then it would hold
for `audisp-pyaudit decode` as well, which reads and writes what its caller names. So the plugin goes there itself.
"""

import errno
import os

PROFILE = "audisp-pyaudit"
_CURRENT = "/proc/thread-self/attr/apparmor/current"


def change_profile() -> None:
    """Go over to the profile, for good: this thread, and those that it makes.

    Raises:
        FileNotFoundError: no AppArmor is here, or none of its profiles is ours.
        OSError: the kernel does not let us.
    """
    fd = os.open(_CURRENT, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, f"changeprofile {PROFILE}".encode())
    except OSError as error:
        # Debian's kernel has AppArmor, and the file, also where it was started with SELinux instead.
        if error.errno == errno.EINVAL:
            raise FileNotFoundError(errno.ENOENT, "AppArmor is not in use") from error
        raise
    finally:
        os.close(fd)
