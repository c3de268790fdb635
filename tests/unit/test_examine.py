"""What a configuration names, looked at before auditd starts the plugin."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from audisp_pyaudit import examine, selinux
from audisp_pyaudit.config import Config, Privileges, Queue, State
from audisp_pyaudit.examine import Finding, connections, local
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.sink_settings import (
    FileSettings,
    ForwardSettings,
    KafkaSettings,
    SinkSettings,
    SubscriberSettings,
    UnixSettings,
)
from audisp_pyaudit.users import User


def config(folder: Path, sinks: Mapping[str, SinkSettings], user: str = "") -> Config:
    """A configuration in a folder."""
    return Config(
        privileges=Privileges(user),
        state=State(f"{folder}/engine.state"),
        queue=Queue(path=str(folder)),
        metrics=Metrics(status=f"{folder}/status.json"),
        sinks=sinks,
    )


def wrong(found: Config) -> dict[str, str]:
    """What is wrong, by key."""
    return {each.key: each.message for each in local(found) if not each.note}


def test_all_is_well(tmp_path: Path) -> None:
    """What works is not complained of."""
    sinks: dict[str, SinkSettings] = {
        "a": UnixSettings(path=f"{tmp_path}/s", group="root", allow=("root", "1234")),
        "b": FileSettings(path=f"{tmp_path}/new/f"),
        "c": KafkaSettings(bootstrap="127.0.0.1:1"),
    }
    assert wrong(config(tmp_path, sinks)) == {}


def test_selinux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks before auditd is restarted hears that SELinux will be in the way."""
    monkeypatch.setattr(selinux, "missing", lambda: "auditd's own domain")
    assert Finding("", "auditd's own domain", note=True) in list(local(config(tmp_path, {})))


def test_sockets(tmp_path: Path) -> None:
    """Groups and users that are not there, and a file in a socket's place, are named with their keys."""
    (tmp_path / "s").write_text("")
    sink = SubscriberSettings(path=f"{tmp_path}/s", group="no-such-group", allow=("no-such-user", "root"))
    assert wrong(config(tmp_path, {"a": sink})) == {
        "sinks.a.group": "there is no group no-such-group",
        "sinks.a.allow": "there is no user no-such-user",
        "sinks.a.path": f"{tmp_path}/s is there and is not a socket; it will not be replaced",
    }


def test_librdkafka_is_asked(tmp_path: Path) -> None:
    """A slip in a setting of librdkafka is found here, not in the log of the next start."""
    sink = KafkaSettings(bootstrap="127.0.0.1:1", librdkafka=(("compression.typ", "lz4"),))
    assert "compression.typ" in wrong(config(tmp_path, {"k": sink}))["sinks.k"]
    sink = KafkaSettings(bootstrap="127.0.0.1:1", secrets=(("sasl.password", f"{tmp_path}/none"),))
    assert wrong(config(tmp_path, {"k": sink}))["sinks.k"] == f"{tmp_path}/none: No such file or directory"


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    """Folders that cannot be are told by the key that names them."""
    (tmp_path / "x").write_text("")
    found = Config(
        privileges=Privileges(""), state=State(f"{tmp_path}/x/engine.state"), metrics=Metrics(status=""), sinks={}
    )
    assert wrong(found) == {"state.path": f"{tmp_path}/x is not a folder"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with the eyes of another user")
def test_with_the_eyes_of_the_plugins_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is told what the plugin will not be able to read and write, before it happens."""
    monkeypatch.setattr(examine, "find_user", lambda name: User(name, 61990, 61990))
    file = tmp_path / "a.toml"
    file.write_text("")
    file.chmod(0o600)
    found = Config(
        privileges=Privileges("audisp-pyaudit"),
        state=State("/etc/engine.state"),
        metrics=Metrics(status="/bin/status.json"),
        sinks={"a": UnixSettings(path="/usr/s")},
        source=str(file),
    )
    assert wrong(found) == {
        "": f"{file}: uid 61990 may not read it; a reload would not work",
        "state.path": "/etc: uid 61990 may not write it",
        "sinks.a.path": "/usr: uid 61990 may not write it",
        "metrics.status": "/bin: uid 61990 may not write it",
    }
    assert os.geteuid() == 0


def test_a_user_that_is_not_there(tmp_path: Path) -> None:
    """It works without the user, so that is a note."""
    (found,) = (each for each in local(config(tmp_path, {}, "no-such-user")) if each.key == "privileges.user")
    assert found.note
    assert "stay root" in found.message


def test_room_for_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota for which there is no room now is worth knowing."""
    real = os.statvfs(tmp_path)
    fields = list(real[:10])
    fields[3] = fields[4] = 10  # blocks that are free
    monkeypatch.setattr(os, "statvfs", lambda _place: os.statvfs_result(fields))
    (found,) = (
        each for each in local(config(tmp_path, {"k": KafkaSettings(bootstrap="a:1")})) if each.key.startswith("queue")
    )
    assert found.note
    assert f"{10 * real.f_frsize} are free" in found.message


def test_peers_that_answer(tmp_path: Path) -> None:
    """With --connect, who listens is fine, and who does not is named with the system's words."""
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        there: dict[str, SinkSettings] = {
            "a": ForwardSettings(address=f"127.0.0.1:{tcp.getsockname()[1]}"),
            "b": ForwardSettings(address=f"unix://{tmp_path}/s"),
            "c": FileSettings(path="/x"),
        }
        assert list(connections(config(tmp_path, there))) == []
    away: dict[str, SinkSettings] = {
        "a": ForwardSettings(address="127.0.0.1:1"),
        "b": ForwardSettings(address=f"unix://{tmp_path}/none"),
    }
    assert list(connections(config(tmp_path, away))) == [
        Finding("sinks.a.address", "127.0.0.1:1: Connection refused"),
        Finding("sinks.b.address", f"unix://{tmp_path}/none: No such file or directory"),
    ]
    odd: dict[str, SinkSettings] = {"a": ForwardSettings(address="a..b:1")}
    assert [each.key for each in connections(config(tmp_path, odd))] == ["sinks.a.address"]


def test_a_broker_that_is_away(tmp_path: Path) -> None:
    """A broker that refuses connections is told at once, in librdkafka's words."""
    (found,) = connections(config(tmp_path, {"k": KafkaSettings(bootstrap="127.0.0.1:1")}))
    assert found.key == "sinks.k.bootstrap"
    assert "Connection refused" in found.message
    (found,) = connections(config(tmp_path, {"k": KafkaSettings(bootstrap="a:1", librdkafka=(("nonsense", 1),))}))
    assert found.key == "sinks.k"
