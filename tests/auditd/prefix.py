"""The plugin as a user has it: the wheel, built and installed into an environment of its own.

In: the tree, with the engine compiled already (`make dev`). Out: a folder like /usr/local with `bin/audisp-pyaudit`.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_TREE = Path(__file__).parents[2]
_BIN = Path(sys.prefix) / "bin"
FOLDER = Path(sys.prefix) / "prefix"


def _run(*command: str | Path) -> None:
    # The same tree gives the same wheel, so that it need not be installed again.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    done = subprocess.run([*command], capture_output=True, text=True, check=False, cwd=_TREE, env=environment)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@functools.cache
def installed() -> Path:
    """Where the plugin of this tree is installed; its command is `bin/audisp-pyaudit` there."""
    base = Path(sys.executable).resolve()
    wheels = _TREE / "build" / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    _run(_BIN / "maturin", "build", "--release", "--locked", "--quiet", "--interpreter", base, "--out", wheels)
    (wheel,) = wheels.glob("*.whl")
    mark = FOLDER / hashlib.sha256(wheel.read_bytes()).hexdigest()
    if not mark.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        _run(base, "-m", "venv", FOLDER)
        _run(FOLDER / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        command = FOLDER / "bin" / "audisp-pyaudit"
        command.chmod(0o755)  # auditd starts nothing that others may write
        assert command.stat().st_uid == os.getuid()
        mark.touch()
    return FOLDER
