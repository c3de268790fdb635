"""What the spool of a running plugin may come across. Every test asserts that the ledger closes."""

import json
import re
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.delivery.batch import MARK, VERSION

Start = Callable[..., Any]
Records = Callable[..., bytes]
Subscribe = Callable[[Path], Any]
_CRC_AT = 48  # of the head, over what is before it


def config(folder: Path) -> str:
    """A configuration with one subscriber that acknowledges."""
    return (
        f'[queue]\npath = "{folder}/spool"\ncommit_ms = 5\n'
        f'[sinks.siem]\ntype = "subscriber"\npath = "{folder}/siem.sock"\n'
    )


def read(subscribe: Subscribe, folder: Path, until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Events up to one that is looked for, acknowledged."""
    found: list[dict[str, Any]] = []
    with subscribe(folder / "siem.sock") as reader:
        for line in reader.makefile("rb"):
            found.append(json.loads(line))
            reader.sendall(b"%d\n" % len(found))
            if until(found[-1]):
                break
        time.sleep(0.5)  # the last acknowledgement is heard
    return found


def serials(events: list[dict[str, Any]]) -> list[int]:
    """Those of auditd's events."""
    return [each["event"]["sequence"] for each in events if each["event"]["kind"] == "event"]


_SHIFTED = """
import sys, time
from pathlib import Path
real, said = time.time_ns, Path({said!r})
time.time_ns = lambda: real() + int(said.read_text()) * 10**9
time.time = lambda: time.time_ns() / 1e9
from audisp_pyaudit.__main__ import main
main()
"""


def test_a_clock_that_jumps_costs_nothing(
    start: Start, subscribe: Subscribe, make_records: Records, tmp_path: Path
) -> None:
    """A host that begins in 1990, is set by NTP, then set wrong by hand: every event arrives, at once and in order."""
    said, sent = tmp_path / "shift", 0
    said.write_text("-1000000000")
    plugin = start(config(tmp_path), command=(sys.executable, "-I", "-c", _SHIFTED.format(said=str(said))))
    for shift in (-1_000_000_000, 0, -7200, 600_000_000, -86_400):
        said.write_text(str(shift))
        records = make_records(sent + 1, sent + 100)
        plugin.stdin.sendall(records.replace(b"(1700000000.", b"(%d." % (int(time.time()) + shift)))
        sent += 100
        time.sleep(0.3)
    began = time.monotonic()
    found = read(subscribe, tmp_path, lambda event: event["event"].get("sequence") == sent)
    assert time.monotonic() - began < 5.0  # nobody waits for the old time to come back
    plugin.end()
    assert serials(found) == list(range(1, sent + 1))
    years = {each["@timestamp"][:4] for each in found}
    assert len(years) == 3
    assert plugin.sink("siem")["delivered"] == sent


def test_what_a_later_version_left_is_set_aside(
    start: Start, subscribe: Subscribe, make_records: Records, tmp_path: Path
) -> None:
    """After a downgrade delivery goes on with what is new; what cannot be read is counted, told and kept."""
    plugin = start(config(tmp_path))
    plugin.stdin.sendall(make_records(1, 100))
    plugin.end()
    (segment,) = (tmp_path / "spool" / "g0000000001").glob("keep-*.seg")
    content = bytearray(segment.read_bytes())
    for at in [found.start() for found in re.finditer(re.escape(MARK), content)]:
        content[at + 8] = VERSION + 1
        content[at + _CRC_AT : at + _CRC_AT + 4] = struct.pack("<I", zlib.crc32(content[at : at + _CRC_AT]))
    segment.write_bytes(content)
    plugin = start(config(tmp_path), restarted=True)
    plugin.stdin.sendall(make_records(101, 200))
    expected: set[object] = {"spool-damaged", 200}

    def all_there(event: dict[str, Any]) -> bool:
        expected.difference_update((event["event"]["action"], event["event"].get("sequence")))
        return not expected

    found = read(subscribe, tmp_path, all_there)
    plugin.end()
    assert serials(found) == list(range(101, 201))
    (told,) = (each for each in found if each["event"]["action"] == "spool-damaged")
    assert f"format {VERSION + 1} is newer than {VERSION}" in told["auditd"]["lost"]["why"]
    (kept,) = (tmp_path / "spool" / "damaged").iterdir()
    assert kept.read_bytes() == bytes(content)
