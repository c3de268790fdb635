"""What is given up, and what is told where that cannot be."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit import privileges
from audisp_pyaudit.config import Config, Privileges, Queue, State
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.kernel_audit import KernelAudit
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.signals import WakeUp
from audisp_pyaudit.sink_settings import FileSettings, KafkaSettings, SinkSettings, UnixSettings
from audisp_pyaudit.users import User
from tests.memory_log import MemoryLog


@pytest.fixture
def intake() -> Iterator[Intake]:
    """One that reads."""
    reader, writer = os.pipe()
    wake = WakeUp()
    made = Intake(reader, wake)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    os.close(writer)
    thread.join()
    wake.close()
    os.close(reader)


def config(folder: Path, *, sandbox: bool = True, user: str = "", **more: object) -> Config:
    """A configuration with files in a folder."""
    return Config(
        privileges=Privileges(user, sandbox),
        state=State(f"{folder}/state/engine.state"),
        queue=Queue(path=f"{folder}/var/spool"),
        metrics=Metrics(status=f"{folder}/told/status.json"),
        sinks={
            "a": UnixSettings(path=f"{folder}/run/s"),
            "b": FileSettings(path=f"{folder}/log/f"),
            "c": KafkaSettings(bootstrap="a:1"),
        },
        **more,  # type: ignore[arg-type]  # as a test has it
    )


def test_where_files_are_made(tmp_path: Path) -> None:
    """Sockets lie where others may look; state, spool and files of events where they may not."""
    found = dict(privileges.folders(config(tmp_path)))
    assert found == {
        f"{tmp_path}/state": 0o700,
        f"{tmp_path}/var/spool": 0o700,
        f"{tmp_path}/run": 0o755,
        f"{tmp_path}/log": 0o700,
        f"{tmp_path}/told": 0o755,
    }


def test_where_the_sandbox_lets_it_write() -> None:
    """A folder that is removed and made anew can be written again; all of /run or /var is never opened for that."""
    sinks: dict[str, SinkSettings] = {
        "a": UnixSettings(path="/run/a/s"),
        "b": UnixSettings(path="/run/b/c/s"),
        "c": FileSettings(path="/srv/f"),
    }
    metrics = Metrics(status="/run/d/status.json", textfile="/var/lib/node/exporter/a.prom", listen="unix:///run/e/f/s")
    assert privileges.writable(Config(sinks=sinks, metrics=metrics)) == {
        "/run/d",
        "/run/e/f",
        "/var/lib/node",
        "/var/lib/node/exporter",
        "/run/a",
        "/run/b/c",
        "/srv",
        "/var/lib/audisp-pyaudit",
        "/var/lib/audisp-pyaudit/spool",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_missing_folders_are_made_for_the_user(tmp_path: Path) -> None:
    """On a host where nothing was prepared, the plugin can write after it gave up root."""
    log = MemoryLog()
    (tmp_path / "log").mkdir(mode=0o750)
    privileges.make_folders(config(tmp_path), User("x", 1234, 1235), log)
    for name, mode, owner in (
        ("state", 0o700, 1234),
        ("var/spool", 0o700, 1234),
        ("run", 0o755, 1234),
        ("log", 0o750, 0),
    ):
        about = (tmp_path / name).stat()
        assert (about.st_mode & 0o777, about.st_uid) == (mode, owner), name
    assert log.lines == []


def test_missing_folders_are_made_for_who_stays(tmp_path: Path) -> None:
    """Without a user to become, too, the sandbox comes after the folders: what is not there could not be written to."""
    log = MemoryLog()
    assert privileges.prepare(config(tmp_path, user=""), log) is None
    for name in ("state", "var/spool", "run"):
        assert (tmp_path / name).stat().st_uid == os.geteuid(), name
    assert log.lines == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_root_follows_no_link_that_others_can_lay(tmp_path: Path) -> None:
    """Who has the plugin's user cannot have root's next start make a folder of theirs in /etc."""
    made = tmp_path / "etc"
    made.mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "archive").symlink_to(made)
    os.chown(tmp_path / "theirs", 1234, 1234)
    sinks: dict[str, SinkSettings] = {"a": FileSettings(path=f"{tmp_path}/theirs/archive/cron.d/x")}
    wanted = Config(privileges=Privileges(""), state=State(""), sinks=sinks, metrics=Metrics(status=""))
    privileges.make_folders(wanted, User("x", 1234, 1234), MemoryLog())
    assert list(made.iterdir()) == []
    os.chown(tmp_path / "theirs", 0, 0)
    privileges.make_folders(wanted, User("x", 1234, 1234), MemoryLog())
    assert [each.name for each in made.iterdir()] == ["cron.d"]


def test_what_is_advised_for_a_link_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the state on another disk, behind a link, is told of the folder that it leads to."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    log = MemoryLog()
    privileges._tell_unwritable(config(tmp_path), User("x", 1234, 1235), log)
    (found,) = (fields for _, _, fields in log.lines if fields["folder"] == f"{tmp_path}/state")
    assert found["mend"] == f"chown -R x: {tmp_path}/disk"


def test_what_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where a folder should be is named; the plugin runs all the same."""
    log = MemoryLog()
    (tmp_path / "var").write_text("")
    privileges.make_folders(config(tmp_path), User("x", os.geteuid(), os.getegid()), log)
    assert log.has("folder not made")
    assert log.has(f"{tmp_path}/var/spool")


def test_without_the_user_it_is_told(tmp_path: Path, intake: Intake) -> None:
    """A host that has no such user learns that the plugin keeps root's rights."""
    if os.geteuid() != 0:
        pytest.skip("only root could become another user")
    log = MemoryLog()
    wanted = config(tmp_path, sandbox=False, user="no-such-user")
    assert privileges.prepare(wanted, log) is None
    rights = privileges.give_up(wanted, None, intake, log)
    assert rights.user is None
    assert log.has("there is no such user; running as root")
    assert rights.words()["user"] == "uid 0"


def test_without_the_kernels_help_it_runs(tmp_path: Path, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old kernel has none of it: the plugin says so, and works."""

    def missing(*_arguments: object, **_more: object) -> None:
        raise OSError(38, "Function not implemented")

    log = MemoryLog()
    monkeypatch.setattr(privileges, "no_new_privileges", lambda: None)
    monkeypatch.setattr(privileges, "Landlock", missing)
    monkeypatch.setattr(privileges, "refuse_syscalls", missing)
    rights = privileges.give_up(config(tmp_path), None, intake, log)
    assert (rights.landlock, rights.seccomp) == (0, False)
    assert log.has("no Landlock")
    assert log.has("no seccomp")
    monkeypatch.setattr(privileges, "no_new_privileges", missing)
    assert privileges.give_up(config(tmp_path), None, intake, log).landlock == 0
    assert log.has("new privileges cannot be given up")


@pytest.mark.parametrize(("mechanism", "expected"), [("GSSAPI", True), ("PLAIN", False)])
def test_kerberos_may_run_kinit(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, mechanism: str, *, expected: bool
) -> None:
    """A topic that is reached with Kerberos can have its tickets; nobody else runs anything."""
    asked: list[bool] = []

    def refuse(*, may_run: bool) -> bool:
        asked.append(may_run)
        return True

    def missing(*_arguments: object, may_run: bool) -> None:
        asked.append(may_run)
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(privileges, "no_new_privileges", lambda: None)
    monkeypatch.setattr(privileges, "Landlock", missing)
    monkeypatch.setattr(privileges, "refuse_syscalls", refuse)
    kafka = KafkaSettings(bootstrap="a:1", librdkafka=(("sasl.mechanism", mechanism),))
    wanted = Config(privileges=Privileges(""), state=State(""), queue=Queue(mode="lossy"), sinks={"k": kafka})
    assert privileges.give_up(wanted, None, intake, MemoryLog()).seccomp
    assert asked == [expected, expected]


@pytest.mark.parametrize("error", [None, FileNotFoundError(2, "No such file"), PermissionError(13, "Denied")])
def test_the_apparmor_profile(
    tmp_path: Path, intake: Intake, monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    """Where a package brought a profile all threads go there, and the log says so; one that does not hold is told."""
    changed: set[int] = set()

    def change() -> None:
        if error is not None:
            raise error
        changed.add(threading.get_native_id())

    monkeypatch.setattr(privileges, "change_profile", change)
    log = MemoryLog()
    rights = privileges.give_up(config(tmp_path), None, intake, log)
    assert (rights.apparmor, "apparmor" in rights.words()) == (error is None, error is None)
    assert len(changed) == (2 if error is None else 0)
    assert log.has("the AppArmor profile does not hold") == isinstance(error, PermissionError)


def test_where_metrics_are_asked_for(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox lets the plugin listen on the one port that the configuration names, and on no other."""
    asked: list[list[int]] = []

    def missing(_folders: object, ports: list[int], **_more: object) -> None:
        asked.append(ports)
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(privileges, "no_new_privileges", lambda: None)
    monkeypatch.setattr(privileges, "Landlock", missing)
    monkeypatch.setattr(privileges, "refuse_syscalls", lambda **_more: True)
    for listen in ("127.0.0.1:9751", "[::1]:9752", "unix:///run/a/s", ""):
        wanted = Config(privileges=Privileges(""), state=State(""), metrics=Metrics(status="", listen=listen))
        privileges.give_up(wanted, None, intake, MemoryLog())
    assert asked == [[9751], [9752], [], []]


def test_the_kernels_thread_is_shut_in_like_all_others(
    tmp_path: Path, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps one capability, before it asks anything; what it cannot keep is told."""
    done: list[tuple[str, str]] = []

    def note(what: str) -> Callable[..., None]:
        return lambda *more: done.append((what + str(list(more)), threading.current_thread().name))

    for name in ("keep_capabilities", "no_new_privileges", "set_capabilities", "become"):
        monkeypatch.setattr(privileges, name, note(name))
    monkeypatch.setattr(privileges, "refuse_syscalls", lambda **_more: True)
    monkeypatch.setattr(privileges, "Landlock", lambda *_more, **_options: FakeLandlock(note("restrict")))
    kernel = KernelAudit(no_socket, every=60)
    log = MemoryLog()
    rights = privileges.give_up(config(tmp_path), User("x", 1234, 1235), intake, log, kernel)
    assert rights.landlock == 4
    mine = [what for what, thread in done if thread == "kernel audit"]
    assert mine == ["keep_capabilities[]", "set_capabilities[30]", "no_new_privileges[]", "restrict[]"]
    assert [what.partition("[")[0] for what, _ in done][:3] == ["keep_capabilities", "become", "set_capabilities"]

    def refused(*_more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(privileges, "set_capabilities", refused)
    other = KernelAudit(no_socket, every=60)
    privileges.give_up(config(tmp_path), User("x", 1234, 1235), intake, log, other)
    assert log.has("the kernel's counters cannot be had")


def no_socket() -> NoReturn:
    """The kernel is not asked here."""
    raise OSError(1, "not in a test")


class FakeLandlock:
    """Rules that are noted."""

    version = 4

    def __init__(self, restrict: Callable[..., None]) -> None:
        self.restrict = restrict

    def close(self) -> None:
        """Nothing to do."""
