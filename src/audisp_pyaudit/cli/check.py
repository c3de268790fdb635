"""`audisp-pyaudit check-config`: is the configuration right, before auditd reads it?"""

import itertools

import click

from audisp_pyaudit.cli.output import say, until_closed
from audisp_pyaudit.config_file import CONFIG_PATH, load
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.escaping import escape
from audisp_pyaudit.examine import connections, local


@click.command("check-config")
@click.argument("file", required=False, metavar="[FILE]")
@click.option(
    "--connect", is_flag=True, help="Also ask brokers and peers whether they answer, and topics whether they are there."
)
def check_config(file: str | None, connect: bool) -> None:  # noqa: FBT001  # click's way
    """Say whether a configuration file is right, and everything that is wrong in it.

    FILE is the plugin's own configuration if not given; where that does not exist, the defaults are in force. What it
    names on this host is examined, too: users and groups, folders and files, and what librdkafka makes of its settings;
    as root, with the rights of the plugin's user. Exit code: 0 if all is well, 1 if not.
    """
    try:
        config = load(file)
    except ConfigFileError as error:
        for each in error.errors:
            say(escape(str(each)))
        raise SystemExit(1) from None
    where = config.source or CONFIG_PATH
    wrong = False
    for finding in itertools.chain(local(config), connections(config) if connect else ()):
        wrong |= not finding.note
        key = f"{finding.key}: " if finding.key else ""
        say(escape(f"{where}: {'note: ' if finding.note else ''}{key}{finding.message}"))
    if wrong:
        raise SystemExit(1)
    with until_closed():
        if config.source is None:
            click.echo(f"OK: {CONFIG_PATH} does not exist, the defaults are in force")
        else:
            click.echo(f"OK: {config.source}: {len(config.sinks)} sinks, {len(config.rules)} rules")
