"""Drills: what happens to our own process. What was committed arrives; what a kill costs is bounded and announced."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.drills.drill import SCALE, arrived, drill, in_order, kafka, missing, note, write
from tests.kafka.broker import Broker

# What a kill may cost: what lies in the socket, what the engine holds, what waits to be committed (50 ms), and on a
# machine that does other things, too, the time until our threads had their turn.
LOST_SECONDS = 1.0
_NSS_WRAPPER = [Path(f"/usr/lib/{each}/libnss_wrapper.so") for each in ("x86_64-linux-gnu", "aarch64-linux-gnu")]


def test_killed_again_and_again(up: Broker, tmp_path: Path) -> None:
    """The OOM killer costs less than a second of events each time, and the consumers are told when that was."""
    up.make_topic("sigkill")
    chance = random.Random(1)  # noqa: S311  # no secret
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "sigkill")) as made:
        for _ in range(SCALE.times):
            time.sleep(chance.uniform(0.2, 2.0))
            made.plugin.process.kill()
            made.plugin.process.wait()
            made.start()
        time.sleep(2.0)
        sent = made.stop_writing()
        made.end()
        made.deliver_rest()
        found = arrived(made, up.everything("sigkill"))
    lost = missing(sent, found)
    events = SCALE.rate / 4.6  # records of an event
    note(kills=SCALE.times, lost=len(lost), lost_ms_per_kill=round(len(lost) / SCALE.times / events * 1000, 1))
    assert len(lost) < SCALE.times * LOST_SECONDS * events
    assert in_order(found.serials)
    # A process that was killed before it could make its folder has nothing to tell, and lost nothing that it had.
    assert 1 <= found.announced.count("unclean-stop") <= SCALE.times


def test_the_end_with_a_backlog(up: Broker, tmp_path: Path) -> None:
    """SIGTERM, then the end of the input, while the broker is away: reading goes on to the end, and nothing is lost."""
    up.make_topic("backlog")
    up.stop()
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "backlog")) as made:
        write(0.5)
        made.plugin.process.send_signal(signal.SIGTERM)
        write(0.5)
        sent = made.stop_writing()
        start = time.monotonic()
        made.end()
        note(exit_ms=round((time.monotonic() - start) * 1000))
        assert made.plugin.sink("topic")["queued"] >= len(sent.whole)
        up.start()
        made.deliver_rest()
        found = arrived(made, up.everything("backlog"))
    assert missing(sent, found) == []
    assert (found.duplicates, found.announced, in_order(found.serials)) == (0, [], True)


def test_a_name_service_that_hangs(up: Broker, tmp_path: Path) -> None:
    """A directory server that does not answer costs names, no event and no time."""
    wrapper = next((each for each in _NSS_WRAPPER if each.exists()), None)
    if wrapper is None:
        assert not os.environ.get("CI"), "libnss-wrapper is missing"
        pytest.skip("libnss-wrapper is missing: there is no name service that could hang")
    up.make_topic("nss")
    os.mkfifo(tmp_path / "passwd")  # opening it waits for somebody who writes
    # Python itself asks for the home of the user it runs as. Root's is in /etc/passwd, which no server is asked for.
    environment = {
        "HOME": "/",
        "LD_PRELOAD": str(wrapper),
        "NSS_WRAPPER_PASSWD": str(tmp_path / "passwd"),
        "NSS_WRAPPER_GROUP": str(tmp_path / "passwd"),
    }
    with drill(tmp_path, kafka(tmp_path, up.bootstrap, "nss"), environment=environment) as made:
        write()
        sent = made.stop_writing()
        made.end()
        # Without a name service that hangs.
        made.deliver_rest()
        found = arrived(made, up.everything("nss"))
    assert missing(sent, found) == []
    assert (found.announced, in_order(found.serials)) == ([], True)
