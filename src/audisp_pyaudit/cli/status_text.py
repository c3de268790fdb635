"""A status in words that a person on call understands.

In: a status, its process's condition, and the time. Out: lines, the verdict first; and what is wrong, in short.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from audisp_pyaudit.cli.human import clock, count, duration, size
from audisp_pyaudit.cli.losses import what_to_do
from audisp_pyaudit.status import STALLED_SECONDS, Status, lost_to_somebody, stalled_seconds

# Losses that are older are told of, but are no reason to call anybody.
RECENT_SECONDS = 3600.0
FULL_SHARE = 0.8
# When a spool will be full is of interest over a weekend.
_SOON_SECONDS = 3 * 86400


def troubles(status: Status, condition: str, now: float) -> list[str]:
    """What is wrong, a short sentence each; empty if all is well."""
    found: list[str] = []
    if condition == "silent":
        found.append(f"it has said nothing for {duration(now - status['written'])}, though its process is there")
    if status["config"]["problems"]:
        found.append(status["config"]["meanwhile"] or "the configuration is wrong")
    found += [
        f"sink {name} cannot deliver"
        for name, each in status["sinks"].items()
        if each["trouble"] or stalled_seconds(each, status["written"]) >= STALLED_SECONDS
    ]
    recent = [each for each in _losses(status) if now - each["last"] < RECENT_SECONDS]
    if recent:
        found.append(f"something was lost in the last hour ({', '.join(sorted({each['reason'] for each in recent}))})")
    queue = status["queue"]
    if queue is not None:
        if queue["trouble"]:
            found.append("the spool does not work")
        elif (_share(queue) or 0) >= FULL_SHARE:
            found.append(f"the spool is {_percent(_share(queue) or 0)} full")
    engine = status["ledger"]["engine"]
    if engine.get("panics"):
        found.append("the engine broke on its input, which is a bug of ours")
    if not status["ledger"]["closed"]:
        found.append("the ledger does not add up, which is a bug of ours")
    if status["kernel"] is not None and not status["kernel"]["enabled"]:
        found.append("auditing is switched off in the kernel")
    return found + [each for each in (status["metrics_trouble"], status["kernel_trouble"]) if each]


def lines(status: Status, condition: str, now: float) -> Iterator[str]:
    """The whole status, a line each."""
    yield _verdict(status, condition, now)
    yield f"host {status['host']}, version {status['program']}, pid {status['pid']}"
    config = status["config"]
    where = config["file"] or "no file, the defaults are in force"
    yield f"configuration: {f'WRONG; in force: {where}' if config['problems'] else f'OK ({where})'}"
    for problem in config["problems"]:
        yield f"    {problem}"
    yield ""
    yield from _records(status)
    yield ""
    for name, state in status["sinks"].items():
        yield from _sink(name, state, status["ledger"]["sinks"][name], status, now)
    yield from _queue(status)
    yield from _lost(status, now)
    yield from _kernel(status)
    closed = "closed: everything that came in is accounted for" if status["ledger"]["closed"] else "NOT closed"
    yield f"ledger: {closed}"


def _verdict(status: Status, condition: str, now: float) -> str:
    when = clock(status["written"], now)
    if condition == "gone":
        ago = duration(now - status["written"])
        return f"NOT RUNNING: its process is gone since {when} ({ago} ago), killed or crashed. What it said last:"
    if condition == "ended":
        return f"NOT RUNNING: its input ended at {when}, and it ended as it should. What it said last:"
    wrong = troubles(status, condition, now)
    for_long = f"running for {duration(now - status['started'])}"
    return f"TROUBLE: {'; '.join(wrong)} ({for_long})" if wrong else f"WELL: {for_long}"


def _records(status: Status) -> Iterator[str]:
    ledger = status["ledger"]
    engine, dropped = ledger["engine"], ledger["intake_full"]["records"]

    def number(name: str) -> int:
        return int(engine.get(name, 0))

    restored = number("records_restored")
    more = f", and {count(restored)} that the process before held" if restored else ""
    yield f"came in: {count(number('records_in') + dropped, 'records')}{more}"
    fates = [
        f"{count(number('records_published'))} published in {count(number('events_published'), 'events')}",
        f"{count(number('records_end_of_event'))} ends of events",
    ]
    if number("records_filtered"):
        fates.append(f"{count(number('records_filtered'))} dropped by rules")
    lost = dropped + number("records_lost_panic")
    held = number("records_held")
    fates.append(f"{count(held)} held for others of their events" if held else "none held")
    fates.append(f"{count(lost)} LOST" if lost else "none lost")
    yield f"    of these {', '.join(fates)}"
    notes = {
        "gaps": "gaps in the serials: records that never reached us",
        "events_incomplete": "events of which records are missing",
        "lines_unparsed": "lines that could not be read, published as they are",
        "lines_truncated": "lines cut at limits.line_bytes",
        "panics": "times the engine broke; a bug of ours",
    }
    for name, words in notes.items():
        if number(name):
            yield f"    {count(number(name))} {words}"


def _sink(name: str, state: Mapping[str, Any], ledger: Mapping[str, Any], status: Status, now: float) -> Iterator[str]:
    taken_at = status["written"]
    yield f"sink {name} ({state['type']}): {_doing(state, ledger, status, now)}"
    parts = [f"{count(ledger['delivered'])} delivered"]
    if ledger["filtered"]:
        parts.append(f"{count(ledger['filtered'])} not for it")
    if ledger["queued"]:
        oldest = state["oldest_waiting"]
        since = "" if oldest is None else f" (the oldest of {clock(oldest, now)}, {duration(taken_at - oldest)} ago)"
        verb = "waits" if ledger["queued"] == 1 else "wait"
        parts.append(f"{count(ledger['queued'], 'events')} {verb}{since}")
    lost = sum(lost_to_somebody(ledger).values())
    parts.append(f"{count(lost)} LOST" if lost else "nothing lost")
    for key, words in (
        ("no_subscriber", "came while nobody was connected"),
        ("cut", "cut to fit"),
        ("refused", "subscribers too many"),
        ("denied", "subscribers not allowed"),
    ):
        number = ledger["lost"].get(key, 0) if key == "no_subscriber" else ledger[key]
        if number:
            parts.append(f"{count(number)} {words}")
    yield f"    {', '.join(parts)}"
    for peer, words in ledger["peers"].items():
        yield f"    {peer}: {words}"


def _doing(state: Mapping[str, Any], ledger: Mapping[str, Any], status: Status, now: float) -> str:
    """What a sink does now, at the time of the status."""
    at = status["written"]
    if state["trouble"]:
        since = state["trouble_since"]
        for_long = "" if since is None else f" for {duration(at - since)}"
        return f"CANNOT DELIVER{for_long}: {state['trouble']}"
    stalled = stalled_seconds(state, at)
    if stalled >= STALLED_SECONDS:
        if status["queue"] is not None and not status["queue"]["delivers"]:
            return f"WAITS for {duration(stalled)}: a process before this one still has the spool"
        nobody = state["type"] == "subscriber" and "nobody is connected" in ledger["peers"].values()
        why = "nobody is connected" if nobody else "nothing is taken from us, or acknowledged"
        return f"CANNOT DELIVER for {duration(stalled)}: {why}"
    if state["p50_ms"] is not None:
        what = "delivering" if ledger["queued"] else "delivering, nothing waits"
        usual, most = duration(state["p50_ms"] / 1000), duration(state["p99_ms"] / 1000)
        return f"{what}; within the last minute an event took {usual} from the kernel to it, 99 % at most {most}"
    if state["last_delivered"] is not None:
        return f"has everything; the last came at {clock(state['last_delivered'], now)}"
    return "nothing was delivered yet" if ledger["offered"] else "nothing came yet"


def _queue(status: Status) -> Iterator[str]:
    queue = status["queue"]
    if queue is None:
        return
    memory = f"{size(queue['memory_bytes'])} of {size(queue['memory_limit_bytes'])} in memory"
    if queue["mode"] == "lossy":
        yield f"queue: {memory}; nothing on disk (lossy)"
        return
    if queue["spool_bytes"] is None:
        yield f"queue: {memory}; NO SPOOL: {queue['trouble'] or 'not opened yet'}"
        return
    share = _share(queue)
    full = f"{size(queue['spool_bytes'])} of {size(queue['spool_limit_bytes'])} on disk"
    full += "" if share is None else f" ({_percent(share)} full{_full_in(queue)})"
    trouble = f"; DOES NOT WORK: {queue['trouble']}" if queue["trouble"] else ""
    yield f"queue: {memory}, {full}{trouble}"


def _full_in(queue: Mapping[str, Any]) -> str:
    growth, left = queue["spool_growth_bytes_per_second"], queue["spool_limit_bytes"] - queue["spool_bytes"]
    if not growth or growth * _SOON_SECONDS < left:
        return ""
    return f", full in about {duration(left / growth)} at this rate"


def _share(queue: Mapping[str, Any]) -> float | None:
    return queue["spool_bytes"] / queue["spool_limit_bytes"] if queue["spool_limit_bytes"] else None


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _losses(status: Status) -> list[dict[str, Any]]:
    return [each for each in status["losses"] if each["reason"] != "no_subscriber"]


def _lost(status: Status, now: float) -> Iterator[str]:
    for each in _losses(status):
        what = f"events for sink {each['sink']}" if each["sink"] else "records"
        last = f"last at {clock(each['last'], now)}"
        yield f"LOST: {count(each['count'], what)} ({each['reason']}, {last}): {what_to_do(each['reason'])}"


def _kernel(status: Status) -> Iterator[str]:
    kernel = status["kernel"]
    if kernel is None:
        return
    limit = f" of {count(kernel['backlog_limit'])}" if kernel["backlog_limit"] else ""
    state = "on" if kernel["enabled"] else "OFF"
    yield (
        f"kernel: auditing is {state}, {count(kernel['lost'], 'records')} lost since it started,"
        f" {count(kernel['backlog'])}{limit} wait for auditd"
    )
