"""What several unit tests need: a stand-in for the Rust engine, and a hold on time."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from audisp_pyaudit import packing
from audisp_pyaudit.framing import FrameList
from audisp_pyaudit.host import HostFacts
from audisp_pyaudit.notices import Notices


class PanicException(BaseException):
    """As PyO3 raises it: not an Exception, and known by its name only."""


class FakeFrame:
    """A frame that holds a small document."""

    def __init__(self, identity: str, text: str = "", routes: int = 2**64 - 1) -> None:
        self.id = identity
        self.routes = routes
        self.document = {"event": {"id": identity}, "text": text}

    @property
    def json(self) -> bytes:
        """The document as JSON."""
        return json.dumps(self.document).encode()

    @property
    def msgpack(self) -> bytes:
        """The document as msgpack."""
        return packing.pack(self.document)


class FakeEngine:
    """An engine that publishes every line as an event, but for those that tell it to do something.

    `hold X` keeps X until `tick` has been called twice, or `close`; `want N` asks for the name of uid N and keeps the
    event until it is told; `boom` panics whenever it is read; `poison` is held and panics at every tick.
    """

    def __init__(self, options: dict[str, object], state: bytes | None) -> None:
        if options.get("bad") or state == b"bad":
            raise ValueError("of no use")
        self.options = options
        self.start = options.get("process_start_ms", 0)
        self.held: list[str] = json.loads(state) if state else []
        self.wanted: list[str] = []
        self.asked: dict[str, str | None] = {}
        self.ticks = 0
        self.own = 0
        self.broken = False
        self.counts = {"records_in": 0, "records_published": 0, "records_end_of_event": 0, "records_filtered": 0}
        self.counts |= {"events_published": 0, "records_restored": len(self.held)}

    def _check(self) -> None:
        if self.broken:
            raise RuntimeError("the engine failed before; build a fresh one")

    def _panic(self) -> None:
        self.broken = True
        raise PanicException("index out of bounds")

    def _frames(self, texts: list[str]) -> FrameList:
        self.counts["records_published"] += len(texts)
        self.counts["events_published"] += len(texts)
        return FrameList([FakeFrame(text, text) for text in texts])

    def feed(self, chunk: bytes) -> FrameList:
        """Every line is an event."""
        self._check()
        texts = []
        for line in chunk.decode().splitlines():
            self.counts["records_in"] += 1
            if "boom" in line:
                self._panic()
            word, _, rest = line.partition(" ")
            if word in ("hold", "poison"):
                self.held.append(line if word == "poison" else rest)
            elif word == "want":
                self.wanted.append(rest)
                self.held.append(f"want {rest}")
            elif word == "EOE":
                self.counts["records_end_of_event"] += 1
            else:
                texts.append(line)
        return self._frames(texts)

    def feed_unparsed(self, line: bytes) -> FrameList:
        """The line is published as it is."""
        self._check()
        if line.startswith(b"boomboom"):
            self._panic()
        self.own += 1
        self.counts["records_in"] += 1
        frames = self._frames([f"unparsed:p{self.start}-{self.own}"])
        frames[0].document["text"] = line.decode()  # type: ignore[attr-defined]  # it is a FakeFrame
        return frames

    def tick(self, now_ms: int) -> FrameList:  # noqa: ARG002  # as the engine has it
        """Publish what was held for two ticks, or what has its name."""
        self._check()
        if any(text.startswith("poison") for text in self.held):
            self._panic()
        self.ticks += 1
        named = [text for text in self.held if text.startswith("want ") and text[5:] in self.asked]
        ready = named if self.ticks % 2 else list(self.held)
        self.held = [text for text in self.held if text not in ready]
        return self._frames([f"{text} {self.asked.get(text[5:], '')}".strip() for text in ready])

    def wants(self) -> list[tuple[str, str]]:
        """Each once."""
        self._check()
        wants, self.wanted = [("uid", key) for key in self.wanted], []
        return wants

    def tell(self, kind: str, key: str, value: str | None) -> None:  # noqa: ARG002  # as the engine has it
        """Remember the name."""
        self._check()
        self.asked[key] = value

    def state(self) -> bytes:
        """What is held."""
        self._check()
        return json.dumps(self.held).encode()

    def close(self) -> FrameList:
        """Everything."""
        self._check()
        held, self.held = self.held, []
        return self._frames(held)

    def stats(self) -> dict[str, int]:
        """The counters."""
        self._check()
        return self.counts | {"records_held": len(self.held), "events_held": len(self.held)}


def texts_of(batches: Any) -> list[str]:  # noqa: ANN401  # any iterable of frames
    """The texts of all frames of some batches."""
    return [json.loads(frames[index].json)["text"] for frames in batches for index in range(len(frames))]


@pytest.fixture
def fake_engine() -> type[FakeEngine]:
    """The stand-in for the raw engine."""
    return FakeEngine


@pytest.fixture
def texts() -> Callable[[Any], list[str]]:
    """Reads the texts out of batches of frames."""
    return texts_of


@pytest.fixture
def frames() -> Callable[..., FrameList]:
    """Makes frames: one per text."""
    return lambda *texts, routes=2**64 - 1: FrameList([FakeFrame(text, text, routes) for text in texts])


@pytest.fixture
def notices() -> Notices:
    """Notices of a host."""
    return Notices(HostFacts("web-1", "6f1c", ()), 1000)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait, at most ten seconds, until something is true."""

    def wait(condition: Callable[[], object], what: str = "condition") -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.005)

    return wait
