"""What the values of a configuration allow only together: sizes within sizes, and no path for two things."""

from collections.abc import Mapping
from posixpath import normpath

from audisp_pyaudit.address import split
from audisp_pyaudit.config import Config
from audisp_pyaudit.settings import Problem
from audisp_pyaudit.sink_settings import (
    ForwardSettings,
    HoldSettings,
    KafkaSettings,
    StdoutSettings,
    SubscriberSettings,
    UnixSettings,
)
from audisp_pyaudit.state import LOCK_SUFFIX


def check_together(config: Config, problems: list[Problem]) -> None:
    """Note what each value allows and only all of them together show."""
    limits, timing = config.limits, config.timing
    for small, large in (("line_bytes", "event_bytes"), ("event_bytes", "held_bytes"), ("line_bytes", "intake_bytes")):
        if getattr(limits, small) > getattr(limits, large):
            problems.append(Problem(f"limits.{small}", f"expected at most limits.{large} ({getattr(limits, large)})"))
    if timing.grace_ms > timing.event_timeout_ms:
        problems.append(
            Problem("timing.grace_ms", f"expected at most timing.event_timeout_ms ({timing.event_timeout_ms})")
        )
    owner: dict[str, str] = {}
    for name, sink in config.sinks.items():
        if isinstance(sink, KafkaSettings | ForwardSettings | HoldSettings):
            continue
        place = "standard output" if isinstance(sink, StdoutSettings) else _same(sink.path)
        other = owner.setdefault(place, name)
        if other != name:
            problems.append(Problem(f"sinks.{name}", f'sink "{other}" has {place} already'))
        if config.state.path and place in (_same(config.state.path), _same(config.state.path + LOCK_SUFFIX)):
            problems.append(Problem(f"sinks.{name}.path", f"{place} is used for the state already (state.path)"))
    _check_metrics(config, owner, problems)
    listening = (
        (name, each) for name, each in config.sinks.items() if isinstance(each, UnixSettings | SubscriberSettings)
    )
    ours = {_same(each.path): name for name, each in listening}
    for name, sink in config.sinks.items():
        peer = split(sink.address) if isinstance(sink, ForwardSettings) else None
        if isinstance(peer, str) and _same(peer) in ours:
            other = ours[_same(peer)]
            problems.append(
                Problem(f"sinks.{name}.address", f'sink "{other}" of our own listens there; expected a peer')
            )


def _check_metrics(config: Config, owner: Mapping[str, str], problems: list[Problem]) -> None:
    """What is written about us is no place where something else is written."""
    taken = {place: f'sink "{name}"' for place, name in owner.items()}
    if config.state.path:
        for used in (config.state.path, config.state.path + LOCK_SUFFIX):
            taken[_same(used)] = "the state (state.path)"
    for name, each in config.metrics.paths():
        place = _same(each)
        other = taken.setdefault(place, f"metrics.{name}")
        if other != f"metrics.{name}":
            problems.append(Problem(f"metrics.{name}", f"{other} has {place} already"))


def _same(path: str) -> str:
    """One spelling for all that mean the same path; links are not followed, they may change."""
    return "/" + normpath(path).lstrip("/")
