"""What a loss means and what to do about it, for people on call. docs/delivery.md says the same at length.

In: the reason under which something is counted. Out: a sentence.
"""

_WORDS = {
    "intake_full": "decoding was behind: less load (audit rules), or a larger limits.intake_bytes",
    "panic": "a bug of ours; please report it with the panic-*.txt beside the state",
    "spool_full": "the spool or its disk was full: a larger queue.quota_bytes, or a shorter outage",
    "spool_failed": "the disk took no writes and memory was full: the log has the system's error",
    "memory_full": "memory was full: a larger queue.memory_bytes, or queue.mode = lossless",
    "lag": "it was further behind than its max_lag_bytes",
    "removed": "the sink was taken out of the configuration while these waited for it",
    "damaged": "the spool was damaged on disk: look at spool/damaged, and at the disk",
    "refused": "the broker will not have these events, even cut: see the topic's max.message.bytes",
    "too_large": "these events cannot be cut so far that they fit: event_bytes, message.max.bytes",
    "unsendable": "a bug of ours; please report it",
    "unclean_stop": "the process before was killed or crashed: see the kernel's log",
    "slow": "a subscriber did not keep up: a larger buffer_bytes, or a sink of type subscriber",
    "shutdown": "the end came before it was sent: a larger timing.drain_ms",
    "left": "a subscriber left before it had everything",
    "closed": "it could not be opened",
    "rotated": "the file was renamed while an event was written",
    "failed": "a bug of ours; please report it",
    "no_subscriber": "nobody was connected",
    "ENOSPC": "the disk was full",
    "EDQUOT": "the disk quota was used up",
}


def what_to_do(reason: str) -> str:
    """Why something was lost, and what helps."""
    return _WORDS.get(reason, "the system refused it; the log has more")
