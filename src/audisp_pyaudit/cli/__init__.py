"""The command line: one command a file. Each says what is wrong in a sentence and exits with a documented code.

Exit codes: 0 done, 1 something could not be read or is wrong, 2 used in a way that makes no sense. `status` also has 3.
"""

import click

from audisp_pyaudit import __version__
from audisp_pyaudit.cli.check import check_config
from audisp_pyaudit.cli.decode import decode as decode_command
from audisp_pyaudit.cli.status import status as status_command
from audisp_pyaudit.cli.tail import tail as tail_command
from audisp_pyaudit.plugin import Arguments, run


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", metavar="FILE", help="Configuration file; /etc/audisp-pyaudit/audisp-pyaudit.toml if there.")
@click.option("--print-ledger", is_flag=True, help="Say at the end what came in and where it went, on standard error.")
@click.version_option(__version__, prog_name="audisp-pyaudit")
@click.pass_context
def cli(context: click.Context, config: str | None, print_ledger: bool) -> None:  # noqa: FBT001  # click's way
    """Publish one decoded document per Linux audit event.

    Without a command this is the plugin that auditd starts: it reads audit records from standard input to its end.
    """
    if context.invoked_subcommand is None:
        context.exit(run(Arguments(config, print_ledger=print_ledger)))
    if config is not None or print_ledger:
        raise click.UsageError("--config and --print-ledger are for the plugin, that is, without a command")


cli.add_command(decode_command)
cli.add_command(check_config)
cli.add_command(tail_command)
cli.add_command(status_command)
