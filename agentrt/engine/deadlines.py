"""One timer for the deadlines of all runtimes: `asyncio.timeout` for each activity costs more than everything else."""

from __future__ import annotations

import math
from typing import Any

from ..clock import Timer
from .clock_waits import waits_for_clock
from .entry_state import EntryState
from .failure import expire

__all__ = ["Deadlines"]

Entry = EntryState[Any, Any]
PAUSE = 0.05  # real seconds between two looks at what was given more time


class Deadlines:
    """Looks for late activities when the first deadline is over. The loop's thread only.

    On a clock that is faster than real time, work that takes real time (a thread, a process, a socket) would be late
    without being slow. There an activity may go on for its timeout in real seconds, until it waits for the clock.
    """

    def __init__(self, host: Any) -> None:
        self.first = math.inf  # the next look, in seconds on the manager's clock
        self._host = host
        self._timer: Timer | None = None
        # What goes on after its deadline: that deadline, and until when it may, on the loop's time.
        self._extended: dict[Entry, tuple[float, float]] = {}

    def arm(self, at: float) -> float:
        """Look when the clock reads `at`, or before. Returns `at`."""
        if at < self.first:
            if self._timer is not None:
                self._timer.cancel()
            self.first = at
            self._timer = self._host.call_at(at, self._sweep)
        return at

    def is_late(self, entry: Entry, finished: float) -> bool:
        """Whether an activity that has come back after its deadline has also taken too much real time."""
        if entry.expired is not None:
            return True
        deadline, _until = self._extended.get(entry, (None, 0.0))
        return deadline != entry.deadline and finished > entry.deadline + self._extra_seconds(entry)

    def _extra_seconds(self, entry: Entry) -> float:
        """How much longer than its timeout an activity may take, in seconds on the clock."""
        speed, activity = self._host.clock.speed, entry.current
        limit = (activity and activity.timeout) or entry.timeout
        return 0.0 if limit is None or speed <= 1 or math.isinf(speed) else limit * (speed - 1)

    def _sweep(self) -> None:
        self.first = math.inf
        busy, now, speed = self._host.busy, self._host.clock.now(), self._host.clock.speed
        self._extended = {
            entry: (entry.deadline, until)
            for entry in tuple(busy)
            if entry.current is not None and entry.deadline <= now and (until := self._extend(entry)) is not None
        }
        for entry in tuple(busy):
            if entry not in self._extended:
                expire(entry, now)
        following = min((e.deadline for e in busy if e.current is not None and e.deadline > now), default=math.inf)
        if self._extended:
            following = min(following, now + PAUSE * speed)
        if following < math.inf:
            self.arm(following)

    def _extend(self, entry: Entry) -> float | None:
        """Until when an activity may go on after its deadline, on the loop's time; None if it may not."""
        time = self._host.loop.time()
        deadline, until = self._extended.get(entry, (None, 0.0))
        if deadline != entry.deadline:
            until = time + self._extra_seconds(entry) / max(1.0, self._host.clock.speed)
        if entry.expired is not None or until <= time or waits_for_clock(entry.task, self._host.clock.waiting):
            return None
        return until
