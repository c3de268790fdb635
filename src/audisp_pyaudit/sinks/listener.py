"""A Unix stream socket under a name in the file system.

In: path, mode, group. Out: a listening socket. The name never means a socket that nobody listens on: the socket is
bound to a name of its own, made ready, and then renamed over the old one, so that two processes may overlap, as they do
when auditd reloads. At the end only a name that still means our own socket is removed. A file that is no socket is
never replaced.
"""

import contextlib
import grp
import os
import pwd
import socket
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

from audisp_pyaudit.errors import SinkError
from audisp_pyaudit.sinks.base import RETRY_SECONDS, sink_error

# Connections that wait to be accepted; the kernel refuses more than this at a time.
BACKLOG = 64
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid


class Listener:
    """Listens on `path`.

    Args:
        path: where, at most 97 bytes.
        mode: permissions of the socket.
        group: who owns it beside us; empty for our own group.
        allow: names or ids of the users who may connect, beside root; empty for all whom the mode lets.

    Raises:
        SinkError: not now.
    """

    def __init__(self, path: str, mode: int, group: str, allow: Sequence[str] = ()) -> None:
        self._path = Path(path)
        self._refuse_foreign()
        gid = _group_id(group)
        self._allowed = {0, *map(_user_id, allow)} if allow else None
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise sink_error(path, error) from None
        temporary = self._path.with_name(f".{os.urandom(4).hex()}")
        try:
            os.fchmod(self.socket.fileno(), 0o600)  # on Linux, the mode that bind makes the name with: no moment open
            self.socket.bind(str(temporary))
            if gid >= 0:
                os.chown(temporary, -1, gid)
            temporary.chmod(mode)
            self.socket.listen(BACKLOG)
            self.socket.settimeout(0.0)
            found = temporary.lstat()
            self._id = (found.st_dev, found.st_ino)
            temporary.rename(self._path)
        except OSError as error:
            self.socket.close()
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise sink_error(path, error) from None

    def allows(self, uid: int) -> bool:
        """Whether a user may connect."""
        return self._allowed is None or uid in self._allowed

    def displaced(self) -> bool:
        """Whether our name was lost and nobody has it now, so that it may be taken back.

        A name that means another's living socket is left alone: at a restart the new process takes it from the old one.
        """
        with contextlib.suppress(OSError):
            found = self._path.lstat()
            if (found.st_dev, found.st_ino) == self._id:
                return False
        # A datagram socket never becomes a connection of a stream listener: who lives there is not disturbed.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(self._path))
            except (ConnectionRefusedError, FileNotFoundError):
                return True
            except OSError:  # EPROTOTYPE: a stream socket lives there; anything else: leave it alone
                return False
        return False

    def close(self) -> None:
        """Stop listening; remove the name if it is still ours."""
        with contextlib.suppress(OSError):
            found = self._path.lstat()
            if (found.st_dev, found.st_ino) == self._id:
                self._path.unlink()
        self.socket.close()

    def _refuse_foreign(self) -> None:
        try:
            found = self._path.lstat()
        except OSError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise SinkError(f"{self._path}: is there and is not a socket; not replaced", "EEXIST", RETRY_SECONDS)


def peer_of(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it: whoever called connect()."""
    _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)


def _user_id(user: str) -> int:
    """The id of a user, who may be given as a number."""
    try:
        return int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise SinkError(f"there is no user {user}", "EINVAL", RETRY_SECONDS) from None


def _group_id(group: str) -> int:
    """The id of a group; -1, which changes nothing, for none."""
    if not group:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SinkError(f"there is no group {group}", "EINVAL", RETRY_SECONDS) from None
