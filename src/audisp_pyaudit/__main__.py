"""The command `audisp-pyaudit`.

Started as a plugin, it goes straight to reading; everything else goes through the command line in `cli`, which takes
its time to load.
"""

import os
import stat
import sys

from audisp_pyaudit.plugin import Arguments, run

# By which click's completions ask.
_COMPLETE = "_AUDISP_PYAUDIT_COMPLETE"


def plugin_arguments(words: list[str]) -> Arguments | None:
    """The plugin's arguments; None if these are not the plugin's but a command's."""
    arguments = Arguments()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if option == "--config" and (equals or rest):
            arguments.config = value if equals else rest.pop(0)
        elif word == "--print-ledger":
            arguments.print_ledger = True
        else:
            arguments.problems.append(f"argument not understood: {word}")
    if arguments.problems and not (_is_option(words[0]) and _started_by_auditd()):
        return None
    return arguments


def _is_option(word: str) -> bool:
    """Whether it is an option that might be meant for the plugin; a command, or a call for help, is not."""
    return word.startswith("-") and word not in ("-h", "--help", "--version")


def _started_by_auditd() -> bool:
    """Whether standard input is a Unix socket and there is nobody to read a usage message.

    auditd tries ten times in its life to start a plugin: a slip in its `args` must not use them up.
    """
    try:
        return stat.S_ISSOCK(os.fstat(0).st_mode) and not os.isatty(2)
    except OSError:
        return False


def main() -> None:
    """Run the command and exit."""
    # A shell asks how a line could go on; auditd sets nothing in the environment.
    completing = _COMPLETE in os.environ
    arguments = None if completing else plugin_arguments(sys.argv[1:])
    if arguments is None:
        from audisp_pyaudit.cli import cli  # noqa: PLC0415  # slow to load, and the plugin does without
        from audisp_pyaudit.cli.output import until_closed  # noqa: PLC0415  # as above

        with until_closed():  # `--help` may go to a full disk, too
            cli(prog_name="audisp-pyaudit")
    else:
        code = run(arguments)
        # All is said and written. What Python does at its end takes longer than auditd may give us, and the threads of
        # librdkafka and of name services would be waited for.
        os._exit(code)


if __name__ == "__main__":
    main()
