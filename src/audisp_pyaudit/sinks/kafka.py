"""Kafka as a sink: frames of the queue become messages, and what the broker has is acknowledged to the queue.

In: slices of the queue. Out: one message for each frame, in order. librdkafka holds little; what is not acknowledged is
in the queue. One thread does everything, and waits for the network at most 100 ms at a time.

Where a message fails for good, or the producer does, a fresh producer goes on with the first frame that was not
acknowledged (`enable.gapless.guarantee`: nothing behind it was sent). That costs no event and no order; at worst,
duplicates, which the event id in the message makes recognisable.
"""

import contextlib
import dataclasses
import gc
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, Protocol, cast

from audisp_pyaudit.delivery.cursor import Slice
from audisp_pyaudit.delivery.queue import Queue
from audisp_pyaudit.imports import import_without
from audisp_pyaudit.sink_settings import KafkaSettings
from audisp_pyaudit.sinks.base import SinkStats
from audisp_pyaudit.sinks.message import Message, Messages, Plain
from audisp_pyaudit.sinks.queued import POLL_SECONDS, Pause, QueuedSink
from audisp_pyaudit.sinks.secret import with_secrets

# What an old producer is given to tell what became of its messages.
LAST_WORDS_SECONDS = 5.0
_TOO_LARGE, _INVALID_TIMESTAMP, _AUTHENTICATION = 10, 32, -169
# What a broker will say again of the same message: too large, an invalid time stamp, an invalid record. It refuses the
# whole batch, so what was under way is sent one by one, until the message that is refused alone is known and given up.
_POISON = frozenset({_TOO_LARGE, _INVALID_TIMESTAMP, 87})
# A batch may be too large though no message in it is. Each time that may be so, batches become half as large.
_BATCH_BYTES, _SMALLEST_BATCH_BYTES = 1_000_000, 16_384

# What delivery depends on, see docs/decisions.md: nothing lost by librdkafka itself, order kept, little memory, no
# hammering on a broker that refuses a log-in.
DEFAULTS: Mapping[str, object] = {
    "enable.idempotence": True,
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,
    "linger.ms": 50,
    "compression.type": "zstd",
    "queue.buffering.max.messages": 5_000,
    "queue.buffering.max.kbytes": 4_096,
    "reconnect.backoff.ms": 1000,
    "reconnect.backoff.max.ms": 30_000,
    "socket.keepalive.enable": True,
    "partitioner": "murmur2_random",
    "allow.auto.create.topics": False,
    "statistics.interval.ms": 10_000,
    "log_level": 0,
}


class Producer(Protocol):
    """What is used of confluent_kafka.Producer, in every version from 1.7.0 on."""

    def produce(self, topic: str, value: bytes, **more: Any) -> None: ...  # noqa: ANN401, D102  # as the library has it
    def poll(self, timeout: float, /) -> int: ...  # noqa: D102
    def flush(self, timeout: float, /) -> int: ...  # noqa: D102
    def purge(self) -> None: ...  # noqa: D102


Make = Callable[[Mapping[str, object]], Producer]


def make_producer(settings: Mapping[str, object]) -> Producer:
    """The real one.

    Raises:
        confluent_kafka.KafkaException: a setting cannot be.
    """
    new = "confluent_kafka" not in sys.modules
    import_without("confluent_kafka", "asyncio")
    from confluent_kafka import Producer as Real  # noqa: PLC0415  # others do without

    if new:
        gc.freeze()  # as at the start, see `plugin`
    return cast("Producer", Real(dict(settings)))


def producer_settings(settings: KafkaSettings) -> dict[str, object]:
    """Everything that librdkafka is told; what the configuration says of it goes before our defaults.

    Raises:
        ValueError: a secret cannot be read, or others can.
    """
    said = {**dict(settings.librdkafka), **with_secrets(settings.secrets)}
    return {**DEFAULTS, "bootstrap.servers": settings.bootstrap, **said}


def refusal(settings: KafkaSettings, make: Make = make_producer) -> str:
    """Why librdkafka will not have what the configuration says; empty if it will. Asks nobody on the network."""
    try:
        told = producer_settings(settings)
        del told["bootstrap.servers"]
        make(told)
    except Exception as error:  # noqa: BLE001  # KafkaException, which is not imported here
        return str(error)
    return ""


class Sent(NamedTuple):
    """What is to be known of a message when its report comes.

    `message`: it, if it was sent alone: only then is it known to be what a broker refuses. `cut`: it has less than the
    event.
    """

    message: Message | None
    cut: bool


class KafkaSink(QueuedSink):
    """Delivers the queue to a topic.

    Args:
        name: the sink's name.
        settings: what the configuration says.
        queue: where frames come from.
        make: makes a producer.
        drains: whether it has to deliver what waits before it ends, since nobody else will.
    """

    type = "kafka"

    def __init__(
        self, name: str, settings: KafkaSettings, queue: Queue, make: Make = make_producer, *, drains: bool = False
    ) -> None:
        super().__init__(name, queue, drains=drains)
        self.rebuilt = 0
        self._settings = settings
        self._make = make
        self._producer: Producer | None = None
        self._pause = Pause()
        self._failed: object = None
        self._in_flight = 0
        self._careful = 0  # messages to send one by one
        self._refused: int | None = None  # why a batch was refused of which nobody knows whose fault it is
        self._unacknowledged = 0  # of what this producer was given
        self._batch_bytes = _BATCH_BYTES
        self._acknowledged: list[tuple[Slice, int]] = []
        # A message is None where it is made when its turn comes.
        self._waiting: deque[tuple[Slice, int, Plain | None]] = deque()
        self._topic = settings.topic
        self._messages = Messages(settings)
        self._brokers: dict[str, str] = {}

    def stats(self) -> SinkStats:
        """The ledger of its place in the queue, and the states of the brokers."""
        return dataclasses.replace(super().stats(), peers=dict(self._brokers))

    def step(self) -> None:
        """Give librdkafka what waits, and hear what became of it."""
        producer = self._producer
        if producer is None:
            producer = self._fresh()
        if producer is None:
            self.stop.wait(POLL_SECONDS)
            return
        self._fill(producer)
        self._call(producer.poll, 0.0)
        self._tell_queue()
        if self._failed is not None:
            self.recover(self._failed)

    def _fresh(self) -> Producer | None:
        """A producer, if it is time for one."""
        if not self._pause.over:
            return None
        self._failed = None
        self._in_flight = self._unacknowledged = 0
        self._pause.begun()
        self._producer = self._make(
            {**self._producer_settings(), "error_cb": self._noticed, "stats_cb": self._told_statistics}
        )
        self.queue.rewind(self.name)
        return self._producer

    def _producer_settings(self) -> dict[str, object]:
        settings = producer_settings(self._settings)
        if self._batch_bytes < _BATCH_BYTES:
            settings["batch.size"] = self._batch_bytes
        return settings

    def _fill(self, producer: Producer) -> None:
        """Give the producer what waits, until it has enough."""
        if not self._waiting:
            # Waiting here, not in `poll`: what is new is sent at once, and reports are heard soon enough.
            part = self.queue.take(self.name, POLL_SECONDS)
            if part is None:
                return
            outstanding = part.outstanding()
            self._waiting.extend(zip(repeat(part), outstanding, self._plain(part, outstanding)))
        while self._waiting and self._failed is None:
            if self._careful and self._in_flight:
                self._call(producer.flush, POLL_SECONDS)  # does not wait for `linger.ms`
                return
            part, which, message = self._waiting[0]
            sent = message is not None and not self._careful and self._send_plain(producer, part, which, message)
            if not sent and not self._send(producer, part, which):
                return
            self._waiting.popleft()

    def _plain(self, part: Slice, outstanding: list[int]) -> Iterable[Plain | None]:
        """Messages of a slice, as far as they can be made all at once."""
        try:
            return self._messages.plain(part.frames, [part.wanted[which] for which in outstanding])
        except Exception:  # noqa: BLE001  # a bug: one by one it costs the event that has it, and is told
            return repeat(None, len(outstanding))

    def _send_plain(self, producer: Producer, part: Slice, which: int, message: Plain) -> bool:
        """Give the producer a message with nothing special about it; False if `_send` is to see why not."""
        value, key, headers = message
        try:
            producer.produce(
                self._topic, value, key=key, headers=headers, on_delivery=partial(self._reported, part, which, None)
            )
        except Exception:  # noqa: BLE001  # what it is, `_send` finds out
            return False
        self._in_flight += 1
        self._unacknowledged += 1
        return True

    def _send(self, producer: Producer, part: Slice, which: int) -> bool:
        """Give the producer a message; False if it is to be tried again."""
        message = self._message(part, which)
        if message is None:
            return True
        alone = self._careful > 1  # behind the last one, others follow at once
        try:
            producer.produce(
                message.topic,
                message.value,
                key=message.key,
                headers=message.headers,
                timestamp=message.timestamp,
                on_delivery=partial(self._reported, part, which, Sent(message if alone else None, message.cut)),
            )
        except BufferError:
            self._call(producer.poll, POLL_SECONDS)
            return False
        except Exception as error:  # noqa: BLE001  # KafkaException, which is not imported here
            code = _code(error)
            if code == _TOO_LARGE and self._messages.too_large(message):
                return self._send(producer, part, which)
            if code not in _POISON:
                self._failed = error
                return False
            self.queue.give_up(self.name, part, which, "refused")
            return True
        self._in_flight += 1
        self._unacknowledged += 1
        self._careful = max(0, self._careful - 1)
        return True

    def _message(self, part: Slice, which: int) -> Message | None:
        """The message of a frame; one that there cannot be is given up."""
        why = "too_large"
        try:
            message = self._messages.of(part.frames[part.wanted[which]])
        except Exception as error:  # noqa: BLE001  # a bug here must not hold up what comes behind
            self.trouble = f"an event cannot be sent; this is a bug, please report it: {error!r}"
            message, why = None, "unsendable"
        if message is None:
            self.queue.give_up(self.name, part, which, why)
        return message

    def _reported(self, part: Slice, which: int, sent: Sent | None, error: object, _message: object) -> None:
        """Told by librdkafka what became of a message; on this sink's thread, from within poll and flush."""
        self._in_flight -= 1
        if error is None:
            self._acknowledged.append((part, which))
            self._unacknowledged -= 1
            self.cut += sent is not None and sent.cut
            if self.trouble:
                self.trouble = ""
            return
        code = _code(error)
        if code in _POISON:
            self._pause = Pause()  # the broker is well, and answers at once
            if sent is None or sent.message is None:
                self._refused = code
            else:  # this one it is
                self._careful = 0
                if not self._can_be_mended(code, sent.message):
                    self.queue.give_up(self.name, part, which, "refused")
        self._failed = self._failed or error

    def _be_careful(self) -> None:
        """Have what was under way sent again one by one, if one of it was refused and nobody knows which."""
        if self._refused is None:
            return
        self._careful = self._unacknowledged + 1  # the last of them is not alone
        if self._refused == _TOO_LARGE:
            self._batch_bytes = max(_SMALLEST_BATCH_BYTES, self._batch_bytes // 2)
        self._refused = None

    def _can_be_mended(self, code: int | None, message: Message) -> bool:
        """Whether a message that was refused alone can be sent in another way."""
        if code == _TOO_LARGE:
            return self._messages.too_large(message)
        if code == _INVALID_TIMESTAMP:
            return self._messages.untimely(message)
        return False

    def _noticed(self, error: object) -> None:
        """Troubles of librdkafka itself: a broker that is away, a log-in that is refused."""
        self.trouble = _said(error)
        if _code(error) == _AUTHENTICATION and self._settings.secrets:
            self._failed = error  # a fresh producer, after a pause, reads the password anew

    def _told_statistics(self, text: str) -> None:
        """Of all that librdkafka tells, which broker is in which state; those it only knows of by hearsay not."""
        with contextlib.suppress(ValueError, AttributeError):
            brokers = json.loads(text).get("brokers", {}).values()
            self._brokers = {str(each["nodename"]): str(each["state"]) for each in brokers if each.get("nodename")}

    def _call(self, what: Callable[[float], int], seconds: float) -> None:
        """Call what raises when the producer is broken for good."""
        try:
            what(seconds)
        except:  # noqa: E722  # KafkaException, SystemError, or, by a bug of the binding, a KafkaError: no exception
            self._failed = self._failed or sys.exc_info()[1]

    def _tell_queue(self) -> None:
        if self._acknowledged:
            done, self._acknowledged = self._acknowledged, []
            self.queue.acknowledge(self.name, done)

    def recover(self, why: object) -> None:
        """Go on with another producer, after a pause, from what was not acknowledged."""
        self._drop_producer(LAST_WORDS_SECONDS)
        self._be_careful()
        self.trouble = f"{self._settings.bootstrap}: {_said(why)}"
        self.rebuilt += 1
        self._pause.failed()

    def let_go(self) -> None:
        """Drop the producer."""
        self._drop_producer(0.0)

    def _drop_producer(self, seconds: float) -> None:
        """Hear what became of the last messages, and drop the producer; it has no close() that cannot hang."""
        producer, self._producer = self._producer, None
        self._waiting.clear()
        if producer is None:
            return
        with contextlib.suppress(Exception):
            producer.purge()
        self._call(producer.flush, seconds)
        with contextlib.suppress(Exception):
            producer.poll(0.0)
        self._tell_queue()


def _said(error: object) -> str:
    """A KafkaError, also within a KafkaException, in its own words; anything else as it is."""
    arguments = getattr(error, "args", ())
    inner = arguments[0] if arguments and not hasattr(error, "code") else error
    words, name = getattr(inner, "str", None), getattr(inner, "name", None)
    return f"{words()} ({name()})" if callable(words) and callable(name) else str(error)


def _code(error: object) -> int | None:
    """The number of a KafkaError, also within a KafkaException."""
    arguments = getattr(error, "args", ())
    inner = arguments[0] if arguments and not hasattr(error, "code") else error
    code = getattr(inner, "code", None)
    return int(code()) if callable(code) else None
