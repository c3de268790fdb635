"""`audisp-pyaudit check-config`: is the configuration right, before auditd reads it?"""

import click

from audisp_pyaudit.cli.output import say, until_closed
from audisp_pyaudit.config import CONFIG_PATH, load
from audisp_pyaudit.errors import ConfigFileError
from audisp_pyaudit.escaping import escape


@click.command("check-config")
@click.argument("file", required=False, metavar="[FILE]")
def check_config(file: str | None) -> None:
    """Say whether a configuration file is right, and everything that is wrong in it.

    FILE is the plugin's own configuration if not given; where that does not exist, the defaults are in force.
    """
    try:
        config = load(file)
    except ConfigFileError as error:
        for each in error.errors:
            say(escape(str(each)))
        raise SystemExit(1) from None
    with until_closed():
        if config.source is None:
            click.echo(f"OK: {CONFIG_PATH} does not exist, the defaults are in force")
        else:
            click.echo(f"OK: {config.source}: {len(config.sinks)} sinks, {len(config.rules)} rules")
