"""A least-recently-used store that is bounded by what its entries weigh."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Lru(Generic[V]):
    """Keeps the entries that were used last, up to `limit` units of `weigh`; thread-safe."""

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self.limit = limit
        self.weight = 0
        self._weigh = weigh
        self._entries: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str) -> V | None:
        """The entry, which now counts as just used."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: str, value: V) -> None:
        """Keep `value`, letting go of what was not used for longest; what is over the limit alone is not kept."""
        weight = self._weigh(value)
        with self._lock:
            if key in self._entries:
                self.weight -= self._entries.pop(key)[1]
            if weight > self.limit:
                return
            self._entries[key] = (value, weight)
            self.weight += weight
            while self.weight > self.limit:
                self.weight -= self._entries.popitem(last=False)[1][1]

    def make_room(self, weight: int) -> None:
        """Let go of what was not used for longest, so that an entry of that weight fits beside the rest."""
        with self._lock:
            while self._entries and self.weight + weight > self.limit:
                self.weight -= self._entries.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.weight = 0
