"""The SELinux module: it compiles, fits into a whole policy, and allows what the plugin needs and no more."""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging import selinux
from tests.packaging.package import TREE

pytestmark = pytest.mark.timeout(600)
DOMAIN = f"{selinux.MODULE}_t"
OWN = {f"{selinux.MODULE}_{each}_t" for each in ("var_lib", "var_run", "log")}
# Where folders of its own may be made; what others have in there is of other types.
_ROOMS = {"var_lib_t", "var_log_t", "var_run_t"}
_CONTEXTS = TREE / "packaging" / "selinux" / f"{selinux.MODULE}.fc"
RULE = re.compile(r"allow (\S+) (\S+):(\S+) (?:\{ (.*?) \}|(\S+));(.*)")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's policy with ours in it."""
    if why := selinux.why_not():
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("selinux")
    return selinux.whole(selinux.compiled(folder), folder)


def rules(policy: Path, *question: str) -> list[tuple[str, str, set[str], str]]:
    """What the domain may: target, class, permissions, and the condition."""
    found = [RULE.match(line) for line in selinux.said("sesearch", "-A", "-s", DOMAIN, *question, policy).splitlines()]
    return [(each[2], each[3], set((each[4] or each[5]).split()), each[6].strip()) for each in found if each]


def test_auditd_starts_it_in_its_own_domain(policy: Path) -> None:
    """What auditd starts is not auditd to the kernel any more, whether auditd or the dispatcher of before did it."""
    for source in ("auditd_t", "audisp_t"):
        told = selinux.said("sesearch", "-T", "-s", source, "-t", f"{selinux.MODULE}_exec_t", "-c", "process", policy)
        assert told.split() == ["type_transition", source, f"{selinux.MODULE}_exec_t:process", f"{DOMAIN};"]
        assert selinux.said(
            "sesearch", "-A", "-s", source, "-t", DOMAIN, "-c", "process", "-p", "transition,signal", policy
        ).strip()
    assert "permissive" not in (TREE / "packaging" / "selinux" / f"{selinux.MODULE}.te").read_text()


def test_it_writes_its_own_files_only(policy: Path) -> None:
    """A bug in the plugin cannot change the trail on disk, a configuration, or anybody's files."""
    writes = "write,create,unlink,rename"
    for kind, asked, besides in (
        ("file", f"{writes},append", {DOMAIN, "self"}),
        ("lnk_file", writes, set()),
        ("dir", "add_name", _ROOMS),
    ):
        found = {target for target, _, _, when in rules(policy, "-c", kind, "-p", asked) if not when}
        assert found <= OWN | besides, kind


def test_it_runs_nothing(policy: Path) -> None:
    """Whatever an attacker makes the plugin do, it starts no program, and becomes no other domain."""
    assert [each for each in rules(policy, "-c", "file", "-p", "execute_no_trans") if not each[3]] == []
    assert [each for each in rules(policy, "-c", "process", "-p", "transition") if not each[3]] == []


def expanded(policy: Path, names: set[str]) -> set[str]:
    """Types, with those that bear an attribute in its place: a rule for an attribute is one for all of them."""
    types = set()
    for name in names:
        told = selinux.said("seinfo", policy, "-a", name, "-x") if _is_attribute(policy, name) else name
        types |= set(re.findall(r"^\s*(\w+_t)$", told, re.MULTILINE))
    return types


def _is_attribute(policy: Path, name: str) -> bool:
    return bool(re.search(rf"^\s*{name}$", selinux.said("seinfo", policy, "-a"), re.MULTILINE))


def test_what_it_may_reach(policy: Path) -> None:
    """Brokers, no database or web server; to listen, or ask the kernel's audit, only where an administrator said so."""
    ports = {f"{selinux.MODULE}_port_t", "unreserved_port_t"}
    connect = {target for target, _, _, when in rules(policy, "-c", "tcp_socket", "-p", "name_connect") if not when}
    assert expanded(policy, connect) == {*ports, "dns_port_t"}
    listens = [each for each in rules(policy, "-c", "tcp_socket", "-p", "name_bind") if selinux.MODULE in each[3]]
    assert {when for *_, when in listens} == {f"[ {selinux.MODULE}_listen ]:True"}
    assert expanded(policy, {target for target, *_ in listens}) == ports
    # What the test is worth: the attribute of all such ports is more.
    assert "mysqld_port_t" in expanded(policy, {"unreserved_port_type"})
    ours = {(kind, when) for target, kind, _, when in rules(policy, "-t", DOMAIN) if kind == "netlink_audit_socket"}
    assert ours == {("netlink_audit_socket", f"[ {selinux.MODULE}_kernel ]:True")}
    capabilities = {name for _, _, names, when in rules(policy, "-c", "capability") if not when for name in names}
    assert capabilities == {"chown", "dac_override", "dac_read_search", "fowner", "setgid", "setuid"}


def test_every_place_has_its_label() -> None:
    """`restorecon` knows each place that the package has, so that the domain finds what it may write."""
    labels = dict(
        re.findall(r"^(\S+)\s.*?gen_context\(system_u:object_r:(\w+),s0\)", _CONTEXTS.read_text(), re.MULTILINE),
    )
    # Spelled out: a pattern would count as less exact than the policy's own for the whole folder.
    assert {"/usr/sbin/audisp-pyaudit", "/usr/bin/audisp-pyaudit"} <= labels.keys()
    places = {
        "/usr/sbin/audisp-pyaudit": "exec",
        "/usr/bin/audisp-pyaudit": "exec",
        "/etc/audisp-pyaudit/audisp-pyaudit.toml": "etc",
        "/var/lib/audisp-pyaudit/spool/g1/1.seg": "var_lib",
        "/run/audisp-pyaudit/status.json": "var_run",
        "/var/log/audisp-pyaudit/events.json": "log",
    }
    for place, word in places.items():
        found = [label for pattern, label in labels.items() if re.fullmatch(pattern, place)]
        assert found == [f"{selinux.MODULE}_{word}_t"], place


def test_the_folders_that_its_head_recommends_can_be_reached(policy: Path) -> None:
    """Who puts files into /srv, as the module's head says, has a plugin that gets there; in `/` it would not."""
    searched = {target for target, _, _, when in rules(policy, "-c", "dir", "-p", "search") if not when}
    # Of /srv, /var/lib and /var/log; and of what is in `/` without a label of its own.
    assert {"var_t", "var_lib_t", "var_log_t"} <= searched
    assert "default_t" not in expanded(policy, searched)
    head = (TREE / "packaging" / "selinux" / f"{selinux.MODULE}.te").read_text().partition("policy_module(")[0]
    assert set(re.findall(r"'(/\w+)/", head)) == {"/srv"}
