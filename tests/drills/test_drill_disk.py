"""Drills: what a disk can do to us. What is lost is counted and announced; the rest arrives, in order."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.drills.drill import Drill, announced_lost, arrived, drill, in_order, kafka, missing, share_lost, write
from tests.kafka.broker import Broker

_OWN_DISK = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=32m disk "$0" && exec "$@"')


@pytest.fixture
def own_disk(tmp_path: Path) -> tuple[str, ...]:
    """A command that gives a process a small disk of its own where the spool is."""
    (tmp_path / "spool").mkdir()
    command = (*_OWN_DISK, str(tmp_path / "spool"))
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    if tried.returncode:
        why = f"no file system can be mounted here: {tried.stderr.decode().strip()}"
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    return command


def fill(made: Drill) -> Path:
    """Fill the plugin's disk, as another program would."""
    made.plugin.wait_for("reading")
    filler = Path(f"/proc/{made.plugin.process.pid}/root{made.folder}/spool/filler")
    with filler.open("wb", buffering=0) as stream:
        size = 1 << 20
        while size:
            try:
                stream.write(b"x" * size)
            except OSError:
                size //= 2
    return filler


def test_a_full_disk_costs_nothing_while_delivery_works(up: Broker, tmp_path: Path, own_disk: tuple[str, ...]) -> None:
    """Somebody filled /var: events go from memory to the broker, and the log says what is wrong until it is mended."""
    up.make_topic("full")
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "full"), own_disk) as made:
        filler = fill(made)
        write()
        made.plugin.wait_for("the disk is full")
        filler.unlink()
        write(0.5)
        made.plugin.wait_for("spool works again")
        sent = made.stop_writing()
        made.plugin.until(lambda: len(up.everything("full")) >= len(sent.whole), "delivered")
        made.end()
        found = arrived(made, up.everything("full"))
    assert missing(sent, found) == []
    assert (found.announced, in_order(found.serials)) == ([], True)


def test_a_full_disk_without_a_broker_is_counted(up: Broker, tmp_path: Path, own_disk: tuple[str, ...]) -> None:
    """With nowhere to go, the oldest events are given up, log-ins last; what is announced is what is missing."""
    up.make_topic("full-and-away")
    up.stop()
    config = kafka(tmp_path, up.bootstrap, "full-and-away", "memory_bytes = 1048576\n")
    with drill(tmp_path, config, own_disk) as made:
        filler = fill(made)
        write(2.0)
        filler.unlink()
        write(0.5)
        up.start()
        sent = made.stop_writing()
        made.plugin.wait_for("spool works again")
        # Only here: the disk is the plugin's own, and ends with it.
        made.plugin.wait_for("sink delivers again", 60.0)
        made.plugin.until(lambda: _is_quiet(up, "full-and-away"), "everything is delivered", 120.0)
        total = made.end()
        found = arrived(made, up.everything("full-and-away"))
        ledger = made.plugin.sink("topic")
    lost = missing(sent, found)
    notices = ledger["offered"] - total["published"]
    assert announced_lost(found) == ledger["lost"] == len(lost) + notices - len(found.notices)
    assert ledger["queued"] == 0
    assert in_order(found.serials)
    logins, others = share_lost(sent, lost)
    assert logins <= others


def _is_quiet(broker: Broker, topic: str) -> bool:
    """Whether nothing was added to a topic for some seconds."""
    before = broker.size(topic)
    time.sleep(3.0)
    return broker.size(topic) == before > 0


@pytest.mark.parametrize("flips", [1, 5])
def test_flipped_bits_cost_what_they_hit(up: Broker, tmp_path: Path, flips: int) -> None:
    """A dying disk costs single batches: how many events is announced, and the segment is kept to look at."""
    topic = f"flipped-{flips}"
    up.make_topic(topic)
    up.stop()
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, topic)) as made:
        write()
        sent = made.stop_writing()
        made.end()
        segment = min((tmp_path / "spool" / "g0000000001").glob("normal-*.seg"))
        content = bytearray(segment.read_bytes())
        for number in range(1, flips + 1):
            content[len(content) * number // (flips + 1)] ^= 0x10
        segment.write_bytes(content)
        up.start()
        made.deliver_rest()
        found = arrived(made, up.everything(topic))
    lost = missing(sent, found)
    assert announced_lost(found) == len(lost) > 0
    assert found.announced.count("spool-damaged") == flips
    assert in_order(found.serials)
    assert [each.name for each in (tmp_path / "spool" / "damaged").iterdir()] == [f"g0000000001-{segment.name}"]


def test_a_spool_that_was_cut_short(up: Broker, tmp_path: Path) -> None:
    """A file system that lost the end of a file costs that end; the consumers are told that it ended uncleanly."""
    up.make_topic("cut")
    up.stop()
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "cut")) as made:
        write()
        sent = made.stop_writing()
        made.end()
        segment = max((tmp_path / "spool" / "g0000000001").glob("normal-*.seg"))
        os.truncate(segment, segment.stat().st_size * 3 // 4)
        up.start()
        made.deliver_rest()
        found = arrived(made, up.everything("cut"))
    lost = missing(sent, found)
    assert 0 < len(lost) < len(sent.whole) // 2
    assert not [each for each in lost if each % 10 == 0]  # log-ins have segments of their own
    assert sorted(found.announced) == ["spool-damaged", "unclean-stop"]
    assert in_order(found.serials)
