"""The plugin as installed on another kind of machine, beside the tree's own on this one: it does the same.

In: a system of the other machine with a package. Out: nothing; or where they differ.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.drills.drill import HOST_ID
from tests.packaging import roots
from tests.packaging.package import TREE

MACHINE = "aarch64"
PLUGIN = "audisp-pyaudit"
_VECTORS = TREE / "tests" / "vectors"
# In that system.
_LOGS, _CONFIG, _OUT = "/root/logs", "/root/plugin.toml", "/var/log/audisp-pyaudit/events.json"
# What a run knows besides its records: nothing of the machine that it is on.
_FIXED = f'[host]\nname = "lab"\nid = "{HOST_ID}"\n[decode]\nnames = false\n'
_LEDGER = re.compile(r"^records in (\d+) = published (\d+) \+ held 0 \+ .*$", re.MULTILINE)


def _the_same(there: str, here: str) -> bool:
    """Whether documents are the same but for what they have to tell apart: the machine, and the moment of the start.

    The events that a process tells of itself are called after that moment.
    """
    one = re.sub(rf'"architecture":"(?:{MACHINE}|{os.uname().machine})"', "", there + "\0" + here)
    there, here = re.sub(r':p\d+-(\d+")', r":p-\1", one).split("\0")
    return there == here


def decodes_alike(root: Path) -> None:
    """Every log of the tests, in one go, is the same there and here, to the byte."""
    shutil.copytree(_VECTORS, root / _LOGS[1:], dirs_exist_ok=True)
    there = roots.run(root, "sh", "-c", f"cd {_LOGS} && exec {PLUGIN} decode --host lab *.log")
    logs = sorted(each.name for each in _VECTORS.glob("*.log"))
    command = [sys.executable, "-m", "audisp_pyaudit", "decode", "--host", "lab", *logs]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_VECTORS)
    assert _the_same(there, done.stdout)
    assert there.count("\n") > len(logs)


def runs_alike(root: Path, folder: Path) -> None:
    """As auditd's child it becomes its user, writes the same events as here, and its ledger closes."""
    log = _VECTORS / "demo.log"
    shutil.copy(log, root / "root" / log.name)
    sink = '[sinks.archive]\ntype = "file"\npath = '
    (root / _CONFIG[1:]).write_text(f'{_FIXED}{sink}"{_OUT}"\n')
    said = roots.run(root, "sh", "-c", f"exec {PLUGIN} --config {_CONFIG} --print-ledger </root/{log.name} 2>&1")
    config, out = folder / "plugin.toml", folder / "events.json"
    config.write_text(
        f'{_FIXED}[state]\npath = "{folder}/state"\n[privileges]\nuser = ""\nsandbox = false\n'
        f'[metrics]\nstatus = ""\n{sink}"{out}"\n'
    )
    command = [sys.executable, "-m", "audisp_pyaudit", "--config", str(config), "--print-ledger"]
    with log.open("rb") as stream:
        done = subprocess.run(command, stdin=stream, stderr=subprocess.PIPE, text=True, check=True)
    assert f"user={PLUGIN} " in said
    ledgers = [_LEDGER.search(each) for each in (said, done.stderr)]
    assert all(ledgers), said + done.stderr
    there, here = (each[0] for each in ledgers if each)
    assert there == here
    assert said.rstrip().endswith("ledger closed")
    written = root / _OUT[1:]
    assert _the_same(written.read_text(), out.read_text())
    assert written.stat().st_uid == int(roots.run(root, "id", "-u", PLUGIN))
