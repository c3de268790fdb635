"""The wheel for a machine that this one is not: run by an emulator."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import TREE
from tests.packaging.wheels import EMULATOR, foreign_python, said, wheel

pytestmark = pytest.mark.timeout(900)
_TAGS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What starts Python for aarch64, which has the wheel and what it depends on."""
    if shutil.which(EMULATOR) is None:
        why = f"{EMULATOR} is missing (Debian's package qemu-user-static)"
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("aarch64")
    root = foreign_python(folder)
    tags = [word for tag in _TAGS for word in ("--platform", tag)]
    site = ["--quiet", "--target", str(folder / "site"), "--python-version", "3.11"]
    only = ["--implementation", "cp", "--only-binary", ":all:", *tags]
    said(Path(sys.prefix) / "bin" / "pip", "install", *site, *only, wheel("aarch64"))
    program = str(root / "usr" / "bin" / "python3.11")
    return [EMULATOR, "-L", str(root), "-E", f"PYTHONPATH={folder / 'site'}", program, "-B"]


def test_it_decodes_as_it_does_here(python: list[str]) -> None:
    """On aarch64 the same records are the same document, to the byte, but for the machine that it names."""
    vectors = TREE / "tests" / "vectors"
    for name in ("demo", "exec-plain", "net-inet6", "kernel-names", "user-cmd-bytes"):
        command = ["-m", "audisp_pyaudit", "decode", str(vectors / f"{name}.log")]
        there = said(*python, *command)
        assert there.count("\n") >= 1
        assert '"architecture":"aarch64"' in there
        here = said(sys.executable, *command)
        assert there == here.replace(f'"architecture":"{os.uname().machine}"', '"architecture":"aarch64"')
        assert all(json.loads(line)["event"]["id"] for line in there.splitlines())


def test_it_runs_as_the_plugin(python: list[str], tmp_path: Path) -> None:
    """On aarch64 the plugin reads, writes events, and its ledger closes."""
    config = tmp_path / "plugin.toml"
    out = tmp_path / "events.json"
    config.write_text(
        f'[state]\npath = "{tmp_path}/state"\n[privileges]\nuser = ""\nsandbox = false\n'
        f'[metrics]\nstatus = ""\n[sinks.archive]\ntype = "file"\npath = "{out}"\n'
    )
    records = "".join(
        f"type=USER_LOGIN msg=audit(1700000000.{serial:03}:{serial}): pid=5 uid=0 auid=1000 ses=1 "
        'msg=\'op=login acct="lab" exe="/usr/sbin/sshd" hostname=? addr=? terminal=ssh res=success\'\n'
        for serial in range(1, 101)
    )
    done = subprocess.run(
        [*python, "-m", "audisp_pyaudit", "--config", config, "--print-ledger"],
        input=records.encode(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    told = done.stderr.decode()
    assert done.returncode == 0, told
    assert "ledger closed" in told
    assert [json.loads(line)["event"]["sequence"] for line in out.read_text().splitlines()] == list(range(1, 101))
