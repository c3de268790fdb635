"""A real auditd in a namespace, started, stopped and reloaded as an administrator does it.

In: its version, its configuration, its plugins. Out: what it and they say, and how long each step takes.
"""

import dataclasses
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.auditd.expectations import expected
from tests.auditd.namespace import Namespace
from tests.auditd.packages import Unpacked
from tests.auditd.syslog import SystemLog

# Where the folder of a test is, inside.
HERE = "/run/cell"
# Where auditd comes to the stand-in for the kernel.
KERNEL = "/run/kernel"
_SHIPPED = Path(__file__).parents[2] / "plugin" / "audisp-pyaudit.conf"
_PATIENCE = 30.0
_SETTINGS = {
    "local_events": "yes",
    "write_logs": "yes",
    "log_file": f"{HERE}/log/audit.log",
    "log_group": "root",
    "log_format": "ENRICHED",
    "flush": "NONE",
    "max_log_file": "500",
    "num_logs": "2",
    "max_log_file_action": "IGNORE",
    "priority_boost": "0",
    "name_format": "NONE",
    "space_left": "2",
    "space_left_action": "IGNORE",
    "admin_space_left": "1",
    "admin_space_left_action": "IGNORE",
    "disk_full_action": "IGNORE",
    "disk_error_action": "IGNORE",
    "use_libwrap": "no",
    "distribute_network": "no",
    "q_depth": "2000",
    "overflow_action": "SYSLOG",
    "max_restarts": "10",
    "plugin_dir": f"{HERE}/etc/plugins.d",
    "end_of_event_timeout": "2",
}


def plugin_conf(path: str, args: str = "") -> str:
    """The description of the plugin that we ship, made active, of another place; with `args`, if there are any."""
    text = _SHIPPED.read_text(encoding="ascii")
    for before, after in (("active = no", "active = yes"), ("path = /usr/sbin/audisp-pyaudit", f"path = {path}")):
        assert before in text
        text = text.replace(before, after)
    return text + (f"args = {args}\n" if args else "")


@dataclasses.dataclass(frozen=True)
class Stopped:
    """How an end went, in seconds since it was asked for; `plugins`: exit code and seconds of each that outlived it."""

    auditd: float
    code: int
    plugins: Mapping[int, tuple[int, float]]


class Auditd:
    """An auditd.

    Args:
        space: where it runs.
        unpacked: which one it is.
        folder: the test's folder, which is HERE inside.
        log: what is said in the system's log of the namespace.
        library: what brings the kernel's records, which is to be had at KERNEL inside; None for the network alone.
        settings: what is to differ in auditd.conf.
        plugins: descriptions of plugins by file name.
    """

    def __init__(  # noqa: PLR0913  # what makes an auditd
        self,
        space: Namespace,
        unpacked: Unpacked,
        folder: Path,
        log: SystemLog,
        *,
        library: Path | None,
        settings: Mapping[str, str],
        plugins: Mapping[str, str],
    ) -> None:
        self.expects = expected(unpacked.version)
        self.pid = 0
        self.folder = folder
        self.log = log
        self._space = space
        self._library = library
        self._unpacked = unpacked
        (folder / "log").mkdir()  # auditd makes it its own
        etc = folder / "etc" / "plugins.d"
        etc.mkdir(parents=True, mode=0o755)
        for name, text in plugins.items():
            self.put(etc / name, text)
        self.put(etc.parent / "auditd.conf", "".join(f"{k} = {v}\n" for k, v in {**_SETTINGS, **settings}.items()))

    @staticmethod
    def put(path: Path, text: str) -> None:
        """Write a configuration, readable by its owner's group at most."""
        path.write_text(text)
        path.chmod(0o640)

    def start(self, *, foreground: bool = False, plugins: int = 1) -> None:
        """Start, and wait until so many plugins run. `foreground`: with an output, and without a log of its own."""
        argv = [*self._unpacked.command(self._library), "-c", f"{HERE}/etc", "-s", "nochange"]
        started = self._space.ask(
            "start",
            argv=argv + ["-f"] * foreground,
            output=f"{self.folder}/auditd.out",
            environment={"AUDIT_STAND_IN": KERNEL} if self._library else {},
        )
        before = self.pid
        file = f"{self.expects.run_folder}/auditd.pid"
        self.until(lambda: self._pid_in(file) not in (0, before), f"auditd {started} writes {file}")
        self.pid = self._pid_in(file)
        self.until(lambda: len(self.plugins()) >= plugins, "it starts its plugins")

    def _pid_in(self, file: str) -> int:
        return int(self._space.ask("read", path=file).strip() or 0)

    def plugins(self) -> dict[int, dict[str, Any]]:
        """The plugins that run: by number, what is known of them."""
        found = self._space.ask("processes")
        mine = {int(pid): each for pid, each in found.items() if each["parent"] == self.pid}
        # Between fork and exec it is auditd itself.
        return {
            pid: each for pid, each in mine.items() if each["argv"] and each["argv"] != found[str(self.pid)]["argv"]
        }

    @property
    def plugin(self) -> int:
        """The number of the plugin, where there is one."""
        (only,) = self.plugins()
        return only

    def signal(self, number: int, pid: int = 0) -> None:
        """Send a signal: to auditd, or to somebody else."""
        self._space.ask("signal", pid=pid or self.pid, number=number)

    def reload(self) -> None:
        """Have it read its configuration again."""
        self.signal(signal.SIGHUP)

    def stop(self, *, wait: bool = True) -> Stopped:
        """Stop, as `kill` does; wait until the plugins are gone, too, if told so."""
        plugins = list(self.plugins())
        begin = time.monotonic()
        self.signal(signal.SIGTERM)
        self.until(lambda: str(self.pid) in self._space.ask("ended"), "auditd ends")
        if wait:
            self.until(lambda: all(self._gone(each) for each in plugins), "the plugins end")
        ended = {int(pid): each for pid, each in self._space.ask("ended").items()}
        code, at = ended[self.pid]
        # Those that ended before auditd did were its own to wait for.
        of_plugins = {pid: (ended[pid][0], ended[pid][1] - begin) for pid in plugins if pid in ended}
        return Stopped(at - begin, code, of_plugins)

    def kill_plugin(self) -> None:
        """End the plugin without a word, and wait until all that it had is closed."""
        pid = self.plugin
        self.signal(signal.SIGKILL, pid)
        self.until(lambda: self._gone(pid), "the plugin is gone")

    def _gone(self, pid: int) -> bool:
        gone: bool = self._space.ask("gone", pid=pid)
        return gone

    def state(self) -> dict[str, str]:
        """What auditd says of itself: `current plugin queue depth`, ..."""
        file = f"{self.expects.run_folder}/auditd.state"
        before = self._space.ask("read", path=file)
        found: dict[str, str] = {}

        def told() -> bool:
            text = self._space.ask("read", path=file)
            found.update(re.findall(r"^(.+?) *= *(.*)$", text, re.MULTILINE))
            return text != before and "plugin queue overflow detected" in found

        deadline = time.monotonic() + _PATIENCE
        while not told():
            assert time.monotonic() < deadline, found
            self.signal(signal.SIGCONT)
            time.sleep(0.05)
        return found

    def until(self, condition: Callable[[], object], what: str, seconds: float = _PATIENCE) -> None:
        """Until something is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}\n{self.told()}"
            time.sleep(0.01)

    def told(self) -> str:
        """All that was said, for people."""
        out = self.folder / "auditd.out"
        return self.log.text() + "\n" + (out.read_text(errors="replace") if out.exists() else "")
