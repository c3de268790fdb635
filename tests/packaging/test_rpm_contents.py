"""What stands in the RPM: files with modes and owners, what is kept, what is required, what scripts do, licences."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import PLUGIN_CONF, TOML, TREE
from tests.packaging.rpm import said, tags
from tests.packaging.rpm_fixtures import rpm

__all__ = ["rpm"]  # a fixture
pytestmark = pytest.mark.timeout(900)

PRIVATE = "/usr/lib/audisp-pyaudit"
PROGRAM = "/usr/sbin/audisp-pyaudit"
POLICY = "/usr/share/audisp-pyaudit/selinux/install"
STATE = "/var/lib/audisp-pyaudit"
USER = "audisp-pyaudit"
# What differs from: root's, 0755 for folders and libraries, 0644 for the rest.
ODD = {
    PROGRAM: (0o100755, "root", "root"),
    f"/{PLUGIN_CONF}": (0o100640, "root", "root"),
    f"/{TOML}": (0o100640, "root", USER),
    STATE: (0o040700, USER, USER),
    "/etc/audit": (0o040750, "root", "root"),
    "/etc/audit/plugins.d": (0o040750, "root", "root"),
    "/run/audisp-pyaudit": (0o040755, USER, USER),
    POLICY: (0o100755, "root", "root"),
}
DOCS = "/usr/share/doc/audisp-pyaudit"
# What an administrator is promised, beside code.
PROMISED = {
    *ODD,
    f"{PRIVATE}/audisp_pyaudit/_engine.abi3.so",
    "/usr/lib/sysusers.d/audisp-pyaudit.conf",
    "/usr/lib/tmpfiles.d/audisp-pyaudit.conf",
    "/usr/share/man/man8/audisp-pyaudit.8.gz",
    "/usr/share/man/man5/audisp-pyaudit.toml.5.gz",
    "/usr/share/bash-completion/completions/audisp-pyaudit",
    "/usr/share/zsh/site-functions/_audisp-pyaudit",
    "/usr/share/fish/vendor_completions.d/audisp-pyaudit.fish",
    *(
        f"{DOCS}/{name}"
        for name in (
            "README.md",
            "README.rpm.md",
            "CHANGELOG.md",
            "audisp-pyaudit.rules",
            "audisp-pyaudit.toml",
            "grafana-dashboard.json",
            "consuming.md",
        )
    ),
}
# rpm's flags of files.
CONFIG, DOC, NOREPLACE, LICENSE = 1 << 0, 1 << 1, 1 << 4, 1 << 7
BUNDLED = {"click", "confluent_kafka", "msgpack", "prometheus_client", "structlog"}


def test_every_file_has_its_mode_and_owner(rpm: Path) -> None:
    """Nothing can be changed by anybody but root, auditd accepts the plugin, and configurations are not for all."""
    found = {
        name: (int(mode), user, group)
        for name, mode, user, group in tags(rpm, "FILENAMES", "FILEMODES", "FILEUSERNAME", "FILEGROUPNAME")
    }
    wrong = {}
    for name, (mode, *whose) in found.items():
        plain = 0o100755 if re.search(r"\.so(\.\d+)?\Z", name) else 0o100644
        wanted = ODD.get(name, (0o040755 if mode & 0o170000 == 0o040000 else plain, "root", "root"))
        if (mode & 0o177777, *whose) != wanted:
            wrong[name] = oct(mode), whose
    assert wrong == {}
    assert found.keys() >= PROMISED
    # Each module beside what was compiled of it, nothing that only a developer reads.
    modules = {name for name in found if name.endswith(".py")}
    compiled = {
        re.sub(r"__pycache__/(.*)\.cpython-311\.pyc", r"\1.py", name) for name in found if name.endswith(".pyc")
    }
    assert modules == compiled
    assert [name for name in found if name.endswith((".pyi", ".c", ".pyx", "py.typed", "RECORD"))] == []
    ours = {str(each.relative_to(TREE / "src")) for each in (TREE / "src" / "audisp_pyaudit").rglob("*.py")}
    assert {
        name.removeprefix(f"{PRIVATE}/") for name in modules if name.startswith(f"{PRIVATE}/audisp_pyaudit/")
    } == ours


def test_what_rpm_keeps_as_it_was_changed(rpm: Path) -> None:
    """Both configurations stay as the administrator left them; documents and licences are marked as such."""
    rows = tags(rpm, "FILENAMES", "FILEFLAGS", "FILEMODES")
    flags = {name: int(each) for name, each, mode in rows if int(mode) & 0o170000 == 0o100000}
    assert {name for name, each in flags.items() if each & CONFIG} == {f"/{PLUGIN_CONF}", f"/{TOML}"}
    assert all(flags[f"/{name}"] & NOREPLACE for name in (PLUGIN_CONF, TOML))
    assert {name for name, each in flags.items() if each & DOC} >= {
        name for name in flags if name.startswith(f"{DOCS}/")
    }
    assert {name for name, each in flags.items() if each & LICENSE} >= {
        name for name in flags if name.startswith("/usr/share/licenses/audisp-pyaudit/")
    }


def test_what_it_requires_and_provides(rpm: Path) -> None:
    """Every EL from 8 on can satisfy it: one Python, one glibc; and nobody else gets its libraries."""
    requires = set(said("rpm", "-qp", "--requires", rpm).split("\n")) - {""}
    assert requires >= {"python3.11", "/usr/bin/python3.11", "shadow-utils"}
    versions = [tuple(map(int, each.split("."))) for each in re.findall(r"\(GLIBC_([\d.]+)\)", " ".join(requires))]
    assert max(versions) <= (2, 28)
    assert [each for each in requires if re.match(r"lib(?!c\.|m\.|dl\.|pthread\.|rt\.)", each)] == []
    provides = {each.split(" = ")[0] for each in said("rpm", "-qp", "--provides", rpm).splitlines()}
    assert [each for each in provides if not re.match(r"bundled\(|config\(|audisp-pyaudit(\(x86-64\))?\Z", each)] == []


def test_no_script_starts_or_restarts_anything(rpm: Path) -> None:
    """Only the administrator restarts auditd: the scripts say how, and run nothing of the kind."""
    scripts = said("rpm", "-qp", "--scripts", rpm)
    assert "service auditd restart" in scripts
    code = [line for line in scripts.splitlines() if not re.match(r"\s*(#|echo )", line)]
    assert not re.search(r"\b(service|systemctl|auditctl|augenrules|kill|initctl)\b", "\n".join(code))
    # Neither asks, nor fails: an installation would stay half done. Only the first script may, before anything is done.
    assert scripts.count("\nexit 0") == scripts.count("scriptlet (using /bin/sh)") - 1
    assert scripts.startswith("preinstall scriptlet")


def test_licences_of_all_that_is_in_it(rpm: Path) -> None:
    """Whoever redistributes it has every licence at hand: ours, each bundled package's, library's and crate's."""
    names = {
        name.removeprefix("/usr/share/licenses/audisp-pyaudit/")
        for (name,) in tags(rpm, "FILENAMES")
        if "/licenses/" in name
    }
    assert names >= {"LICENSE", "LICENSE.crates", "NOTICE"}
    folders = {name.rpartition("/")[0] for name in names}
    assert folders >= BUNDLED
    # What is known of libraries in confluent-kafka names the file that has each one's licence.
    lines = (TREE / "packaging" / "rpm" / "bundled.tsv").read_text().splitlines()
    listed = {line.split("\t")[4] for line in lines if not line.startswith("#")} - {"-"}
    assert {f"librdkafka/{each}" for each in listed} <= names


def test_unpacked_it_is_one_of_its_own(rpm: Path, tmp_path: Path) -> None:
    """It runs on the Python it was made for, whatever is in the environment, and tells nothing of who built it."""
    with (tmp_path / "payload").open("wb") as payload:
        payload.write(_payload(rpm))
    said("cpio", "-idm", "--quiet", "--no-absolute-filenames", "-D", tmp_path, "-F", tmp_path / "payload")
    first = (tmp_path / PROGRAM[1:]).read_text().splitlines()[0]
    assert first == "#!/usr/bin/python3.11 -IBS"
    engine = tmp_path / PRIVATE[1:] / "audisp_pyaudit" / "_engine.abi3.so"
    told = said("readelf", "--wide", "--dynamic", "--sections", "--notes", engine)
    assert "RPATH" not in told
    assert "RUNPATH" not in told
    assert ".symtab" not in told
    assert "libpython" not in told
    assert "Build ID" in told
    ours = [each for each in tmp_path.rglob("audisp_pyaudit/**/*") if each.is_file()]
    leaks = [each for each in ours if str(TREE).encode() in each.read_bytes()]
    assert leaks == []
    modules = [each.read_bytes()[4:8] for each in tmp_path.rglob("*.pyc")]
    # PEP 552: unchecked hash.
    assert set(modules) == {b"\x01\0\0\0"}


def _payload(rpm: Path) -> bytes:
    return subprocess.run(["rpm2cpio", rpm], capture_output=True, check=True).stdout  # noqa: S607


def test_rpmlint(rpm: Path) -> None:
    """Fedora's own check finds neither errors nor warnings; what it is told to overlook has a reason beside it."""
    assert shutil.which("rpmlint")
    rules = TREE / "packaging" / "rpm" / "rpmlint.toml"
    found = said("rpmlint", "--config", rules, rpm, TREE / "packaging" / "rpm" / "audisp-pyaudit.spec")
    assert "0 errors, 0 warnings" in found, found
