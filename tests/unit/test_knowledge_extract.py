"""The extraction of audit facts from kernel headers (src/knowledge/extract.py)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # `knowledge` is scripts, not installed

from knowledge import extract
from knowledge.macros import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg"), reason="compares versions with dpkg")
needs_cc = pytest.mark.skipif(not shutil.which("cc"), reason="runs the C preprocessor")


@pytest.fixture
def make_package(tmp_path: Path) -> Callable[[str, str, dict[str, str]], extract.Package]:
    """Return a function that makes an unpacked package of the given name, version and files."""

    def make(name: str, version: str, files: dict[str, str]) -> extract.Package:
        root = tmp_path / f"{name}-{version}"
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return extract.Package(name, version, "ab" * 32, root)

    return make


@needs_dpkg
@needs_cc
def test_the_newest_header_wins_and_is_named(make_package: Callable[..., extract.Package]) -> None:
    """A table names package, version, hash and header it came from, and that is the newest one given."""
    unistd = f"{extract.UAPI}/s390/asm/unistd.h"
    old_only = f"{extract.UAPI}/s390/asm/unistd_32.h"
    old = make_package("linux-libc-dev", "6.9.1-1", {unistd: "#define __NR_a 1\n", old_only: "#define __NR_b 2\n"})
    new = make_package("linux-libc-dev", "6.12.1-1", {unistd: "#define __NR_a 9\n"})
    headers = extract.Headers([old, new])

    macros, source = headers.kernel("s390", "asm/unistd.h")
    assert evaluate("__NR_a", macros) == 9
    assert source == f"source: Debian package linux-libc-dev 6.12.1-1 (sha256 {'ab' * 32}), {unistd}"

    macros, source = headers.kernel("s390", "asm/unistd_32.h")
    assert evaluate("__NR_b", macros) == 2
    assert "6.9.1-1" in source


@needs_dpkg
@needs_cc
def test_macros_select_the_abi(make_package: Callable[..., extract.Package]) -> None:
    """One header serves several ABIs; a user of the 32-bit one does not get the numbers of the other."""
    text = "#ifdef __i386__\n#define __NR_execve 11\n#else\n#define __NR_execve 59\n#endif\n"
    package = make_package("linux-libc-dev", "7.1-1", {f"{extract.UAPI}/x86/asm/unistd.h": text})
    headers = extract.Headers([package])
    assert evaluate("__NR_execve", headers.kernel("x86", "asm/unistd.h", ["__i386__"])[0]) == 11
    assert evaluate("__NR_execve", headers.kernel("x86", "asm/unistd.h")[0]) == 59


def test_a_missing_header_is_named(make_package: Callable[..., extract.Package]) -> None:
    """Whoever forgets a package reads which header was looked for, and in which package."""
    package = make_package("libaudit-dev", "1:4.2.1-1", {})
    with pytest.raises(extract.ExtractError, match=r"linux/audit\.h: in none of the linux-libc-dev packages"):
        extract.Headers([package]).kernel("x86", "linux/audit.h")


@needs_dpkg
@needs_cc
def test_record_types_are_named_as_auditd_writes_them(make_package: Callable[..., extract.Package]) -> None:
    """`type=APPARMOR` is found although the constant is AUDIT_AA, and range markers are no types."""
    kernel = (
        "#define AUDIT_USER 1005\n#define AUDIT_FIRST_USER_MSG 1100\n#define AUDIT_SYSCALL 1300\n#define AUDIT_UID 1\n"
    )
    user = "#define AUDIT_USER_AUTH 1100 /* auth */\n#define AUDIT_AA 1500\n#define AUDIT_SYSCALL 1300\n"
    headers = extract.Headers(
        [
            make_package(
                "linux-libc-dev",
                "7.1-1",
                {"usr/include/linux/audit.h": kernel, f"{extract.UAPI}/x86/asm/types.h": ""},
            ),
            make_package("libaudit-dev", "1:4.2.1-1", {"usr/include/audit-records.h": user}),
        ]
    )
    assert extract.record_type_table(headers).rows == [
        ["1005", "USER", "uapi", "-"],
        ["1100", "USER_AUTH", "userspace", "-"],
        ["1300", "SYSCALL", "uapi", "-"],
        ["1500", "APPARMOR", "userspace", "-"],
    ]


@needs_dpkg
@needs_cc
def test_record_types_say_since_when(make_package: Callable[..., extract.Package]) -> None:
    """Who looks for a record learns which release brought it, where that is known."""
    kernel = "#define AUDIT_OPENAT2 1337\n"
    headers = extract.Headers(
        [
            make_package(
                "linux-libc-dev",
                "7.1-1",
                {"usr/include/linux/audit.h": kernel, f"{extract.UAPI}/x86/asm/types.h": ""},
            ),
            make_package("libaudit-dev", "1:4.2.1-1", {"usr/include/audit-records.h": ""}),
        ]
    )
    assert extract.record_type_table(headers).rows == [["1337", "OPENAT2", "uapi", "5.16"]]


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of facts that the extraction reads instead of its own."""
    folder = tmp_path / "facts"
    folder.mkdir()
    monkeypatch.setattr(extract, "FACTS", folder)
    return folder


@needs_dpkg
@needs_cc
def test_values_come_from_the_newest_header_of_each_family(
    make_package: Callable[..., extract.Package], facts: Path
) -> None:
    """A table of flags says which header of which package it was read from, and reads every architecture's."""
    (facts / "values.tsv").write_text(
        "kind\tscope\theaders\tmatch\texcept\tmask\nown\teach\tasm/own.h\tO_[A-Z]+\t-\t=\n", encoding="utf-8"
    )
    (facts / "families.tsv").write_text(
        "family\theaders\tdefines\ngeneric\tarc\t-\nmips\tmips\t__mips__\n", encoding="utf-8"
    )
    files = {
        "usr/include/linux/audit.h": "",
        f"{extract.UAPI}/arc/asm/own.h": "#define O_CREAT 0x40\n",
        f"{extract.UAPI}/mips/asm/own.h": "#ifdef __mips__\n#define O_CREAT 0x100\n#endif\n",
        f"{extract.UAPI}/x86/asm/own.h": "",
    }
    libc = {"usr/include/x86_64-linux-gnu/sys/socket.h": ""}
    headers = extract.Headers(
        [make_package("linux-libc-dev", "7.1-1", files), make_package("libc6-dev", "2.43-7", libc)]
    )
    table = extract.value_tables(headers)["values/own.tsv"]
    assert table.rows == [["*", "0x40", "0x40", "O_CREAT"], ["mips", "0x100", "0x100", "O_CREAT"]]
    assert table.comments[1] == f"source: Debian package linux-libc-dev 7.1-1 (sha256 {'ab' * 32}), asm/own.h"


@needs_dpkg
@needs_cc
def test_a_new_architecture_does_not_pass_unnamed(make_package: Callable[..., extract.Package]) -> None:
    """When Linux gains an architecture, the extraction asks for its name instead of leaving it out."""
    files = {
        "usr/include/linux/audit.h": "#define __AUDIT_ARCH_LE 0x40000000\n#define AUDIT_ARCH_NEWCPU (EM_NEWCPU)\n",
        "usr/include/linux/elf-em.h": "#define EM_NEWCPU 999\n",
    }
    headers = extract.Headers([make_package("linux-libc-dev", "7.1-1", files)])
    with pytest.raises(extract.ExtractError, match=r"facts/arches\.tsv: no line for AUDIT_ARCH_NEWCPU"):
        extract.arch_table(headers)


def test_check_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CI can tell that the committed data is what the headers give, without touching it."""
    table = extract.Table(["Things."], ["number", "name"], [["1", "one"]]).text()
    (tmp_path / "old.tsv").write_text(f"# {extract.GENERATED}\nnumber\n", encoding="utf-8")
    (tmp_path / "hand.tsv").write_text("number\n1\n", encoding="utf-8")

    assert extract.bring_up_to_date(tmp_path, {"sub/new.tsv": table}, check=True)
    assert capsys.readouterr().out == "differs: sub/new.tsv\nis no longer generated: old.tsv\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hand.tsv", "old.tsv"]

    assert extract.bring_up_to_date(tmp_path, {"sub/new.tsv": table}, check=False)
    assert (tmp_path / "sub/new.tsv").read_text(encoding="utf-8") == table
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hand.tsv", "sub"]
    assert not extract.bring_up_to_date(tmp_path, {"sub/new.tsv": table}, check=True)


def test_a_package_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path is one line that names it, not a traceback."""
    assert extract.main(["--deb", str(tmp_path / "no.deb"), "--out", str(tmp_path)]) == 1
    assert "no.deb: no such file, expected a Debian package" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="unpacks with dpkg-deb")
def test_a_file_that_is_no_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged download is named, with what dpkg-deb says of it."""
    deb = tmp_path / "broken.deb"
    deb.write_bytes(b"not a package")
    assert extract.main(["--deb", str(deb), "--out", str(tmp_path)]) == 1
    assert "broken.deb" in capsys.readouterr().err


def test_nothing_to_do_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments the command says what it needs."""
    with pytest.raises(SystemExit) as exit_status:
        extract.main([])
    assert exit_status.value.code == 2
    assert "--deb FILE and --out DATA" in capsys.readouterr().err
