"""The program of a virtual machine: runs the installed plugin where SELinux enforces, and tells what it saw.

In: a system with the package, a policy that has its module, and in which the domains of this program are permissive
(PERMISSIVE). Out: a line of JSON behind MARK on standard output. It knows nothing but the standard library, and the
package. It takes auditd's domain to start the plugin, as what auditd starts goes over to another one.
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
from pathlib import Path

MARK = "SEEN "
EVENTS = 50
# As it is installed; with what takes a boolean, before and after the booleans.
STARTS = 3
# This program: at first, as auditd, and as who has /dev/log.
PERMISSIVE = ("kernel_t", "auditd_t", "syslogd_t")
DOMAIN = "system_u:system_r:audisp_pyaudit_t:s0"
COMMAND = "/usr/sbin/audisp-pyaudit"
TOML = Path("/etc/audisp-pyaudit/audisp-pyaudit.toml")
OUT = Path("/var/log/audisp-pyaudit/events.json")
LOG = Path("/root/log")
STATUS = Path("/run/audisp-pyaudit/status.json")
_PORT = 9751
SINKS = f"""
[sinks.archive]
type = "file"
path = "{OUT}"
[sinks.siem]
type = "subscriber"
path = "/run/audisp-pyaudit/siem.sock"
[sinks.topic]
type = "kafka"
topic = "audit"
"""
ASKED_FOR = f"""
[metrics]
listen = "127.0.0.1:{_PORT}"
kernel = true
"""
_PATIENCE = 40.0
_CONTEXTS = "/etc/selinux/default/contexts/files/file_contexts"
_MEASURES = ("/dev", "/etc", "/run", "/usr", "/var", "/root")


def until(condition: Callable[[], object], what: str) -> None:
    """Until something is true."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}\n{LOG.read_text()}\n" + "\n".join(denied()))
        time.sleep(0.2)


def record(serial: int) -> bytes:
    """An event of one record."""
    head = f"type=USER_LOGIN msg=audit({int(time.time())}.001:{serial}): pid=5 uid=33 auid=0 ses=1"
    words = 'op=login acct="lab" exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success'
    return f"{head} msg='{words}'\n".encode()


def run(*command: str) -> None:
    """Run a command, which has to succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise OSError(f"{command}: {done.stdout}")


def become(domain: str, word: str) -> "subprocess.Popen[bytes]":
    """Start a part of this program in another domain."""
    return subprocess.Popen(["runcon", f"system_u:system_r:{domain}:s0", sys.executable, "-I", __file__, word])  # noqa: S607


def denied() -> list[str]:
    """What the kernel says that SELinux has refused the plugin, or others about it."""
    kernel = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    found = []
    while True:
        try:
            found.append(os.read(kernel, 8192).decode(errors="replace").strip())
        except BlockingIOError:
            os.close(kernel)
            return [each for each in found if "avc:  denied" in each and "permissive=0" in each]


def delivered(sink: str, count: int) -> bool:
    """Whether a sink has delivered so many events, as the status tells it."""
    try:
        return int(json.loads(STATUS.read_text())["ledger"]["sinks"][sink]["delivered"]) >= count
    except (FileNotFoundError, KeyError):
        return False


def log() -> None:
    """Have /dev/log, and keep what comes."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind("/dev/log")
    Path("/dev/log").chmod(0o666)
    run("chcon", "-t", "devlog_t", "/dev/log")
    with LOG.open("a") as kept:
        while True:
            kept.write(listening.recv(1 << 16).decode() + "\n")
            kept.flush()


def start() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """Start the plugin as auditd does, without an environment; it, and where its input comes from."""
    ours, theirs = socket.socketpair()
    null = subprocess.DEVNULL
    plugin = subprocess.Popen([COMMAND], stdin=theirs.fileno(), stdout=null, stderr=null, env={})
    theirs.close()
    return plugin, ours


def deliver(seen: dict[str, object]) -> None:
    """Have events go to every sink, with a reload before most of them."""
    plugin, ours = start()
    ours.sendall(record(1))
    until(lambda: Path("/run/audisp-pyaudit/siem.sock").exists() and delivered("archive", 1), "the first event")
    reader = socket.socket(socket.AF_UNIX)
    reader.connect("/run/audisp-pyaudit/siem.sock")
    reader.settimeout(_PATIENCE)
    plugin.send_signal(signal.SIGHUP)
    for serial in range(2, EVENTS + 1):
        ours.sendall(record(serial))
    lines = b""
    while lines.count(b"\n") < EVENTS:
        lines += reader.recv(1 << 16)
    reader.sendall(f"{EVENTS}\n".encode())
    for sink in ("archive", "siem", "topic"):
        until(lambda: delivered(sink, EVENTS), f"{sink} delivers")  # noqa: B023  # awaited here
    tasks = Path(f"/proc/{plugin.pid}/task").iterdir()
    seen["domains"] = sorted({(each / "attr" / "current").read_text().strip("\0\n") for each in tasks})
    ours.close()
    seen["exit"] = plugin.wait(_PATIENCE)
    seen["events"] = len(OUT.read_bytes().splitlines())


def auditd() -> None:
    """What auditd does, and what an administrator asks for later."""
    seen: dict[str, object] = {}
    sys.path.insert(0, "/usr/lib/audisp-pyaudit")
    import confluent_kafka  # type: ignore[import-untyped, unused-ignore]  # noqa: PLC0415  # the package's

    broker = confluent_kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (found,) = broker.list_topics("audit", timeout=_PATIENCE).brokers.values()
    with TOML.open("a") as stream:
        stream.write(f'{SINKS}bootstrap = "{found.host}:{found.port}"\n')
    deliver(seen)
    seen["denied"] = denied()
    # What takes a boolean is refused without it, and works with it.
    with TOML.open("a") as stream:
        stream.write(ASKED_FOR)
    plugin, ours = start()
    until(lambda: LOG.read_text().count("event=reading ") == STARTS - 1, "the second start")
    time.sleep(5)
    seen["refused"] = _answer()
    seen["kernel_refused"] = _kernel() is None
    ours.close()
    plugin.wait(_PATIENCE)
    run("setsebool", "audisp_pyaudit_listen=1", "audisp_pyaudit_kernel=1")
    before = len(denied())
    plugin, ours = start()
    until(lambda: _answer() == 0, "the endpoint")
    until(lambda: _kernel() is not None, "the kernel's counters")
    with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/metrics", timeout=_PATIENCE) as answer:
        seen["metrics"] = answer.status
    ours.close()
    plugin.wait(_PATIENCE)
    seen["denied_later"] = denied()[before:]
    seen["said"] = LOG.read_text().splitlines()
    sys.stdout.write(f"\n{MARK}{json.dumps(seen)}\n")
    sys.stdout.flush()


def _answer() -> int:
    """Whether the endpoint may be reached: 0, or the number of the error."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", _PORT))


def _kernel() -> object:
    """What the plugin was told of the kernel."""
    try:
        return json.loads(STATUS.read_text())["kernel"]
    except (FileNotFoundError, KeyError):
        return None


def main() -> None:
    """Load the policy, label all files, have it enforced."""
    # Every refusal is to be told, however many there are.
    Path("/proc/sys/kernel/printk_ratelimit").write_text("0")
    # On the console they would stand in the middle of what we say at the end.
    Path("/proc/sys/kernel/printk").write_text("1")
    run("mount", "-t", "selinuxfs", "selinuxfs", "/sys/fs/selinux")
    config = Path("/etc/selinux/config")
    config.write_text(re.sub(r"^SELINUX=.*$", "SELINUX=permissive", config.read_text(), flags=re.MULTILINE))
    run("load_policy")
    run("setfiles", "-F", _CONTEXTS, *_MEASURES)
    LOG.touch()
    # The broker of this test has any port that is free: one of Kafka's, then.
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("9092 9099")
    become("syslogd_t", "log")
    run("setenforce", "1")
    become("auditd_t", "auditd").wait()


if __name__ == "__main__":
    {"log": log, "auditd": auditd}.get((sys.argv[1:] or [""])[0], main)()
