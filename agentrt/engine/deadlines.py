"""One timer for the deadlines of all runtimes: `asyncio.timeout` for each activity costs more than everything else."""

from __future__ import annotations

import math
from typing import Any

from ..clock import Timer
from .failure import expire

__all__ = ["Deadlines"]


class Deadlines:
    """Looks for late activities when the first deadline is over. The loop's thread only."""

    def __init__(self, host: Any) -> None:
        self.first = math.inf  # the next look, in seconds on the manager's clock
        self._host = host
        self._timer: Timer | None = None

    def arm(self, at: float) -> float:
        """Look when the clock reads `at`, or before. Returns `at`."""
        if at < self.first:
            if self._timer is not None:
                self._timer.cancel()
            self.first = at
            self._timer = self._host.at(at, self._sweep)
        return at

    def _sweep(self) -> None:
        self.first = math.inf
        busy, now = self._host.busy, self._host.clock.now()
        for entry in tuple(busy):
            expire(entry, now)
        following = min((e.deadline for e in busy if e.current is not None and e.deadline > now), default=math.inf)
        if following < math.inf:
            self.arm(following)
