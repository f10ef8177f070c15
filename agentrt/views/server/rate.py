"""How often somebody may do something: a count a second for each address, with a bound on the addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

__all__ = ["Rate"]

MOST_KEYS = 4096  # addresses that are counted at the same time


class Rate:
    """Counts what each key did in this second.

    Args:
        most: How often a key may do it in a second.
        clock: Seconds, which only grow.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.clock = clock
        self._second = 0
        self._counts: dict[Hashable, int] = {}

    def allow(self, key: Hashable) -> bool:
        """Count it once more. Whether it is within the rate."""
        second = int(self.clock())
        if second != self._second or (key not in self._counts and len(self._counts) >= MOST_KEYS):
            self._second = second
            self._counts.clear()
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key] <= self.most
