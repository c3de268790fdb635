"""Which events were handed out already.

In: host and id of each event. Out: whether it is a duplicate. Each host has ids of its own, so that a busy one does not
push out those of a quiet one; the least recently seen go first.
"""

from collections import OrderedDict

# Of all hosts together: at some 200 bytes each, 200 MB where nobody chose less.
ALL_IDS = 1_000_000


class Seen:
    """Remembers ids.

    Args:
        limit: how many of one host.
        total: how many of all hosts; when there are more, those of the host that was silent longest go.
    """

    def __init__(self, limit: int, total: int = ALL_IDS) -> None:
        self._limit = limit
        self._total = total
        self._count = 0
        self._hosts: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def again(self, host: str, identity: str) -> bool:
        """Whether it was here before; from now on it was."""
        ids = self._hosts.get(host)
        if ids is None:
            ids = self._hosts[host] = OrderedDict()
        else:
            self._hosts.move_to_end(host)
        if identity in ids:
            ids.move_to_end(identity)
            return True
        ids[identity] = None
        self._count += 1
        if len(ids) > self._limit:
            ids.popitem(last=False)
            self._count -= 1
        elif self._count > self._total:
            silent, oldest = next(iter(self._hosts.items()))
            oldest.popitem(last=False)
            self._count -= 1
            if not oldest:
                del self._hosts[silent]
        return False
