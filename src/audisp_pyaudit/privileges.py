"""Gives up what the process does not need: root, new privileges, files and syscalls of no concern to it.

In: the configuration, while the first thread reads already. Out: a process that runs as its own user, with what the
kernel offers beside that. Folders that are missing are made for that user first. What cannot be given up is told; the
plugin runs all the same, since auditd would give up on it.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from audisp_pyaudit.address import UNIX, split
from audisp_pyaudit.apparmor import change_profile
from audisp_pyaudit.config import Config
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.kernel_audit import KernelAudit
from audisp_pyaudit.logs import Log
from audisp_pyaudit.sandbox import (
    CAP_AUDIT_CONTROL,
    Landlock,
    keep_capabilities,
    no_new_privileges,
    refuse_syscalls,
    set_capabilities,
)
from audisp_pyaudit.sink_settings import FileSettings, KafkaSettings, QueuedSettings, SubscriberSettings, UnixSettings
from audisp_pyaudit.users import User, find_group, find_user

# How long the first thread is waited for, which has its turn within microseconds.
_PATIENCE_SECONDS = 1.0
# Folders that so near to the root are everybody's.
_SHARED_DEPTH = 2
_PRIVATE, _PUBLIC = 0o700, 0o755


@dataclass
class Rights:
    """What the process may still do.

    Args:
        user: whom it became; None if it is who it was.
        landlock: the version of Landlock that holds; 0 for none.
        seccomp: whether syscalls are refused.
        folders: where it can write; empty for wherever its user may.
        ports: on which TCP it can listen; of no meaning without Landlock.
        may_run: whether it can run programs.
        apparmor: whether it is under our AppArmor profile.
    """

    user: User | None = None
    landlock: int = 0
    seccomp: bool = False
    folders: frozenset[str] = field(default_factory=frozenset)
    ports: frozenset[int] = field(default_factory=frozenset)
    may_run: bool = True
    apparmor: bool = False

    def words(self) -> dict[str, object]:
        """For the log."""
        name = f"uid {os.geteuid()}" if self.user is None else self.user.name
        words = {"user": name, "landlock": self.landlock or "no", "seccomp": "yes" if self.seccomp else "no"}
        return {**words, **({"apparmor": "yes"} if self.apparmor else {})}


def prepare(config: Config, log: Log) -> User | None:
    """Find out whom to become, and make the folders that are needed; None for nobody else.

    The sandbox allows writing to what is there when it begins: also for who stays who it is, folders are made first.

    Args:
        config: says who to be, and where files are.
        log: where to tell what could not be.
    """
    user = None
    if os.geteuid() == 0 and config.privileges.user:
        user = find_user(config.privileges.user)
        if user is None:
            log.warning("there is no such user; running as root", user=config.privileges.user)
    make_folders(config, user, log)
    return user


def give_up(config: Config, user: User | None, intake: Intake, log: Log, kernel: KernelAudit | None = None) -> Rights:
    """Give up what is not needed. Before any other thread than the first and this one is there.

    Args:
        config: says where files are.
        user: whom to become.
        intake: the first thread's, which has to give up its own.
        log: where to tell what could not be.
        kernel: asks the kernel, for which its thread alone keeps a capability; None if nobody does.
    """
    rights = Rights()
    if kernel is not None:
        kernel.start()
    if user is not None:
        try:
            if kernel is not None:
                kernel.errand(keep_capabilities, _PATIENCE_SECONDS)
            become(user, config)
            rights.user = user
            make_folders(config, None, log)  # where root had better not
        except OSError as error:
            log.warning("cannot become another user; running as root", user=user.name, why=error.strerror)
        else:
            _tell_unwritable(config, user, log)
            _keep_one_capability(kernel, log)
    if config.privileges.sandbox:
        _sandbox(config, intake, rights, log, kernel)
    if kernel is not None:
        kernel.go()
    return rights


def _keep_one_capability(kernel: KernelAudit | None, log: Log) -> None:
    """The thread that asks the kernel keeps what that takes, and nothing else."""
    if kernel is None:
        return
    try:
        kernel.errand(lambda: set_capabilities(CAP_AUDIT_CONTROL), _PATIENCE_SECONDS)
    except OSError as error:
        log.warning("the kernel's counters cannot be had", why=error.strerror)


def folders(config: Config) -> Iterator[tuple[str, int]]:
    """The folders that files are made in, with the mode to make one with that is missing."""
    if config.state.path:
        yield os.path.dirname(config.state.path), _PRIVATE  # noqa: PTH120  # texts throughout
    if config.queue.mode == "lossless" and any(isinstance(each, QueuedSettings) for each in config.sinks.values()):
        yield config.queue.path, _PRIVATE
    for sink in config.sinks.values():
        if isinstance(sink, UnixSettings | SubscriberSettings):
            yield os.path.dirname(sink.path), _PUBLIC  # noqa: PTH120
        elif isinstance(sink, FileSettings):
            yield os.path.dirname(sink.path), _PRIVATE  # noqa: PTH120
    for name, path in config.metrics.paths():
        if name != "textfile":  # its folder is node_exporter's
            yield os.path.dirname(path), _PUBLIC  # noqa: PTH120


def make_folders(config: Config, user: User | None, log: Log) -> None:
    """Make the folders that are missing, for the user that will need them; for who we are, if None."""
    for folder, mode in folders(config):
        path = Path(folder)
        try:
            if path.exists() or (user is not None and not _is_roots(path)):
                continue
            path.parent.mkdir(mode=_PUBLIC, parents=True, exist_ok=True)
            path.mkdir(mode=mode)
            if user is None:
                continue
            # By descriptor, and only what is a folder: the parent may be somebody's who puts a link there.
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fchown(fd, user.uid, user.gid)
            finally:
                os.close(fd)
        except OSError as error:
            log.warning("folder not made", folder=folder, why=error.strerror)


def _is_roots(path: Path) -> bool:
    """Whether nobody but root can have laid a link on the way to a folder that is to be made."""
    there = next(each for each in path.parents if each.exists())
    for each in (there, *there.parents, there.resolve(), *there.resolve().parents):
        about = each.stat()
        open_to_all = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not about.st_mode & stat.S_ISVTX
        if about.st_uid != 0 or open_to_all:
            return False
    return True


def become(user: User, config: Config) -> None:
    """Become another user, on all threads: the C library sees to it. No capability is left.

    Raises:
        OSError: it could not be.
    """
    named = (config.metrics.listen_group, *(getattr(sink, "group", "") for sink in config.sinks.values()))
    # A socket can be given to a group that we are in, no other.
    found = (find_group(name) for name in named if name)
    os.setgroups(sorted({*user.groups, *(each for each in found if each is not None)}))
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def _tell_unwritable(config: Config, user: User, log: Log) -> None:
    for folder in dict.fromkeys(each for each, _ in folders(config)):
        if os.access(folder, os.W_OK | os.X_OK):
            continue
        try:
            found = os.stat(folder)  # noqa: PTH116  # a text
        except FileNotFoundError:  # could not be made, which was told
            continue
        except OSError:  # the one that it is in is closed to us
            about: dict[str, object] = {}
        else:
            about = {"owner": found.st_uid, "mode": f"{stat.S_IMODE(found.st_mode):04o}"}
        # In full: chown would change a link to it, and nothing in it.
        mend = f"chown -R {user.name}: {os.path.realpath(folder)}"
        log.warning("folder cannot be written", folder=folder, user=user.name, **about, mend=mend)


def writable(config: Config) -> frozenset[str]:
    """Where the sandbox lets the process write: the folders, and those that they are in, should one be made anew."""
    found: set[str] = set()
    told = (os.path.dirname(path) for _, path in config.metrics.paths())  # noqa: PTH120
    for folder in (config.queue.path, *config.reach, *told, *(each for each, _ in folders(config))):
        parent = os.path.dirname(folder)  # noqa: PTH120
        found.add(folder)  # which may be a link to somewhere else
        if parent.count("/") > _SHARED_DEPTH:  # not so for /run, /var/lib and the like
            found.add(parent)
    return frozenset(found)


def ports(config: Config) -> list[int]:
    """The TCP ports that we listen on."""
    listen = config.metrics.listen
    return [int(split(listen)[1])] if listen and not listen.startswith(UNIX) else []


def runs_programs(config: Config) -> bool:
    """Whether programs are run: Kerberos tickets are had by kinit."""
    kafkas = [dict(sink.librdkafka) for sink in config.sinks.values() if isinstance(sink, KafkaSettings)]
    return any("GSSAPI" in (each.get("sasl.mechanism"), each.get("sasl.mechanisms")) for each in kafkas)


def _profile(on_others: Callable[[Callable[[], None]], None], log: Log) -> bool:
    """Go over to the AppArmor profile on all threads; False if there is none, which is the distribution's doing."""
    try:
        change_profile()
        on_others(change_profile)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("the AppArmor profile does not hold", why=error.strerror)
        return False
    return True


def _sandbox(config: Config, intake: Intake, rights: Rights, log: Log, kernel: KernelAudit | None) -> None:
    """What the kernel offers beside users; on this thread, whose children have it too, and on those there are."""

    def on_others(what: Callable[[], None]) -> None:
        intake.on_reader(what, _PATIENCE_SECONDS)
        if kernel is not None:
            kernel.errand(what, _PATIENCE_SECONDS)

    rights.apparmor = _profile(on_others, log)
    may_run = rights.may_run = runs_programs(config)
    if may_run and config.state.path:  # where tickets are kept by default, nobody could write
        os.environ.setdefault("KRB5CCNAME", f"FILE:{os.path.dirname(config.state.path)}/krb5cc")  # noqa: PTH120
    try:
        no_new_privileges()
        on_others(no_new_privileges)
    except OSError as error:
        log.warning("new privileges cannot be given up", why=error.strerror)
        return
    try:
        rules = Landlock(writable(config), ports(config), may_run=may_run)
    except OSError as error:
        log.info("no Landlock", why=error.strerror or str(error))
    else:
        try:
            rules.restrict()
            on_others(rules.restrict)
            rights.landlock, rights.folders, rights.ports = rules.version, writable(config), frozenset(ports(config))
        except OSError as error:
            log.warning("Landlock does not hold", why=error.strerror)
        rules.close()
    try:
        rights.seccomp = refuse_syscalls(may_run=may_run)
    except OSError as error:
        log.info("no seccomp", why=error.strerror or str(error), python=sys.implementation.name)
