"""Time as agents see it: real, faster, slower, stopped, or as fast as the work allows; and the timers on it."""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from .errors import ConfigurationError

__all__ = ["Clock", "Timer", "Timers"]


class Clock:
    """Seconds for agents: `speed` of them pass for every real second.

    `now()` never goes back, whatever the speed does. At speed 0 it stands still; at `inf` it stands still too and the
    timers jump it forward to the next thing due as soon as nothing is left to run. `wall` maps a reading to a date, so
    that a simulated day has its own. Reading is safe from any thread.

    >>> clock = Clock(speed=0)
    >>> clock.now() == clock.now()
    True
    """

    def __init__(
        self, speed: float = 1.0, *, source: Callable[[], float] = time.monotonic, wall: datetime | None = None
    ) -> None:
        self._source = source
        self._wall = wall or datetime.now(UTC).astimezone()
        self._origin = start = source()
        # What it read when the speed was set last, what the source read then, the speed: one record, for any thread.
        self._pace = (start, start, 1.0)
        # Another function after each change of speed: call `clock.now()`, keep no `clock.now` across an await.
        self.now: Callable[[], float] = source
        self.frozen, self.pace = False, 1.0
        if speed != 1.0:
            self._set(speed, start, start)

    @property
    def speed(self) -> float:
        """Seconds on this clock for one real second: 0 to inf."""
        return self._pace[2]

    @speed.setter
    def speed(self, speed: float) -> None:
        self._set(speed, self.now(), self._source())

    def _set(self, speed: float, now: float, real: float) -> None:
        if not isinstance(speed, int | float) or isinstance(speed, bool) or math.isnan(speed) or speed < 0:
            raise ConfigurationError(f"speed is {speed!r}; give 0 (stopped), a factor such as 60, or math.inf")
        self._pace = (now, real, float(speed))
        # Clock seconds in a real one as far as slices are concerned: on a clock that stands still they never end.
        self.frozen = speed == 0 or math.isinf(speed)
        self.pace = math.inf if self.frozen else float(speed)
        self.now = self._still if self.frozen else self._scaled

    def _still(self) -> float:
        return self._pace[0]

    def _scaled(self) -> float:
        base, real, speed = self._pace
        return base + (self._source() - real) * speed

    def until(self, at: float) -> float | None:
        """Real seconds until this clock reads `at`; None while it is stopped."""
        if self.speed == 0:
            return None
        return max(0.0, (at - self.now()) / self.speed)

    def jump(self, at: float) -> None:
        """Move a clock of infinite speed forward to `at`; never back."""
        base, real, speed = self._pace
        self._pace = (max(base, at), real, speed)

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self._wall + timedelta(seconds=at - self._origin)

    def __repr__(self) -> str:
        return f"<Clock {self.wall(self.now()):%Y-%m-%d %H:%M:%S} speed={self.speed:g}>"


class Timer:
    """A call that is due at a time on the clock. `cancel()` it on the loop's thread."""

    __slots__ = ("at", "call", "timers")

    def __init__(self, at: float, call: Callable[[], object], timers: Timers) -> None:
        self.at = at
        self.call: Callable[[], object] | None = call
        self.timers = timers

    def cancel(self) -> None:
        """Never call it."""
        if self.call is not None:
            self.call = None
            self.timers.forget()


class Timers:
    """What is due when, on one clock and one event loop. Equal times fire in the order they were set.

    Only the loop's thread may touch it. `arm()` after the speed changed: nothing is lost and nothing overtakes.
    """

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._handle: asyncio.Handle | None = None
        self._armed = math.inf
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def forget(self) -> None:
        """One more was cancelled; once they are the most of a long list, they go."""
        self._cancelled += 1
        if self._cancelled > 100 and self._cancelled > len(self._heap) // 2:
            self._heap = [item for item in self._heap if item[2].call is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call `call()` on the loop once the clock reads `when`."""
        timer = Timer(when, call, self)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        if when < self._armed or self._handle is None:
            self.arm()
        return timer

    def arm(self) -> None:
        """Set the one wake-up of the event loop for what is due next."""
        self.stop()
        due = self._next()
        delay = self._clock.until(due)
        if delay is None or due == math.inf:
            return
        self._armed = due
        if math.isinf(self._clock.speed):
            self._handle = self._loop.call_soon(self._leap)
        else:
            self._handle = self._loop.call_later(delay, self._fire)

    def stop(self) -> None:
        """Drop the wake-up; what is set stays set."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed = math.inf

    def _next(self) -> float:
        """When the next one is due that was not cancelled."""
        while self._heap and self._heap[0][2].call is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else math.inf

    def _leap(self) -> None:
        # Whatever can run now runs before time moves: a leap may not overtake work that is ready.
        if getattr(self._loop, "_ready", ()):
            self._handle = self._loop.call_soon(self._leap)
            return
        due = self._next()
        if due < math.inf:
            self._clock.jump(due)
        self._fire()

    def _fire(self) -> None:
        self._handle = None
        self._armed = math.inf
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            call, timer.call = timer.call, None
            if call is None:
                self._cancelled -= 1
            else:
                self._call(call)
        self.arm()

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # the others are due all the same
            self._loop.call_exception_handler({"message": "a timer failed", "exception": error})
