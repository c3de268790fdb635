"""`audisp-pyaudit status`: how the running plugin is, or how it was when it was last heard of."""

import json
import time

import click

from audisp_pyaudit.cli.output import say, until_closed
from audisp_pyaudit.cli.status_text import lines, troubles
from audisp_pyaudit.config_file import CONFIG_PATH, load
from audisp_pyaudit.errors import ConfigFileError, StatusError
from audisp_pyaudit.escaping import escape
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.status_file import condition, read

WELL, TROUBLE, NOT_RUNNING = 0, 1, 3


@click.command()
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print the status as it is, for programs, with `condition`.")
def status(file: str | None, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Say how the plugin is: what came in, where it went, what is wrong and what to do about it.

    FILE is the status file; without it, the one that the plugin's configuration names.

    Exit codes: 0 all is well; 1 it runs, with troubles, or has lost something in the last hour; 2 used in a way that
    makes no sense; 3 it does not run, or there is no status.
    """
    path = file or _configured()
    try:
        found = read(path)
        now = time.time()
        state = condition(found, now)
        told = list(lines(found, state, now))
        wrong = troubles(found, state, now)
    except StatusError as error:
        say(escape(f"audisp-pyaudit status: {error}"))
        say("Does the plugin run? auditd's own log says when it starts one.")
        raise SystemExit(NOT_RUNNING) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        say(
            escape(
                f"audisp-pyaudit status: {path}: expected a status of audisp-pyaudit, found something else: {error!r}"
            )
        )
        raise SystemExit(NOT_RUNNING) from None
    with until_closed():
        if as_json:
            click.echo(json.dumps({"condition": state, "troubles": wrong, **found}))
        else:
            for line in told:
                click.echo(escape(line))
    if state in {"gone", "ended"}:
        raise SystemExit(NOT_RUNNING)
    raise SystemExit(TROUBLE if wrong else WELL)


def _configured() -> str:
    """Where the plugin's configuration says that the status is; the usual place, if we may not read that."""
    try:
        path = load().metrics.status
    except ConfigFileError:  # then the plugin runs with the defaults, or we are not root
        return Metrics().status
    if not path:
        say(f'audisp-pyaudit status: {CONFIG_PATH}: [metrics] status = "": the plugin writes no status')
        raise SystemExit(NOT_RUNNING)
    return path
