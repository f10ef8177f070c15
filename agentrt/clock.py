"""Time as agents see it: real, faster, slower, stopped, or as fast as the work allows; and the timers on it."""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from weakref import WeakSet

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
        # None for the moment in which another one is made.
        self._pace: tuple[float, float, float] | None = (start, start, 1.0)
        self._lock = threading.Lock()
        self._speed = 1.0
        self.timers: WeakSet[Timers] = WeakSet()
        # Another function after each change of speed: call `clock.now()`, keep no `clock.now` across an await.
        self.now: Callable[[], float] = source
        self.frozen, self.pace = False, 1.0
        if speed != 1.0:
            self.speed = speed
            self._pace = (start, start, self._speed)  # from the beginning on, not from a moment after

    @property
    def speed(self) -> float:
        """Seconds on this clock for one real second: 0 to inf."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not isinstance(speed, int | float) or isinstance(speed, bool) or math.isnan(speed) or speed < 0:
            raise ConfigurationError(f"speed is {speed!r}; give 0 (stopped), a factor such as 60, or math.inf")
        with self._lock:
            before, self._pace = self._read_pace(), None
            # Only now: who has read the source before this has used the old pace, and comes out below where the new
            # one begins.
            real = self._source()
            self._pace = (_reading(before, real), real, float(speed))
            self._speed = float(speed)
            # Clock seconds in a real one as far as slices are concerned: on a clock that stands still they never end.
            self.frozen = speed == 0 or math.isinf(speed)
            self.pace = math.inf if self.frozen else float(speed)
            self.now = self._scaled
        for timers in tuple(self.timers):
            timers.rearm()

    def _scaled(self) -> float:
        real = self._source()  # before the pace, see there
        return _reading(self._read_pace(), real)

    def _read_pace(self) -> tuple[float, float, float]:
        while (pace := self._pace) is None:
            time.sleep(0)
        return pace

    def until(self, at: float) -> float | None:
        """Real seconds until this clock reads `at`; None while it is stopped."""
        if self.speed == 0:
            return None
        return max(0.0, (at - self.now()) / self.speed)

    def jump(self, at: float) -> None:
        """Move a clock of infinite speed forward to `at`; never back."""
        with self._lock:
            base, real, speed = self._read_pace()
            if math.isinf(speed):
                self._pace = (max(base, at), real, speed)

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self._wall + timedelta(seconds=at - self._origin)

    def __repr__(self) -> str:
        return f"<Clock {self.wall(self.now()):%Y-%m-%d %H:%M:%S} speed={self.speed:g}>"


def _reading(pace: tuple[float, float, float], real: float) -> float:
    base, since, speed = pace
    return base if math.isinf(speed) else base + max(0.0, real - since) * speed


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

    Only the loop's thread may touch it. The clock arms it anew when its speed changes: nothing is lost and nothing
    overtakes.
    """

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._handle: asyncio.Handle | None = None
        self._armed = math.inf
        self._cancelled = 0
        clock.timers.add(self)

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
        if when != when:  # nan, which is neither before nor after anything: nothing behind it would ever be due
            raise ConfigurationError("a time is nan; it must be seconds")
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

    def rearm(self) -> None:
        """The speed has changed. Any thread."""
        if self._loop.is_closed():
            return
        if self._on_its_thread():
            self.arm()
        else:
            with suppress(RuntimeError):  # closed in between
                self._loop.call_soon_threadsafe(self.arm)

    def _on_its_thread(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

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
