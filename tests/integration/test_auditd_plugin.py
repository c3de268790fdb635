"""The installed plugin under each auditd: what it finds there, and what does not depend on what is delivered where."""

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.auditd.cell import PLUGIN, USER_ID, Cell, Parts, cell
from tests.auditd.daemon import HERE, plugin_conf
from tests.auditd.fixtures import make_folder, parts
from tests.auditd.kernel import number_of
from tests.auditd.packages import SUITES, unpacked

__all__ = ["parts"]  # a fixture

FILE = f'[sinks.file]\ntype = "file"\npath = "{HERE}/out/out.json"\n'
Make = Callable[..., Cell]


@pytest.fixture(params=SUITES)
def make(request: pytest.FixtureRequest, parts: Parts, tmp_path: Path) -> Iterator[Make]:
    """Makes a cell with the plugin and a file to write to."""
    found = unpacked(request.param)
    assert found is not None
    with contextlib.ExitStack() as stack:

        def make(config: str = FILE, settings: dict[str, str] | None = None, **how: Any) -> Cell:  # noqa: ANN401  # as `Cell`
            folder = make_folder(tmp_path)
            return stack.enter_context(cell(folder, found, parts, config=config, settings=settings or {}, **how))

        yield make


def documents(made: Cell) -> list[dict[str, Any]]:
    """What is in the file."""
    return [json.loads(line) for line in (made.folder / "out" / "out.json").read_bytes().splitlines()]


def closed(made: Cell) -> None:
    """The ledger of every process is."""
    started = sum("event=reading " in line for line in made.said())
    assert [each[-1] for each in made.ledgers().values()] == ["ledger closed"] * started, made.log.text()
    assert not made.severe(), made.log.text()


def test_the_description_we_ship_is_accepted(make: Make, parts: Parts) -> None:
    """`active = yes` is all that it takes: no auditd finds fault with a line of our file."""
    made = make(plugins={"audisp-pyaudit.conf": plugin_conf(str(parts.command))})
    made.auditd.start()
    made.wait_for("event=reading")
    (plugin,) = made.auditd.plugins().values()
    assert plugin["argv"][1:] == [str(parts.command)]
    # Without a file of our own it works with the defaults: subscribers on a socket.
    assert any("config=defaults sinks=events:unix" in line for line in made.said())
    made.feed.send(2)
    made.stop()
    told = made.log.text()
    assert "1 active plugins" in told
    for complaint in ("Skipping", "Wrong number", "Unknown keyword", "deprecated", "Error", "too long", "permissions"):
        assert complaint not in told, told
    (last,) = [line for line in made.said() if line.startswith('event="end of the input"')]
    assert "ledger closed" in last


def test_what_it_makes_of_how_it_is_started(make: Make) -> None:
    """Whatever auditd gives it, the plugin hears signals, and has no descriptor of auditd's."""
    made = make()
    made.auditd.start()
    made.wait_for("event=reading")
    (plugin,) = made.auditd.plugins().values()
    assert (plugin["environment"], plugin["directory"], plugin["uid"]) == ("", "/", "0")
    assert plugin["signals"]["SigBlk"] == 0
    for number in (1, 2, 15):  # SIGHUP, SIGINT, SIGTERM
        assert plugin["signals"]["SigCgt"] & 1 << (number - 1)
    inherited = [each for each in plugin["descriptors"].values() if "audit.log" in each or "auditd" in each]
    assert inherited == []
    made.stop()
    closed(made)


def test_in_the_foreground(make: Make) -> None:
    """`auditd -f`, for looking for a fault: the plugin speaks where auditd does."""
    made = make()
    made.auditd.start(foreground=True)
    out = made.folder / "auditd.out"
    made.auditd.until(lambda: "event=reading" in out.read_text(errors="replace"), "the plugin reads")
    made.feed.send(3)
    time.sleep(0.3)
    made.stop()
    assert made.said() == []
    told = out.read_text(errors="replace")
    assert re.search(r"^ledger closed$", told, re.MULTILINE)
    assert sum("sequence" in each["event"] and each["event"]["sequence"] < 4 for each in documents(made)) == 3


def test_a_long_line_that_was_cut(make: Make) -> None:
    """A record that was longer than auditd has room for says that it was cut; its end is not made up."""
    made = make(settings={"log_format": "ENRICHED"})
    made.auditd.start()
    made.wait_for("event=reading")
    made.feed.send_long(8970)
    made.feed.send_long(800)
    made.stop()
    long, short = (each for each in documents(made) if each["auditd"]["message_type"] == "user_cmd")
    assert long["auditd"]["truncated"]
    assert "truncated" not in short["auditd"]
    assert made.feed.long_texts[1].startswith(long["auditd"]["data"]["cmd"])
    assert "outcome" not in long["event"] or long["event"]["outcome"] == "unknown"
    assert short["event"]["outcome"] == "success"
    closed(made)


def test_its_own_user(make: Make) -> None:
    """Started by root, as auditd starts everybody, it goes on as its own user, whose all is that it writes."""
    made = make(settings={"log_format": "ENRICHED"}, users=True)
    made.auditd.start()
    made.wait_for("event=reading")
    (plugin,) = made.auditd.plugins().values()
    assert plugin["uid"] == str(USER_ID)
    record = f"audit(1700000000.001:1): pid=1 uid={USER_ID} auid=0 ses=1 msg='op=login acct=\"x\" res=success'"
    made.kernel.send_record(number_of("USER_LOGIN"), record.encode())
    made.stop()
    (found,) = (each for each in documents(made) if each["auditd"]["message_type"] == "user_login")
    # auditd found the name, which the machine's own files need not have.
    assert (found["user"]["id"], found["user"]["name"]) == (str(USER_ID), PLUGIN)
    written = [each for name in ("out", "state", "status") for each in (made.folder / name).iterdir()]
    # The copy of the configuration is root's: nobody else is believed in it.
    assert {each.stat().st_uid for each in written if "last-good" not in each.name} == {USER_ID}
    closed(made)
