"""The engine (Rust): bytes of auditd's string protocol in, frames of encoded event documents out.

Options of `Engine`, a dict; every key but `host` has a default:

- `host`: `{"name": str, "id": str, "nodes": [str], "boot_id": str, "architecture": str}`; `id` is the machine-id,
  `nodes` are more names of this host, `boot_id` changes at every boot, `architecture` is what `uname -m` says
- `process_start_ms`: int, part of the ids of our own documents
- `encodings`: list of `"json"`, `"msgpack"`
- `include_raw`: `"never"`, `"unparsed"`, `"always"`
- `names`: `"ask"` (use `wants` and `tell`) or `"off"` (only names that the records carry)
- `replay`: the state comes from this process and all input since is fed again, so events that it holds keep their ids
- `limits`: `line_bytes`, `events`, `event_records`, `event_bytes`, `held_bytes`
- `timing`: `grace_ms`, `event_timeout_ms`, `idle_ms`, `name_wait_ms`, `name_ttl_ms`, `name_negative_ttl_ms`
- `sinks`: list of names; a sink's index is its bit in a frame's routes
- `rules`: list of `{"name": str, "match": {field: [value]}, "drop": bool, "route": [sink] | None,
  "class": "keep" | "normal" | None}`
- `fields`: list of (name, kind): a site's own fields; names that are not in `FIELDS`, kinds that are in `KINDS`
"""

from typing import Literal, TypeAlias, final

_Framing: TypeAlias = Literal["json-lines", "msgpack", "json-prefixed", "msgpack-prefixed"]

__version__: str
SCHEMA: int
"""Version of the document's layout (`auditd.schema`)."""
ECS_VERSION: str
"""Version of the Elastic Common Schema that documents follow (`ecs.version`)."""

KINDS: tuple[str, ...]
"""Kinds that a site's own fields can have (`fields`)."""
FIELDS: tuple[str, ...]
"""Names of all fields that are known; their kinds cannot be changed."""
RECORD_TYPES: tuple[tuple[int, str], ...]
"""Numbers and names of all record types."""

__all__ = [
    "ECS_VERSION",
    "FIELDS",
    "KINDS",
    "RECORD_TYPES",
    "SCHEMA",
    "Engine",
    "Frame",
    "Frames",
    "__version__",
    "crc32",
    "number_of",
]

def number_of(kind: str, word: str, arch: str) -> str | None:
    """The number behind a word that took its place in a document, as records write it: the way back.

    `kind` is that of the field (`syscall`, `exit`, `signal`, ...), `arch` what `auditd.data.arch` says or the empty
    text. None for a word that is no name.
    """

def crc32(data: bytes) -> int:
    """The CRC-32 of zlib and Ethernet."""

@final
class Engine:
    """Records in, frames out; no I/O, no clock. Content never raises.

    Raises:
        ValueError: an option or the state cannot be used; says which and why.
    """

    def __new__(cls, options: dict[str, object], state: bytes | None = None) -> Engine: ...
    def feed(self, chunk: bytes) -> Frames:
        """Take bytes of the stream, in chunks of any size."""

    def feed_unparsed(self, line: bytes) -> Frames:
        """Take one line that made the engine fail: it is published as it is."""

    def tick(self, now_ms: int) -> Frames:
        """Tell the time in monotonic milliseconds; publishes what has waited long enough."""

    def end(self) -> Frames:
        """End the stream, but still wait for names: answer `wants`, tick, and then close."""

    def close(self) -> Frames:
        """End the stream: publish everything that is held."""

    def wants(self) -> list[tuple[str, str]]:
        """User and group ids whose names events wait for: (`uid` or `gid`, number); each is asked for once."""

    def tell(self, kind: str, key: str, value: str | None) -> None:
        """Answer `wants`; None for an id that has no name. The events come with the next frames."""

    def state(self) -> bytes:
        """What the next process needs to go on where this one is."""

    def stats(self) -> dict[str, int]:
        """Counters; records_in + records_restored = published + held + end_of_event + filtered."""

@final
class Frames:
    """A batch of encoded events, in order."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Frame: ...
    def blob(self, framing: _Framing, sink: int | None = None) -> bytes:
        """Documents joined: all, or those routed to the sink with this index.

        `json-lines` ends each with a newline, `msgpack` puts one after the other, `*-prefixed` puts the length
        before each as a big-endian 32-bit number.

        Raises:
            ValueError: the engine was not asked for this encoding, or there is no such framing or sink.
        """

    def count_for(self, sink: int) -> int:
        """How many frames are routed to the sink with this index."""

    def heads(self) -> Frames:
        """The same frames without their documents."""

    @property
    def size(self) -> int:
        """Bytes of memory it takes, about."""

    def indexes_for(self, sink: int) -> list[int]:
        """Indexes of the frames that are routed to the sink with this index."""

    def since(self, sequence: int) -> Frames:
        """The frames from a sequence on."""

    def span(self) -> tuple[int, int] | None:
        """Earliest and latest time of the frames in milliseconds since 1970; None if there is none."""

    @staticmethod
    def joined(batches: list[Frames], first: int) -> Frames:
        """All frames of batches of one engine, with sequences from `first` on."""

    def of_class(self, klass: str) -> Frames:
        """The frames of a class, `keep` or `normal`.

        Raises:
            ValueError: there is no such class.
        """

    def packed(self, klass: str) -> tuple[bytes, int, dict[int, int], tuple[int, int] | None]:
        """The frames of a class as `unpacked` takes them, how many, how many have which routes, and their `span`.

        Raises:
            ValueError: there is no such class.
        """

    def parts(self, indexes: list[int], encoding: str) -> list[tuple[bytes | None, bytes, bytes]]:
        """Document (None if it is not there in this encoding), id and host of frames.

        Raises:
            IndexError: there is no such frame.
            ValueError: there is no such encoding.
        """

    @staticmethod
    def unpacked(packed: list[bytes]) -> Frames:
        """The frames of what several `packed` gave, in the order of their sequences.

        Raises:
            ValueError: the bytes are not what `packed` gives; says why.
        """

    @staticmethod
    def collected(frames: list[Frame]) -> Frames:
        """Single frames of batches of one engine, in the order given."""

    @staticmethod
    def single(
        *, identity: str, host: str, time_ms: int, routes: int, json: bytes | None = None, msgpack: bytes | None = None
    ) -> Frames:
        """A batch of one document that was not made by the engine."""

@final
class Frame:
    """One encoded event and what its consumers need to know without opening it."""

    @property
    def id(self) -> str:
        """event.id."""

    @property
    def sequence(self) -> int:
        """Its number in the queue; 0 before it has one."""

    @property
    def time_ms(self) -> int:
        """Time of the event in milliseconds since 1970."""

    @property
    def host(self) -> str:
        """host.name."""

    @property
    def session(self) -> str | None:
        """auditd.session."""

    @property
    def klass(self) -> str:
        """`keep` for what outlives other events when something has to be dropped, else `normal`."""

    @property
    def category(self) -> str:
        """First of event.category; empty for our own documents."""

    @property
    def records(self) -> int:
        """How many records it holds; 0 for our own documents but unparsed lines."""

    @property
    def routes(self) -> int:
        """Bit n is set if it goes to sink n."""

    @property
    def json(self) -> bytes | None:
        """The document as JSON text, if the engine was asked for it."""

    @property
    def msgpack(self) -> bytes | None:
        """The document as msgpack, if the engine was asked for it."""
