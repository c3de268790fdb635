"""The plugin: the main path from auditd's bytes to documents. Read it top to bottom.

Two threads matter. The main one is intake: it reads, and does nothing else. The other builds everything from the
configuration, then turns bytes into documents until the input ends. Third-party code is imported by the second one,
when the first is reading already. Only the end of the input, or the death of one of the two, ends the process.
"""

import gc
import os
import threading
import time

from audisp_pyaudit.intake import Intake
from audisp_pyaudit.signals import WakeUp
from audisp_pyaudit.stderr import standard_error

# Exit codes: what auditd gave us has ended; used in a way that makes no sense; a bug.
EXIT_END_OF_INPUT = 0
EXIT_USAGE = 2
EXIT_BUG = 70

# The allocator gives memory back to the kernel, which has to clear it anew, when more is free than twice the largest
# block that it ever mapped by itself. What a block of records becomes is a megabyte, freed and wanted again each time:
# without this, 200 MiB of records cost 110,000 page faults, a third of all processor time; with it 12,000.
_KEPT_BYTES = 2 << 20
# What is said when the process ends anyway may wait this long for a reader.
_PATIENCE_SECONDS = 1.0

_FOR_PEOPLE = """\
audisp-pyaudit without a command is a plugin that auditd starts: it reads audit records from standard input.
To read audit logs yourself:   audisp-pyaudit decode /var/log/audit/audit.log
To watch a running plugin:     audisp-pyaudit tail /run/audisp-pyaudit/events.sock
All commands:                  audisp-pyaudit --help
"""


class Arguments:
    """What the plugin was started with; `problems` are arguments that nobody understands."""

    # No dataclass: they take as long to load as intake and all that it needs.
    def __init__(
        self, config: str | None = None, *, print_ledger: bool = False, problems: list[str] | None = None
    ) -> None:
        self.config = config
        self.print_ledger = print_ledger
        self.problems = [] if problems is None else problems

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arguments) and vars(self) == vars(other)


def run(arguments: Arguments) -> int:
    """Be the plugin, until the end of the input.

    Returns:
        The exit code.
    """
    if not _has_input():
        standard_error().say(_FOR_PEOPLE, _PATIENCE_SECONDS)
        return EXIT_USAGE
    _fill_standard_descriptors()
    bytes(_KEPT_BYTES)  # mapped and freed, never touched
    wake = WakeUp()
    wake.install()
    intake = Intake(0, wake)
    outcome: list[int] = []
    worker = threading.Thread(target=_work, args=(arguments, intake, outcome), name="pipeline")
    worker.start()
    intake.run()
    worker.join()
    return outcome[0] if outcome else EXIT_BUG


def _has_input() -> bool:
    """Whether standard input is there and is no terminal."""
    try:
        os.fstat(0)
    except OSError:
        return False
    return not os.isatty(0)


def _fill_standard_descriptors() -> None:
    """If we were started without standard output or error, nothing else of ours may get their numbers."""
    for fd in (1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is `fd`


def _work(arguments: Arguments, intake: Intake, outcome: list[int]) -> None:
    """The second thread: a bug here ends the process, auditd starts a new one."""
    try:
        _process(arguments, intake)
        outcome.append(EXIT_END_OF_INPUT)
    except BaseException:  # noqa: BLE001  # threading would print it and might wait for a reader for ever
        intake.stop()
        import traceback  # noqa: PLC0415  # takes its time to load, and is hardly ever needed

        _say(traceback.format_exc())


def _say(text: str) -> None:
    """Last words."""
    from audisp_pyaudit.system_log import SystemLog, nobody_reads  # noqa: PLC0415  # intake is reading by now

    if nobody_reads():
        SystemLog().say(text, "error")
    else:
        standard_error().say(text, _PATIENCE_SECONDS)


def _process(arguments: Arguments, intake: Intake) -> None:
    from audisp_pyaudit.imports import import_without  # noqa: PLC0415  # intake is reading by now

    import_without("structlog", "asyncio")
    from audisp_pyaudit.assembly import build  # noqa: PLC0415  # as above

    pipeline, running, log = build(arguments, intake, start_ms=time.time_ns() // 1_000_000)
    # What is there now stays to the end. To look through it for garbage again and again, since every message to a sink
    # is an object for a moment, costs 1 µs an event.
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    pipeline.run()
    timing = running.config.timing  # of the configuration that runs now
    ledger = pipeline.finish(name_wait=timing.name_wait_ms / 1000, drain=timing.drain_ms / 1000)
    if arguments.print_ledger:
        _say("".join(f"{line}\n" for line in ledger.lines()))
    else:
        log.info("end of the input", ledger="; ".join(ledger.lines()))
