"""The program of a virtual machine: runs the installed plugin where AppArmor enforces, and tells what it saw.

In: a system with the package. Out: a line of JSON behind MARK on standard output. It knows nothing but the standard
library, and the package.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

MARK = "SEEN "
EVENTS = 50
COMMAND = "/usr/sbin/audisp-pyaudit"
PROFILE = "/etc/apparmor.d/audisp-pyaudit"
LOCAL = "/etc/apparmor.d/local/audisp-pyaudit"
OUT = Path("/var/log/audisp-pyaudit/events.json")
PROM = Path("/var/lib/prometheus/node-exporter/audisp.prom")
STATUS = Path("/run/audisp-pyaudit/status.json")
SINKS = f"""
[metrics]
listen = "127.0.0.1:9751"
textfile = "{PROM}"
kernel = true
[sinks.archive]
type = "file"
path = "{OUT}"
[sinks.events]
type = "unix"
path = "/run/audisp-pyaudit/events.sock"
[sinks.siem]
type = "subscriber"
path = "/run/audisp-pyaudit/siem.sock"
[sinks.topic]
type = "kafka"
bootstrap = "127.0.0.1:9"
topic = "audit"
[sinks.topic.librdkafka]
"test.mock.num.brokers" = "1"
"""
_PATIENCE = 120.0
_TRY = """
import sys
sys.path.insert(0, "/usr/lib/audisp-pyaudit")
from audisp_pyaudit.apparmor import change_profile
change_profile()
try:
    open("/etc/shadow").close()
except PermissionError:
    sys.exit(13)
"""


def until(condition: Callable[[], object], what: str) -> None:
    """Until something is true."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.2)


def record(serial: int) -> bytes:
    """An event of one record."""
    head = f"type=USER_LOGIN msg=audit({int(time.time())}.001:{serial}): pid=5 uid=33 auid=0 ses=1"
    words = 'op=login acct="lab" exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success'
    return f"{head} msg='{words}'\n".encode()


def delivered(sink: str, count: int) -> bool:
    """Whether a sink has delivered so many events, as the status tells it."""
    try:
        return int(json.loads(STATUS.read_text())["ledger"]["sinks"][sink]["delivered"]) >= count
    except (FileNotFoundError, KeyError):
        return False


def threads(pid: int) -> list[str]:
    """The profile of each thread."""
    found = Path(f"/proc/{pid}/task").iterdir()
    return sorted({(each / "attr/apparmor/current").read_text().strip() for each in found})


def start() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """Start the plugin as auditd does, without an environment; it, and where its input comes from."""
    ours, theirs = socket.socketpair()
    null = subprocess.DEVNULL
    plugin = subprocess.Popen([COMMAND], stdin=theirs.fileno(), stdout=null, stderr=null, env={})
    theirs.close()
    return plugin, ours


def deliver(plugin: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
    """Have events go to every sink, with a reload before them."""
    ours.sendall(record(1))
    until(lambda: Path("/run/audisp-pyaudit/siem.sock").exists() and delivered("archive", 1), "the first event")
    readers = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for reader, name in zip(readers, ("events", "siem"), strict=True):
        reader.connect(f"/run/audisp-pyaudit/{name}.sock")
        reader.settimeout(_PATIENCE)
    time.sleep(1)  # accepted by the sinks' threads
    plugin.send_signal(signal.SIGHUP)
    for serial in range(2, EVENTS + 1):
        ours.sendall(record(serial))
    lines = b""
    while lines.count(b"\n") < EVENTS:
        lines += readers[1].recv(1 << 16)
    readers[1].sendall(f"{EVENTS}\n".encode())
    for sink, count in (("archive", EVENTS), ("events", EVENTS - 1), ("siem", EVENTS), ("topic", EVENTS)):
        until(partial(delivered, sink, count), f"{sink} delivers")


def said(log: socket.socket) -> list[str]:
    """What came to a socket."""
    found = []
    log.setblocking(False)  # noqa: FBT003  # the standard library's own
    while True:
        try:
            found.append(log.recv(1 << 16).decode())
        except BlockingIOError:
            return found


def denied() -> list[str]:
    """What the kernel says that AppArmor has refused."""
    kernel = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    found = []
    while True:
        try:
            found.append(os.read(kernel, 8192).decode(errors="replace"))
        except BlockingIOError:
            return [each for each in found if 'apparmor="DENIED"' in each]


def main() -> None:
    """Load the profile, run the plugin, use everything that it offers."""
    seen: dict[str, Any] = {}
    PROM.parent.mkdir(parents=True)
    PROM.parent.chmod(0o777)
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind("/dev/log")
    Path("/dev/log").chmod(0o666)
    subprocess.run(["apparmor_parser", "--replace", PROFILE], check=True)  # noqa: S607
    plugin, ours = start()
    deliver(plugin, ours)
    seen["threads"] = threads(plugin.pid)
    with urllib.request.urlopen("http://127.0.0.1:9751/metrics", timeout=_PATIENCE) as answer:
        seen["metrics"] = answer.status
    until(PROM.exists, "a file for node_exporter")
    # What takes a word of the administrator is refused without it.
    until(lambda: any("audit_control" in each for each in denied()), "the kernel is asked")
    seen["kernel_refused"] = json.loads(STATUS.read_text())["kernel"] is None
    # Commands of people are under no profile; the plugin's would not let them.
    Path("/root/audit.log").write_bytes(record(1))
    with Path("/root/decoded.json").open("wb") as stream:
        subprocess.run([COMMAND, "decode", "/root/audit.log"], stdout=stream, check=True)
    seen["decoded"] = len(Path("/root/decoded.json").read_bytes().splitlines())
    seen["closed_file"] = subprocess.run([sys.executable, "-I", "-c", _TRY], check=False).returncode
    ours.close()
    seen["exit"] = plugin.wait(_PATIENCE)
    seen["said"] = said(log)
    seen["events"] = len(OUT.read_bytes().splitlines())
    seen["denied"] = denied()
    # The line as the profile's head has it.
    (line,) = re.findall(r"^# +(capability audit_control,)$", Path(PROFILE).read_text(), re.MULTILINE)
    Path(LOCAL).write_text(f"{line}\n")
    subprocess.run(["apparmor_parser", "--replace", PROFILE], check=True)  # noqa: S607
    plugin, ours = start()
    until(lambda: json.loads(STATUS.read_text())["kernel"] is not None, "the kernel's counters")
    ours.close()
    seen["exit_later"] = plugin.wait(_PATIENCE)
    seen["said_later"] = said(log)
    seen["denied_later"] = denied()[len(seen["denied"]) :]
    sys.stdout.write(f"\n{MARK}{json.dumps(seen)}\n")


if __name__ == "__main__":
    main()
