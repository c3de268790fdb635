"""What an installed package has to stand, whichever kind of package it is, on a host of its own for each test.

In: a system on which the package was installed, by the fixture `installed` of the test's module. Out: what was found.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.auditd.arrived import Arrived, arrived
from tests.auditd.kernel import build as build_library
from tests.auditd.relay import Relay
from tests.kafka.mock import MockBroker
from tests.packaging import startup
from tests.packaging.machine import PLUGIN, Machine, machine

STATE = "var/lib/audisp-pyaudit"
SIEM = "/run/audisp-pyaudit/siem.sock"
SUBSCRIBER = f'[sinks.siem]\ntype = "subscriber"\npath = "{SIEM}"\n'
# Aims of what a host pays for it.
FIRST_READ_MS, RESIDENT_MB = 300, 45
_RUNS = 15


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What brings an auditd the stand-in's records."""
    return build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def host(installed: tuple[Path, str], library: Path) -> Iterator[Machine]:
    """A machine that has the package, booted; fresh for each test."""
    with machine(installed[0], library) as made:
        yield made


def has_a_name(host: Machine) -> None:
    """Have auditd name the host in each record, as auditd.conf says it, which only root may read."""
    auditd = host.root / "etc/audit/auditd.conf"
    auditd.write_text(auditd.read_text().replace("name_format = NONE", "name_format = USER") + "name = lab.example\n")


def is_no_root(host: Machine, python: str) -> None:
    """Whether what auditd runs is the launcher on that Python, as the plugin's user."""
    (plugin,) = host.plugins().values()
    assert plugin["argv"] == [python, "-IBS", f"/usr/sbin/{PLUGIN}"]
    assert plugin["uid"] == host.run("id", "-u", PLUGIN).strip()


def everything(found: Arrived, host: Machine) -> None:
    """Every event that was fed has arrived, and nothing was said to be lost."""
    assert found.missing(host.feed.times) == []
    assert (found.announced, found.gaps) == ([], [])


def through_kafka(host: Machine, python: str) -> None:
    """Whether events reach a broker, by the librdkafka that is installed."""
    broker = MockBroker()
    (listening,) = host.space.ask("listen", port=int(broker.bootstrap.rpartition(":")[2]))
    relay = Relay(listening, broker.bootstrap)
    broker.make_topic("audit")
    host.set_up(f'[sinks.topic]\ntype = "kafka"\nbootstrap = "{broker.bootstrap}"\ntopic = "audit"\n')
    host.start()
    is_no_root(host, python)
    host.feed.send(300)
    # auditd tells of its own start, too.
    messages = broker.messages("audit", 301)
    host.stop()
    relay.close()
    host.closed()
    everything(arrived([each.value() for each in messages], host.feed.times), host)


def comes_out(host: Machine) -> Arrived:
    """What a subscriber that reads at last is given: all that was fed. Then auditd is stopped; all ledgers close."""
    reader = host.subscribe(SIEM)
    reader.read_to(host.feed.last)
    host.stop()
    reader.close()
    host.closed()
    found = arrived(reader.lines, host.feed.times)
    everything(found, host)
    return found


def runs_on_when_removed(host: Machine, *removal: str) -> str:
    """The plugin that runs needs nothing of its package any more, and events stay; what the removal said."""
    host.set_up(SUBSCRIBER)
    host.start()
    host.feed.send(200)
    said = host.run(*removal)
    host.feed.send(200)
    host.until(lambda: host.waiting("siem") > 400, "all is in the spool")
    host.stop()
    host.closed()
    assert not list((host.root / "usr/lib/audisp-pyaudit").glob("**/*.py"))
    assert list((host.root / STATE / "spool").glob("g*/*.seg"))
    return said


def auditd_does_without(host: Machine) -> None:
    """After a removal auditd starts, runs no plugin of ours, and finds no fault."""
    host.start_auditd()
    host.until(lambda: sum("Init complete" in each for each in host.log.of("auditd")) == 2, "auditd is up")
    assert host.plugins() == {}
    host.stop()
    told = host.log.of("auditd")
    assert [each for each in told if PLUGIN in each or "Skipping" in each or "Unable to stat" in each] == [], told


def cost(host: Machine, kind: str, installed_mb: float) -> str:
    """What a host pays for it, with a Kafka sink at work: disk, the time until it reads, and memory, in a line."""
    host.set_up('[sinks.topic]\ntype = "kafka"\nbootstrap = "127.0.0.1:9"\ntopic = "audit"\n')
    read_ms = [startup.first_read_ms(host.root) for _ in range(_RUNS)]
    host.start()
    host.feed.send(100)
    host.until(lambda: any("sink cannot deliver" in each for each in host.said()), "librdkafka is at work")
    (pid,) = host.plugins()
    status = host.space.ask("read", path=f"/proc/{pid}/status")
    resident = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))
    host.stop()
    # Memory is the same on a busy machine; time is not.
    assert resident < RESIDENT_MB
    return (
        f"{kind}: {installed_mb:.1f} MB installed, first read after {statistics.median(read_ms):.0f} ms "
        f"(median of {_RUNS}, aim {FIRST_READ_MS}), {resident:.0f} MB resident with a Kafka sink (aim {RESIDENT_MB})"
    )
