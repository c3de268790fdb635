"""Frames for the tests of delivery: small events, known by their serials."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping

from audisp_pyaudit._engine import Engine, Frames

TIME = 1_795_224_000
_LINE = (
    'type={kind} msg=audit({time}.000:{serial}): pid=1 uid=0 auid=0 ses=1 msg=\'acct="x" exe="/{pad}" res=success\'\n'
)


def frames(  # noqa: PLR0913  # what a test may want to differ
    serials: Iterable[int],
    *,
    keep: Iterable[int] = (),
    sinks: Iterable[str] = ("kafka",),
    rules: Iterable[Mapping[str, object]] = (),
    pad: int = 1,
    encodings: Iterable[str] = ("json",),
) -> Frames:
    """An event for each serial, in order; those in `keep` are log-ins, which are to be kept longest."""
    options: dict[str, object] = {
        "host": {"name": "lab", "id": "1" * 32, "nodes": []},
        "encodings": list(encodings),
        "sinks": list(sinks),
        "rules": list(rules),
    }
    engine, keep = Engine(options), frozenset(keep)
    kinds = {serial: "USER_LOGIN" if serial in keep else "SOFTWARE_UPDATE" for serial in serials}
    lines = "".join(
        _LINE.format(kind=kind, time=TIME + serial, serial=serial, pad=noise(serial, pad))
        for serial, kind in kinds.items()
    )
    return Frames.joined([engine.feed(lines.encode()), engine.close()], 0)


def noise(serial: int, letters: int) -> str:
    """Letters that take up as much room on a disk as in memory, though a spool is compressed."""
    return base64.urlsafe_b64encode(hashlib.shake_256(str(serial).encode()).digest(letters)).decode()[:letters]


def serials(batch: Frames, wanted: Iterable[int] | None = None) -> list[int]:
    """The serials of the events in a batch, or of those at the indexes wanted."""
    documents = (json.loads(batch[index].json or b"") for index in (range(len(batch)) if wanted is None else wanted))
    return [each["event"]["sequence"] for each in documents if each["event"]["kind"] == "event"]
