"""The programs of docs/consuming.md, run as they stand; only the addresses are the test's."""

import json
import re
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.kafka.mock import MockBroker

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
PAGE = (ROOT / "docs" / "consuming.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"```python ([a-z]+)\n(.*?)```", PAGE, re.DOTALL))

Start = Callable[..., Any]
Records = Callable[..., bytes]
Subscribe = Callable[[Path], socket.socket]


def program(name: str, folder: Path, **replaced: tuple[str, str]) -> Path:
    """A program of the page, with other addresses."""
    text = PROGRAMS[name]
    for before, after in replaced.values():
        assert before in text
        text = text.replace(before, after)
    (folder / f"{name}.py").write_text(text)
    return folder / f"{name}.py"


def started(path: Path) -> "subprocess.Popen[str]":
    """The program, running."""
    command = [sys.executable, str(path)]
    return subprocess.Popen(command, cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def documents(name: str) -> list[dict[str, Any]]:
    """The documents of a vector."""
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["documents"]
    return found


def test_kafka(tmp_path: Path) -> None:
    """The program for Kafka shows events, says what is missing, and does not stumble over a stranger's message."""
    broker = MockBroker()
    broker.make_topic("audit")
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    sent = documents("serial-gap")
    for payload in [b"hello", *(json.dumps(each).encode() for each in sent)]:
        producer.produce("audit", payload, partition=0)
    assert producer.flush(20) == 0
    bootstrap = ("broker-1.example,broker-2.example:9093", broker.bootstrap)
    with started(program("kafka", tmp_path, bootstrap=bootstrap)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1 + len(sent))]
        process.kill()
        process.wait()
    assert lines[0].startswith("not an event: ")
    assert [line.startswith("missing: ") for line in lines[1:]] == ["gap" in each["auditd"] for each in sent]
    shown = [line.split()[0] for line in lines[1:] if not line.startswith("missing: ")]
    assert shown == [each["event"]["id"] for each in sent if "gap" not in each["auditd"]]


def test_unix(start: Start, subscribe: Subscribe, tmp_path: Path, make_records: Records) -> None:
    """The program for the socket shows what a running plugin publishes, and ends with it."""
    plugin = start(f'[sinks.events]\ntype = "unix"\npath = "{tmp_path}/s"\n')
    subscribe(tmp_path / "s").close()
    with started(program("unix", tmp_path, path=("/run/audisp-pyaudit/events.sock", f"{tmp_path}/s"))) as process:
        assert process.stdout is not None
        sent = 0
        plugin.until(lambda: plugin.stdin.sendall(make_records(sent + 1, sent + 1)) or _readable(process), "an event")
        first = process.stdout.readline()
        plugin.end()
        _, error = process.communicate(timeout=30)
    assert first.endswith("logged-in\n")
    assert (process.returncode, error) == (0, "")


def _readable(process: "subprocess.Popen[str]") -> bool:
    """Whether the program has shown something."""
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], 0.1)[0])


def test_file(tmp_path: Path) -> None:
    """The program for files counts what `decode` wrote."""
    log = VECTORS / "demo.log"
    command = [sys.executable, "-m", "audisp_pyaudit", "decode", "--format", "json", str(log)]
    with (tmp_path / "events.jsonl").open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
    sent = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    failed = sum(each["event"]["outcome"] == "failure" for each in sent)
    with started(program("file", tmp_path)) as process:
        out_text, error = process.communicate(timeout=30)
    assert (out_text, error) == (f"{failed} of {len(sent)} failed\n", "")
    assert failed


def test_every_program_is_run_here() -> None:
    """No program of the page is shown that was not tried."""
    assert set(re.findall(r'program\("([a-z]+)"', Path(__file__).read_text(encoding="utf-8"))) == set(PROGRAMS)


@pytest.mark.parametrize("number", ["100,000", "1,000,000", "9092"])
def test_numbers_of_the_page(number: str) -> None:
    """The numbers that the page names are those of the code."""
    from audisp_pyaudit.consumer import address, base, seen  # noqa: PLC0415  # only here

    assert number in PAGE
    assert int(number.replace(",", "")) in {base.SEEN_IDS, seen.ALL_IDS, address.PORT}
