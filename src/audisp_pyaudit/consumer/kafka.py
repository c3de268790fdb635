"""Events from a topic of Kafka.

In: messages. Out: their documents, in the order of each partition. With a group the brokers share the partitions out
and remember what was finished with; an offset is stored only when the caller is done with the event. Without one all
partitions are read, and nothing is remembered.

librdkafka connects again by itself. What it says meanwhile becomes problems, each kind at most once a minute.
"""

import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from audisp_pyaudit.consumer import librdkafka
from audisp_pyaudit.consumer.address import END, KafkaAddress
from audisp_pyaudit.consumer.base import Problem
from audisp_pyaudit.consumer.documents import Document, decode
from audisp_pyaudit.consumer.librdkafka import Client, Code, Make, make_client, partition, reason
from audisp_pyaudit.errors import ConsumerError

# The same trouble is told once in so many seconds.
REMIND_SECONDS = 60.0
# How often it is looked, without a group, whether the topic has more partitions; with one librdkafka does.
PARTITIONS_SECONDS = 60.0
# How long is waited for an answer at a time while events are waited for: ^C is heard in between.
_TRY_SECONDS = 1.0
_COMMITTED_SECONDS = 5.0
# The end of a partition is news to nobody, and of single connections only that they all are gone.
_NO_TROUBLE = frozenset({Code.PARTITION_EOF, Code.TRANSPORT, Code.RESOLVE})
_REFUSED = frozenset({Code.TOPIC_REFUSED, Code.GROUP_REFUSED})


class KafkaSource:
    """A topic.

    Args:
        address: which, and for which group.
        settings: what else librdkafka is told.
        auto_commit: whether librdkafka commits what is finished, every five seconds.
        reconnect: whether to wait for brokers that do not answer at the start.
        timeout: seconds they have else.
        make: makes librdkafka's consumer.

    Raises:
        ConsumerError: a setting cannot be, no broker answers, or there is no such topic.
    """

    def __init__(  # noqa: PLR0913  # as consumer.open
        self,
        address: KafkaAddress,
        settings: Mapping[str, object],
        *,
        auto_commit: bool = True,
        reconnect: bool = False,
        timeout: float = 10.0,
        make: Make = make_client,
    ) -> None:
        self.where = address.where
        self._address = address
        self._reads = False
        self._problems: deque[Problem] = deque()
        self._told: dict[int, float] = {}
        self._last_word = ""  # of a connection that failed
        self._fatal = ""
        self._held: Any = None  # a message that was polled, and waits behind a problem
        self._expected: dict[int, int] = {}  # by partition, the offset that comes next
        self._received: dict[int, int] = {}  # by partition, what is finished when the caller is; one more than the last
        self._look_at = 0.0
        wanted = librdkafka.client_settings(address, settings, auto_commit=auto_commit)
        try:
            self._client: Client = make({**wanted, "error_cb": self._noticed})
        except ImportError:
            raise ConsumerError(self.where, "reading from Kafka needs the package confluent-kafka") from None
        except Exception as error:  # noqa: BLE001  # KafkaException, and ValueError and TypeError for odd values
            raise ConsumerError(self.where, f"a setting cannot be: {reason(error)}") from None
        if not reconnect:
            try:
                if not self._begin(timeout):
                    text = f"no broker answers within {timeout:g} s{self._because()}"
                    raise ConsumerError(self.where, text)  # noqa: TRY301  # closes what was made
            except ConsumerError:
                self.close()
                raise

    def receive(self, seconds: float) -> Document | Problem | None:
        """The next document."""
        if not self._problems and self._held is None:
            self._held = self._polled(seconds)
        if self._problems:
            return self._problems.popleft()
        if self._fatal:
            raise ConsumerError(self.where, self._fatal)
        message, self._held = self._held, None
        if message is None:
            return None
        self._received[message.partition()] = message.offset() + 1
        return self._document(message)

    def finish(self) -> None:
        """Store the offsets; librdkafka commits them later."""
        received, self._received = self._received, {}
        if not self._address.group:
            return
        for number, offset in received.items():
            # A partition that was taken from us meanwhile: its events come again to whoever has it now.
            with contextlib.suppress(Exception):
                self._client.store_offsets(offsets=[partition(self._address.topic, number, offset)])

    def commit(self) -> None:
        """Commit what is stored, and wait for it."""
        if not self._address.group:
            return
        try:
            self._client.commit(asynchronous=False)
        except Exception as error:  # noqa: BLE001  # KafkaException, which is not imported here
            if librdkafka.code(error) == Code.NO_OFFSET:  # nothing new
                return
            text = f"offsets could not be committed, their events may come again: {reason(error)}"
            raise ConsumerError(self.where, text) from None

    def close(self) -> None:
        """Commit what is stored if that is automatic, and leave the group."""
        with contextlib.suppress(Exception):  # closed already, or brokers that are away: those events come again
            self._client.close()

    # --- the beginning ------------------------------------------------------------------------------------------------

    def _begin(self, seconds: float) -> bool:
        """Start to read; False if no broker answers.

        Raises:
            ConsumerError: there is no such topic, or we may not read it.
        """
        deadline = time.monotonic() + seconds
        numbers: Sequence[int] | None = None
        while not numbers:
            left = deadline - time.monotonic()
            numbers = self._partitions(left) if left > 0 else None
            if numbers is None:
                return False
            if not numbers:
                self._last_word = "the topic is only being made"
                time.sleep(0.1)
        topic = self._address.topic
        if self._address.group:
            self._client.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)
        else:
            starts = {number: self._start(number, deadline) for number in numbers}
            if None in starts.values():
                return False
            self._expected = {number: offset for number, offset in starts.items() if offset is not None}
            self._assign()
        self._look_at = time.monotonic() + PARTITIONS_SECONDS
        self._reads = True
        return True

    def _partitions(self, seconds: float) -> Sequence[int] | None:
        """The topic's partitions, none if it is only being made; None if no broker answers."""
        try:
            found = self._client.list_topics(self._address.topic, timeout=seconds).topics.get(self._address.topic)
        except Exception as error:  # noqa: BLE001  # KafkaException: no broker answers
            self._last_word = self._last_word or reason(error)
            if not self._reads:
                with contextlib.suppress(Exception):
                    self._client.poll(0)  # lets librdkafka say more
            return None
        if found is None or librdkafka.code(found.error) == Code.UNKNOWN_TOPIC:
            raise ConsumerError(self.where, f'there is no topic "{self._address.topic}"; expected one that exists')
        if found.error is not None and librdkafka.code(found.error) != Code.NO_LEADER:
            raise ConsumerError(self.where, reason(found.error))
        return sorted(found.partitions)

    def _start(self, number: int, deadline: float) -> int | None:
        """The offset that reading begins with; None if no broker answers."""
        if self._address.start != END:
            return librdkafka.OFFSET_BEGINNING
        try:
            asked = partition(self._address.topic, number)
            marks = self._client.get_watermark_offsets(asked, timeout=max(_TRY_SECONDS, deadline - time.monotonic()))
        except Exception as error:  # noqa: BLE001  # KafkaException: no broker answers
            self._last_word = reason(error)
            return None
        return None if marks is None else int(marks[1])

    def _assign(self) -> None:
        topic = self._address.topic
        self._client.assign([partition(topic, number, offset) for number, offset in self._expected.items()])

    def _look_for_partitions(self) -> None:
        """Without a group: read partitions, too, that the topic was given since; all that is in them is new."""
        self._look_at = time.monotonic() + PARTITIONS_SECONDS
        with contextlib.suppress(ConsumerError):
            more = set(self._partitions(_TRY_SECONDS) or ()) - self._expected.keys()
            if more:
                self._expected |= dict.fromkeys(sorted(more), librdkafka.OFFSET_BEGINNING)
                self._assign()

    # --- messages -----------------------------------------------------------------------------------------------------

    def _polled(self, seconds: float) -> Any:  # noqa: ANN401  # confluent_kafka.Message
        """The next message; None if there is none, or a problem instead."""
        if not self._reads and not self._begin(_TRY_SECONDS):
            self._trouble(Code.ALL_BROKERS_DOWN, f"no broker answers; waiting{self._because()}")
            return None
        if not self._address.group and time.monotonic() >= self._look_at:
            self._look_for_partitions()
        try:
            message = self._client.poll(seconds)
        except Exception as error:  # noqa: BLE001  # KafkaException, and RuntimeError once it is closed
            raise ConsumerError(self.where, reason(error)) from None
        if message is None:
            return None
        if message.error() is not None:
            self._noticed(message.error())
            return None
        number, offset = message.partition(), message.offset()
        expected = self._expected.get(number, -1)
        if 0 <= expected < offset:
            text = f"offsets {expected} to {offset - 1} are not there any more: removed before they were read?"
            gone = ConsumerError(f"{self.where}, partition {number}", text)
            self._problems.append(Problem(gone, "skipped", offset - expected))
        self._expected[number] = offset + 1
        return message

    def _document(self, message: Any) -> Document | Problem:  # noqa: ANN401  # confluent_kafka.Message
        try:
            # Of several headers of a name the last counts; a header's value may be missing.
            said = dict(message.headers() or ()).get("content-type") or b""
            media = said.decode("latin-1") if isinstance(said, bytes) else str(said)
            return decode(message.value() or b"", media)
        except ValueError as error:
            where = f"{self.where}, partition {message.partition()}, offset {message.offset()}"
            return Problem(ConsumerError(where, str(error)))

    def _assigned(self, client: Client, partitions: Sequence[Any]) -> None:
        """The group gave us partitions: where the group was shows what is missing before the first message."""
        committed: Sequence[Any] = ()
        with contextlib.suppress(Exception):  # unknown, then
            committed = client.committed(list(partitions), timeout=_COMMITTED_SECONDS)
        for each in partitions:
            self._expected.pop(each.partition, None)
        for each in committed:
            if each.offset >= 0:
                self._expected[each.partition] = each.offset

    def _revoked(self, _client: Client, partitions: Sequence[Any]) -> None:
        """The group gave them to somebody else: what was not finished is theirs."""
        for each in partitions:
            self._expected.pop(each.partition, None)
            self._received.pop(each.partition, None)

    # --- what librdkafka says -----------------------------------------------------------------------------------------

    def _noticed(self, error: object) -> None:
        """Told by librdkafka of its troubles, from within poll; also what comes in the place of a message."""
        code, text = librdkafka.code(error), reason(error)
        if code in (Code.TRANSPORT, Code.RESOLVE):
            self._last_word = text
        if librdkafka.is_fatal(error) or code in _REFUSED:
            self._fatal = text
        elif code == Code.ALL_BROKERS_DOWN:
            self._trouble(code, f"all brokers are away; waiting{self._because()}")
        elif code not in _NO_TROUBLE:
            self._last_word = text
            self._trouble(code or 0, text)

    def _trouble(self, code: int, text: str) -> None:
        now = time.monotonic()
        if now - self._told.get(code, now - REMIND_SECONDS) >= REMIND_SECONDS:
            self._told[code] = now
            self._problems.append(Problem(ConsumerError(self.where, text), "troubles"))

    def _because(self) -> str:
        return f" ({self._last_word})" if self._last_word else ""
