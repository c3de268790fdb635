"""The pipeline's thread: takes blocks from intake, feeds the engine, hands frames to the sinks.

In: bytes, time, names, signals. Out: frames in every sink, and the state of the engine in its file. One way: nothing
here is called by a sink. It waits for nothing but intake; a sink may keep it for 100 ms at most.
"""

import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from audisp_pyaudit.delivery.feed import Feed
from audisp_pyaudit.engine import Engine
from audisp_pyaudit.framing import FrameList, Frames
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.ledger import Ledger
from audisp_pyaudit.logs import Log
from audisp_pyaudit.memory import give_back
from audisp_pyaudit.names import NameLookup
from audisp_pyaudit.notices import NoticeFrame, Notices
from audisp_pyaudit.outlets import Outlets
from audisp_pyaudit.state import StateLock, save_state
from audisp_pyaudit.status import Parts, Reporter

# While events wait in the engine, time is told it this often; half of `name_wait_ms`, a tenth of `grace_ms`.
TICK_SECONDS = 0.01
# With nothing held there is nothing to do but to look after the house.
IDLE_SECONDS = 1.0
HOUSE_SECONDS = 1.0
# A kill costs at most this much of what the engine remembers; saving takes well under a millisecond.
SAVE_SECONDS = 10.0
# As often, memory that is free goes back to the kernel; the first time when what waited for us to start is through.
GIVE_BACK_SECONDS = 10.0
SETTLED_SECONDS = 2.0
REMIND_SECONDS = 60.0
# When we start, the process before us may still be ending; it has the state as long. Later than this it is no overlap.
OVERLAP_SECONDS = 2.0


@dataclass(frozen=True)
class Wrong:
    """What is wrong with the configuration, and what the process does meanwhile.

    `lasts`: no reload can mend it.
    """

    what: str
    meanwhile: str
    lasts: bool = False


class Pipeline:
    """Ties intake, engine, names and sinks together.

    Args:
        intake: where blocks come from.
        engine: turns bytes into frames.
        names: looks names up; None if nobody asks for names.
        outlets: where frames go.
        notices: makes the events that say what was lost here.
        log: where to tell people.
        state_path: where the engine's state is kept, empty for nowhere.
        state_lock: the right to write there, None if nobody else might; taken later where another process has it now.
        problems: what is wrong with the configuration, said again every minute.
        reporter: who says where everything stands, about every second and at the end.
    """

    def __init__(  # noqa: PLR0913  # this is where everything meets
        self,
        *,
        intake: Intake,
        engine: Engine,
        names: NameLookup | None,
        outlets: Outlets,
        notices: Notices,
        log: Log,
        state_path: str = "",
        state_lock: StateLock | None = None,
        problems: Sequence[Wrong] = (),
        reporter: Reporter | None = None,
    ) -> None:
        self._intake = intake
        self._engine = engine
        self._outlets = outlets
        self._notices = notices
        self._log = log
        self._state_path = state_path
        self._state_lock = state_lock
        self._reporter = reporter
        self.problems = problems
        self.names = names
        self.on_hangup: Callable[[], None] = lambda: None
        self._notices_made = 0
        self._lost_panic = 0
        self._panics = 0
        self._troubles: dict[str, str] = {}
        self._lost: dict[str, int] = {}
        self._refused: dict[tuple[str, str], int] = {}
        self._peers: dict[tuple[str, str], str] = {}
        self._save_failed = False
        now = time.monotonic()
        self._house_at = now  # sinks get nothing before the queue knows that it may deliver
        self._save_at = now + SAVE_SECONDS
        self._give_back_at = now + SETTLED_SECONDS
        self._remind_at = now + REMIND_SECONDS
        self._overlap_until = now + OVERLAP_SECONDS + HOUSE_SECONDS / 2  # a try in the last second, too

    def run(self) -> None:
        """Work until the input has ended."""
        self._report()
        while not self._intake.finished:
            # `when_full = "block"`: intake waits too. At the end there is nobody left who could be made to wait.
            feed = self._outlets.feed
            if feed is not None and feed.blocked and not self._intake.hung_up:
                time.sleep(TICK_SECONDS)
                self._keep_house(time.monotonic())
                continue
            wait = TICK_SECONDS if self._engine.holds else IDLE_SECONDS
            block = self._intake.take(wait if feed is None else feed.due(wait))
            if block:
                self._publish(self._engine.feed(block))
            self._exchange_names()
            self._publish(self._engine.tick(_now_ms()))
            if feed is not None:
                feed.commit_if_due()
            self._keep_house(time.monotonic())

    def finish(self, *, name_wait: float, drain: float) -> Ledger:
        """Publish what is held, save the state, and let the sinks go.

        Args:
            name_wait: seconds to wait for names that were asked for.
            drain: seconds for subscribers to take what waits for them.
        """
        self._await_names(name_wait)
        self._publish(self._engine.close())
        self._announce_losses()
        feed = self._outlets.feed
        if feed is not None:
            self._announce_undelivered(feed)
            feed.commit()
        self._save_state()
        if self._state_lock is not None:
            self._state_lock.release()
        self._outlets.close(time.monotonic() + drain)
        if self.names is not None:
            self.names.close()
        self._look_at_sinks(remind=True)
        ledger = self.ledger()
        self._report(ledger)
        return ledger

    def ledger(self) -> Ledger:
        """The counters as they stand."""
        return Ledger(
            engine=self._engine.stats(),
            dropped=self._intake.dropped(),
            frames=self._outlets.frames,
            notices=self._notices_made,
            sinks=self._outlets.stats(),
        )

    def _report(self, final: Ledger | None = None) -> None:
        """Say where everything stands; with the final ledger, where it ended."""
        if self._reporter is not None:
            parts = Parts(
                ledger=final or self.ledger(),
                sinks=self._outlets.sinks,
                level=None if self._outlets.feed is None else self._outlets.feed.level(),
                intake_bytes=self._intake.waiting_bytes,
                intake_limit=self._intake.limit,
                problems=[each.what for each in self.problems],
                meanwhile=self.problems[0].meanwhile if self.problems else "",
            )
            self._reporter.report(parts, last=final is not None)

    def _publish(self, batches: Iterable[Frames]) -> None:
        for frames in batches:
            self._outlets.publish(frames)

    # --- names --------------------------------------------------------------------------------------------------------

    def _exchange_names(self) -> None:
        if self.names is not None:
            for kind, key in self._engine.wants():
                self.names.ask(kind, key)
            for kind, key, name in self.names.answers():
                self._engine.tell(kind, key, name)

    def _await_names(self, seconds: float) -> None:
        """Give names that were asked for the time that every event gives them."""
        deadline = time.monotonic() + seconds
        self._exchange_names()
        while self.names is not None and self.names.outstanding and time.monotonic() < deadline:
            time.sleep(0.001)
            self._exchange_names()

    # --- the house ----------------------------------------------------------------------------------------------------

    def _keep_house(self, now: float) -> None:
        """What is due about every second: losses are announced, troubles are told, the state is saved."""
        for number in self._intake.signals():
            if number == signal.SIGHUP:
                self.on_hangup()
            else:
                self._log.info("signal; reading on until the end of the input", signal=signal.Signals(number).name)
        if now < self._house_at:
            return
        self._house_at = now + HOUSE_SECONDS
        remind = now >= self._remind_at
        feed = self._outlets.feed
        if feed is not None:
            feed.keep_house(self._log, remind=remind)
            self._announce_undelivered(feed)
        self._announce_losses()
        self._look_at_sinks(remind=remind)
        self._want_state(now)
        if now >= self._save_at:
            self._save_at = now + SAVE_SECONDS
            self._save_state()
        if now >= self._give_back_at:
            self._give_back_at = now + GIVE_BACK_SECONDS
            give_back()
        if remind:
            self._remind_at = now + REMIND_SECONDS
            for problem in self.problems:
                self._log.error(problem.meanwhile, problem=problem.what)
        self._report()

    def announce(self) -> None:
        """Say in the stream what sinks have lost so far, before the queue ends."""
        if self._outlets.feed is not None:
            self._announce_undelivered(self._outlets.feed)

    def _announce_undelivered(self, feed: Feed) -> None:
        """Say in the stream what sinks never get."""
        for action, lost in feed.announcements():
            self.tell_lost(action, lost)
        feed.announced()

    def _announce_losses(self) -> None:
        """Say in the stream what was lost between auditd and the engine."""
        span = self._intake.dropped_since()
        if span.records or span.bytes:
            self.tell_lost(
                "records-dropped",
                {
                    "reason": "intake_full",
                    "records": span.records,
                    "bytes": span.bytes,
                    "first": span.first,
                    "last": span.last,
                },
            )
        if self._engine.panics > self._panics:
            self._log.error(
                "the engine broke on its input; this is a bug, please report it",
                panics=self._engine.panics - self._panics,
                last=self._engine.last_panic,
            )
            self._panics = self._engine.panics
            lost = self._engine.stats()["records_lost_panic"] - self._lost_panic
            self._lost_panic += lost
            if lost:
                self.tell_lost("records-dropped", {"reason": "panic", "records": lost})

    def tell_lost(self, action: str, lost: Mapping[str, object]) -> None:
        """Say in the stream and in the log what was lost."""
        self._log.warning("records lost", **{what: each for what, each in lost.items() if each is not None})
        self._notices_made += 1
        self._publish([FrameList([NoticeFrame(self._notices.loss(action, lost))])])

    def _look_at_sinks(self, *, remind: bool) -> None:
        """Tell when a sink's trouble begins and ends, and each minute what was lost."""
        accounts = self._outlets.stats()
        for sink in self._outlets.sinks:
            trouble, before = sink.trouble, self._troubles.get(sink.name, "")
            if trouble and (trouble != before or remind):
                self._log.warning("sink cannot deliver", sink=sink.name, why=trouble)
            elif before and not trouble:
                self._log.info("sink delivers again", sink=sink.name)
            self._troubles[sink.name] = trouble
            stats = accounts[sink.name]  # counted on over reloads, as what was told is
            for peer, state in stats.peers.items():
                if self._peers.get((sink.name, peer)) != state:
                    self._log.info("peer", sink=sink.name, peer=peer, state=state)
                    self._peers[sink.name, peer] = state
            if remind:
                lost = {why: count for why, count in stats.lost.items() if why != "no_subscriber"}
                if sum(lost.values()) > self._lost.get(sink.name, 0):
                    self._log.warning("sink lost events", sink=sink.name, **lost)
                self._lost[sink.name] = sum(lost.values())
            for count, why in ((stats.refused, "too many"), (stats.denied, "not among those allowed")):
                self._tell_refused(sink.name, why, count, remind=remind)

    def _tell_refused(self, name: str, why: str, count: int, *, remind: bool) -> None:
        """The first subscriber that is hung up on is told within a second, more of them each minute."""
        told = self._refused.get((name, why), 0)
        if count > told and (remind or not told):
            self._log.warning("hung up on subscribers", sink=name, why=why, count=count)
            self._refused[name, why] = count

    def _want_state(self, now: float) -> None:
        """Take the state over from a process that was still ending when we began."""
        lock = self._state_lock
        if lock is None or lock.held or now >= self._overlap_until:
            return
        if lock.take():
            self._log.info("the state is ours now", file=self._state_path)

    def _save_state(self) -> None:
        if not self._state_path or (self._state_lock is not None and not self._state_lock.held):
            return
        try:
            save_state(self._state_path, self._engine.state())
            self._save_failed = False
        except OSError as error:
            if not self._save_failed:
                self._log.warning("state not saved", file=self._state_path, why=error.strerror)
            self._save_failed = True


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
