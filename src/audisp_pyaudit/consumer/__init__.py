"""For programs that read events: from Kafka, from the plugin's Unix socket, or from a file.

In: a URL. Out: documents as dicts, each once, in the order in which they were published. `docs/consuming.md` has an
example for each source and what a consumer has to do.

    from audisp_pyaudit import consumer

    with consumer.open("kafka://broker-1.example/audit?group=siem") as events:
        for document in events:
            print(document["event"]["id"])
"""

from collections.abc import Callable, Mapping

from audisp_pyaudit.consumer.address import Address, KafkaAddress, UnixAddress, parse
from audisp_pyaudit.consumer.base import SEEN_IDS, Consumer, Counts, Source
from audisp_pyaudit.consumer.documents import Document, is_loss
from audisp_pyaudit.consumer.file import FileSource
from audisp_pyaudit.consumer.kafka import KafkaSource
from audisp_pyaudit.consumer.unix import UnixSource
from audisp_pyaudit.errors import ConsumerError

__all__ = ["Address", "Consumer", "ConsumerError", "Counts", "Document", "is_loss", "open"]

# How long brokers have to answer before it is an error that they are away.
ANSWER_SECONDS = 10.0


def open(  # noqa: A001, PLR0913  # read as `consumer.open`; what a user may want to choose
    url: str | Address,
    *,
    settings: Mapping[str, object] | None = None,
    auto_commit: bool = True,
    deduplicate: int = SEEN_IDS,
    reconnect: bool = False,
    on_error: Callable[[ConsumerError], None] | None = None,
    timeout: float = ANSWER_SECONDS,
) -> Consumer:
    """Begin to read events. Use the result in a `with` statement, or call its `close()`.

    Args:
        url: `kafka://host[:port][,host2…]/topic[?group=NAME&from=beginning|end]`, `unix:///path`, `subscriber:///path`
            (a socket whose plugin wants acknowledgements), `file:///path`, or a path, which may lead to a socket or a
            file. The port is 9092 if nothing is said, IPv6 stands in brackets. `from` is `beginning` if nothing is
            said; with a group it counts where the group has no offset yet.
        settings: what else librdkafka is told, by its own names: TLS, SASL. For Kafka only.
        auto_commit: with a group, an event is finished when the next one is asked for. False: only `commit()` finishes
            events, all that were handed out so far. Without a group nothing is committed.
        deduplicate: how many ids of each host are remembered, to drop events that come twice; 0 for none.
        reconnect: wait for what is away, brokers or the plugin behind a socket, at the start and later. Without it,
            brokers that do not answer at the start are an error, and so is a socket where nobody listens; the end of a
            socket ends the iteration. Once it has begun, Kafka is connected to again in any case.
        on_error: told of everything that does not end the iteration: a message that is no document and was skipped,
            brokers that are away, offsets that are not there any more. What it raises ends the iteration. All of it is
            counted in `counts`, too.
        timeout: seconds that brokers have to answer at the start.

    Raises:
        ConsumerError: the URL or a setting is wrong, or what it names is not there.
    """
    address = parse(url) if isinstance(url, str) else url
    if deduplicate < 0:
        raise ConsumerError("deduplicate", f"expected a number of ids, 0 or more, found {deduplicate}")
    source = _source(address, settings or {}, auto_commit=auto_commit, reconnect=reconnect, timeout=timeout)
    return Consumer(source, auto_commit=auto_commit, deduplicate=deduplicate, on_error=on_error)


def _source(
    address: Address, settings: Mapping[str, object], *, auto_commit: bool, reconnect: bool, timeout: float
) -> Source:
    if isinstance(address, KafkaAddress):
        return KafkaSource(address, settings, auto_commit=auto_commit, reconnect=reconnect, timeout=timeout)
    if settings:
        raise ConsumerError(address.where, "settings are librdkafka's; expected a URL that begins with kafka://")
    if isinstance(address, UnixAddress):
        return UnixSource(address, reconnect=reconnect)
    return FileSource(address)
