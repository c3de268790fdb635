"""What stands in the deb: every file with its mode and owner, an engine for any Python, nothing that lintian minds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import package
from tests.packaging.fixtures import deb
from tests.packaging.package import CHANGED, ENGINE, PLUGIN_CONF, TOML, TREE, field

__all__ = ["deb"]  # a fixture
pytestmark = pytest.mark.timeout(900)

PROGRAM = "usr/sbin/audisp-pyaudit"
# Every other file is for all to read, every folder for all to enter; all of it root's.
MODES = {
    PROGRAM: "-rwxr-xr-x",
    PLUGIN_CONF: "-rw-r-----",
    TOML: "-rw-r-----",
    "etc/audit": "drwxr-x---",
    "etc/audit/plugins.d": "drwxr-x---",
    "usr/share/audisp-pyaudit/selinux/install": "-rwxr-xr-x",
    "usr/share/python3/runtime.d/audisp-pyaudit.rtupdate": "-rwxr-xr-x",
}
# What an administrator is promised, beside code.
PROMISED = {
    *MODES,
    ENGINE,
    "etc/apparmor.d/audisp-pyaudit",
    "usr/lib/sysusers.d/audisp-pyaudit.conf",
    "usr/lib/tmpfiles.d/audisp-pyaudit.conf",
    "usr/share/man/man8/audisp-pyaudit.8.gz",
    "usr/share/man/man5/audisp-pyaudit.toml.5.gz",
    "usr/share/bash-completion/completions/audisp-pyaudit",
    "usr/share/zsh/vendor-completions/_audisp-pyaudit",
    "usr/share/fish/vendor_completions.d/audisp-pyaudit.fish",
    *(
        f"usr/share/doc/audisp-pyaudit/{name}"
        for name in (
            "README.md",
            "README.deb.md",
            "SECURITY.md",
            "alerts.yml",
            "audisp-pyaudit.rules",
            "audisp-pyaudit.toml",
            "changelog.Debian.gz",
            "consuming.md",
            "copyright",
            "grafana-dashboard.json",
        )
    ),
}
_LISTED = re.compile(r"(\S+) (\S+) +\d+ \S+ \S+ \./(.*?)/?(?: -> .*)?\Z")


def said(*command: str | Path) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files."""
    folder = tmp_path_factory.mktemp("unpacked")
    said("dpkg-deb", "--extract", deb, folder)
    return folder


def test_every_file_has_its_mode_and_owner(deb: Path) -> None:
    """Nothing can be changed by anybody but root, auditd accepts the plugin, and configurations are not for all."""
    listed = [_LISTED.match(line) for line in said("dpkg-deb", "--contents", deb).splitlines()]
    assert all(listed)
    found = {each[3]: (each[1], each[2]) for each in listed if each}
    wrong = {}
    for path, (mode, whose) in found.items():
        wanted = MODES.get(path, "drwxr-xr-x" if mode.startswith("d") else "-rw-r--r--")
        if (mode, whose) != (wanted, "root/root"):
            wrong[path] = mode, whose
    assert wrong == {}
    assert found.keys() >= PROMISED
    assert [path for path in found if "__pycache__" in path or path.endswith((".pyc", ".pyi"))] == []


def test_all_of_the_code_is_there(unpacked: Path) -> None:
    """The package has each module of the tree, and no other."""
    theirs, ours = unpacked / "usr/lib/audisp-pyaudit/audisp_pyaudit", TREE / "src" / "audisp_pyaudit"
    files = [{str(each.relative_to(folder)) for each in folder.rglob("*.py")} for folder in (theirs, ours)]
    assert files[0] == files[1]


def test_what_dpkg_asks_about(deb: Path) -> None:
    """All in /etc is kept as an administrator changed it."""
    conffiles = said("dpkg-deb", "--info", deb, "conffiles").split()
    assert sorted(conffiles) == sorted(f"/{each}" for each in (PLUGIN_CONF, TOML, "etc/apparmor.d/audisp-pyaudit"))


def test_no_script_starts_or_restarts_anything(deb: Path, tmp_path: Path) -> None:
    """Only the administrator restarts auditd: the scripts say how, and run nothing of the kind."""
    said("dpkg-deb", "--control", deb, tmp_path / "control")
    for name in ("preinst", "postinst", "prerm", "postrm"):
        lines = (tmp_path / "control" / name).read_text().splitlines()
        code = [line for line in lines if not re.match(r"\s*(#|echo )", line)]
        assert not re.search(
            r"\b(service|systemctl|invoke-rc\.d|deb-systemd-invoke|auditctl|augenrules|kill)\b", "\n".join(code)
        )


def test_the_engine_is_for_every_python(deb: Path, unpacked: Path) -> None:
    """It is stripped, asks for no library of the machine that built it, and the package for no version of Python."""
    told = said("readelf", "--wide", "--dynamic", "--sections", unpacked / ENGINE)
    assert "RUNPATH" not in told
    assert "RPATH" not in told
    assert ".symtab" not in told
    assert ".debug_info" not in told
    assert "libpython" not in told
    depends = [each.strip() for each in field(deb, "Depends").split(",")]
    assert [each for each in depends if re.match(r"python3(\.\d|.*<<)", each)] == []


def test_the_launcher(unpacked: Path) -> None:
    """It is the distribution's Python, by name, that neither environment nor `.pth` files have a say in."""
    lines = (unpacked / PROGRAM).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/python3 -IBS"


def test_lintian(deb: Path) -> None:
    """Debian's own check finds neither errors nor warnings; what it is told to overlook has a reason beside it."""
    assert shutil.which("lintian")
    (changes,) = deb.parent.glob(f"*_{package.ARCH}.changes")
    said("lintian", "--allow-root", "--fail-on", "error,warning", changes)
    lines = (TREE / "packaging/deb/debian/audisp-pyaudit.lintian-overrides").read_text().splitlines()
    assert lines[0].startswith("# ")


def test_built_again_elsewhere_it_is_the_same(deb: Path, tmp_path: Path) -> None:
    """Whoever doubts a package can build it, wherever and whenever, and compare it byte by byte."""
    folder, target = tmp_path / "elsewhere", tmp_path / "target"
    again = package.build(folder, target=target)
    assert again.read_bytes() == deb.read_bytes()
    # And whoever changes the sources gets what was changed, although all files of a release are of one time.
    (source,) = folder.glob("*.orig.tar.gz")
    said("tar", "-C", tmp_path, "-xzf", source)
    (tree,) = tmp_path.glob("audisp-pyaudit-*")
    package.change_engine(tree)
    said("dpkg-deb", "--extract", package.build(folder, target=target, tree=tree), tmp_path / "changed")
    assert CHANGED in (tmp_path / "changed" / ENGINE).read_bytes()
