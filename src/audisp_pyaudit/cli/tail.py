"""`audisp-pyaudit tail`: watch events as they come, from a running plugin's socket or from Kafka.

Reading is `audisp_pyaudit.consumer`'s; here are the options, and what is said of troubles.
"""

import dataclasses
import socket
from pathlib import Path

import click

from audisp_pyaudit import consumer
from audisp_pyaudit.cli.output import Output, chosen, format_option, say, until_closed
from audisp_pyaudit.consumer.address import BEGINNING, END, FileAddress, KafkaAddress, parse
from audisp_pyaudit.errors import ConsumerError


@click.command()
@click.argument("url", metavar="URL")
@format_option
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N events.")
@click.option("--from-beginning", is_flag=True, help="Of a topic: also what is there already.")
@click.option("--set", "words", multiple=True, metavar="NAME=VALUE", help="A setting of librdkafka; for no password.")
@click.option("--settings", "file", metavar="FILE", help="Settings of librdkafka, NAME=VALUE a line; for passwords.")
def tail(  # noqa: PLR0913, PLR0917  # an option each
    url: str,
    form: str | None,
    count: int | None,
    from_beginning: bool,  # noqa: FBT001  # click's way
    words: tuple[str, ...],
    file: str | None,
) -> None:
    """Print events as they come.

    URL is the path of a sink of type unix, /run/audisp-pyaudit/events.sock unless configured otherwise, the same as
    unix:///path, or kafka://host[:port][,host2...]/topic, of which the events from now on are shown.

    What stands on a command line is visible to everybody on the host: give passwords in a file that only you can read.
    """
    output = Output(chosen(form), socket.gethostname())
    with until_closed():
        try:
            _show(output, _address(url, from_beginning=from_beginning), _settings(words, file), count)
        except ConsumerError as error:
            raise click.ClickException(str(error)) from None


def _show(output: Output, address: consumer.Address, settings: dict[str, object], count: int | None) -> None:
    waits = isinstance(address, KafkaAddress)
    with consumer.open(address, settings=settings, reconnect=waits, on_error=_say) as events:
        for document in events:
            output.document(document)
            output.flush()
            if events.counts.events == count:
                events.commit()  # with a group in the URL: it was shown
                break
        if events.ended and not isinstance(address, FileAddress) and not events.counts.errors:
            _say(f"{address.where}: the plugin has ended")
        if events.counts.errors:
            raise SystemExit(1)


def _say(what: object) -> None:
    say(f"audisp-pyaudit tail: {what}")


def _address(url: str, *, from_beginning: bool) -> consumer.Address:
    address = parse(url)
    if not isinstance(address, KafkaAddress):
        if from_beginning:
            raise click.UsageError("--from-beginning is for kafka://: a socket has no beginning, a file no other one")
        return address
    return dataclasses.replace(address, start=BEGINNING if from_beginning else address.start or END)


def _settings(words: tuple[str, ...], file: str | None) -> dict[str, object]:
    """Settings of the file, then those of the command line, which go before them."""
    found = dict[str, object]()
    if file is not None:
        for number, line in enumerate(_lines(file), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                name, value = _setting(line, f"{file}:{number}")
                found[name] = value
    return found | dict(_setting(word, "--set") for word in words)


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from None


def _setting(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        # Not shown: it may hold a password.
        raise click.ClickException(f"{where}: expected NAME=VALUE, such as security.protocol=SASL_SSL")
    return name.strip(), value.strip()
