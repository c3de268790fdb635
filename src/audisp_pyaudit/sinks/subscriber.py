"""What one subscriber of a socket is still to get, bounded in bytes.

It makes no sense to go at the pace of the slowest reader: one that does not keep up loses frames of its own, all in one
place, and finds a notice there that says how many. No socket here; `unix.py` moves the bytes.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audisp_pyaudit.framing import ends, fit
from audisp_pyaudit.sinks.base import SinkStats


@dataclass
class _Piece:
    """Some whole frames; the bytes are shared between subscribers."""

    blob: bytes
    begin: int
    end: int
    frames: int
    times: Sequence[int] = ()  # of some of them


class Subscriber:
    """The queue of one subscriber. Not thread-safe; the sink's lock is held around every call.

    Args:
        framing: of what is offered.
        limit: bytes that may wait. One frame that is larger than this may wait besides: a reader that keeps up gets it.
        notice: makes a frame that says how many frames and bytes are missing at this place.
        stats: the sink's ledger.
    """

    def __init__(
        self,
        framing: str,
        limit: int,
        notice: Callable[[int, int], bytes],
        stats: SinkStats,
    ) -> None:
        self._framing = framing
        self._limit = limit
        self._notice = notice
        self._stats = stats
        self._pieces: deque[_Piece] = deque()
        self._offset = 0  # into the first piece
        self._waiting = 0  # bytes, without the next
        self._huge: _Piece | None = None  # the one frame that waits and is larger than the limit
        self._missed_frames = 0
        self._missed_bytes = 0

    def offer(self, blob: bytes, frames: int, times: Sequence[int] = ()) -> None:
        """Queue frames, as many as there is room for; the others are lost to this subscriber.

        Args:
            blob: the frames.
            frames: how many.
            times: of some of them, in milliseconds since 1970.
        """
        self._stats.offered += frames
        self._catch_up()
        end, count = len(blob), frames
        if self._missed_frames:
            end = count = 0
        elif self._waiting + len(blob) <= self._limit:
            self._push(_Piece(blob, 0, end, count, times))
        else:
            end, count = self._push_what_fits(blob, times)
        self._stats.queued += count
        if count < frames:
            self._missed_frames += frames - count
            self._missed_bytes += len(blob) - end
            self._stats.lost["slow"] += frames - count
            self._catch_up()  # at once, if it was a second frame larger than all the room

    @property
    def oldest_ms(self) -> int | None:
        """The time of the oldest event that waits, about; None if none does."""
        return next((each.times[0] for each in self._pieces if each.times), None)

    def next_bytes(self) -> memoryview | None:
        """What is to be sent next; None if nothing waits."""
        if not self._pieces:
            return None
        piece = self._pieces[0]
        return memoryview(piece.blob)[piece.begin + self._offset : piece.end]

    def sent(self, count: int) -> None:
        """The first `count` bytes of `next_bytes` are on their way."""
        self._offset += count
        piece = self._pieces[0]
        if piece is not self._huge:
            self._waiting -= count
        if self._offset == piece.end - piece.begin:
            self._pieces.popleft()
            self._offset = 0
            if piece is self._huge:
                self._huge = None
            self._stats.queued -= piece.frames
            self._stats.delivered += piece.frames
            if piece.frames:
                self._stats.latency.note(piece.times, piece.frames)
            self._catch_up()

    def leave(self, why: str) -> None:
        """It is gone; what it did not get is lost under `why`."""
        if self._pieces:
            piece = self._pieces[0]
            _, done = fit(piece.blob[piece.begin : piece.end], self._framing, self._offset)
            done = min(done, piece.frames)
            self._stats.delivered += done
            if done:
                self._stats.latency.note(piece.times, done)
            left = sum(each.frames for each in self._pieces) - done
            self._stats.queued -= left + done
            if left:
                self._stats.lost[why] += left
        self._pieces.clear()
        self._huge = None
        self._waiting = self._offset = 0

    def _catch_up(self) -> None:
        """Half of the room is free again: say what is missing, and go on from here."""
        if self._missed_frames and self._waiting <= self._limit // 2:
            notice = self._notice(self._missed_frames, self._missed_bytes)
            self._missed_frames = self._missed_bytes = 0
            self._push(_Piece(notice, 0, len(notice), 0))

    def _push_what_fits(self, blob: bytes, times: Sequence[int]) -> tuple[int, int]:
        """Queue the frames of a blob up to the first that has no room: (bytes, frames)."""
        begin = last = count = gathered = 0
        for end in ends(blob, self._framing):
            huge = end - last > self._limit and self._huge is None
            if not huge and self._waiting + end - begin > self._limit:
                break
            if huge:
                self._push(_Piece(blob, begin, last, gathered, times))
                self._huge = _Piece(blob, last, end, 1, times)
                self._pieces.append(self._huge)
                begin, gathered = end, 0
            else:
                gathered += 1
            last = end
            count += 1
        self._push(_Piece(blob, begin, last, gathered, times))
        return last, count

    def _push(self, piece: _Piece) -> None:
        if piece.end > piece.begin:
            self._pieces.append(piece)
            self._waiting += piece.end - piece.begin
