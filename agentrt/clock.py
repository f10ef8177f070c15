"""The clock of a manager, which can run faster or slower than real time or stand still, and the timers on it."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from weakref import WeakSet

from .asyncio_compat import ready_handles
from .logs import log_safely
from .schema.numbers import number, refuse

__all__ = ["Clock", "Timer", "Timers"]

logger = logging.getLogger(__name__)

READING = "seconds on the clock"
FASTEST = 1e9
SPEED = f"0 (stopped), a factor such as 60 (at most {FASTEST:,.0f}), or math.inf"
REAL_TIME = asyncio.BaseEventLoop.time
SHORTEST_PAUSE, LONGEST_PAUSE = 0.0005, 0.05  # seconds between two checks whether time may leap


class Clock:
    """The time that agents see, in seconds: `speed` of them pass in every real second.

    `now()` never goes back, also when the speed changes. At speed 0 it stands still. At speed `inf` it leaps to the
    next due time as soon as nothing is left to run. While a runtime works on what takes real time (a thread, a process,
    a socket, a timer of asyncio), it passes as a real clock does. Any thread may read the clock and set its speed.

    Args:
        speed: Clock seconds in a real second, from 0 to `math.inf`.
        source: Reads real time, in seconds; it must never go back.
        wall: The date and time that the first reading stands for; now if left out. A simulated day gives its own.

    Raises:
        ConfigurationError: The speed is negative, above a thousand million, or no number.

    >>> clock = Clock(speed=0)
    >>> clock.now() == clock.now()
    True
    """

    # What is read for each activity is quicker to read from a slot.
    __slots__ = ("__dict__", "__weakref__", "now", "pace")

    def __init__(
        self, speed: float = 1.0, *, source: Callable[[], float] = time.monotonic, wall: datetime | None = None
    ) -> None:
        speed = _check_speed(speed)
        self._source = source
        self._wall = wall or datetime.now(UTC).astimezone()
        self._origin = start = source()
        # What the clock read when this was set, what the source read then, and how many seconds pass in one of the
        # source's: one record, so that any thread reads all three at one time. None while another thread replaces it.
        self._pace: tuple[float, float, float] | None = (start, start, 1.0)
        self._lock = threading.Lock()
        self._speed = 1.0
        self.timers: WeakSet[Timers] = WeakSet()
        # The futures that are set when this clock reads a certain time, or when another runtime has done something.
        self.waiting: set[asyncio.Future[Any]] = set()
        # Replaced when the speed changes: call `clock.now()` each time, never store `clock.now` across an await.
        self.now: Callable[[], float] = source
        self.frozen, self.pace = False, 1.0
        if speed != 1.0:
            self.speed = speed
            self._pace = (start, start, self._read_pace()[2])  # this speed holds from the first reading on

    @property
    def speed(self) -> float:
        """Seconds on this clock for one real second: 0 to inf."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        speed = _check_speed(speed)
        with self._lock:
            self._set_rate(0.0 if math.isinf(speed) else speed)
            self._speed = speed
            # Clock seconds in a real second, for the length of time slices: infinite on a clock that stands still.
            self.frozen = speed == 0 or math.isinf(speed)
            self.pace = math.inf if self.frozen else speed
            self.now = self._scaled_time
        for timers in tuple(self.timers):
            timers.rearm()

    def _set_rate(self, rate: float) -> None:
        """Let another number of seconds pass in one of the source's. The lock is held."""
        pace = before = self._read_pace()
        try:
            self._pace = None
            # Read the source after the pace was taken away: a thread that read it earlier uses the old pace, and what
            # it computes is below the first reading of the new one.
            real = self._source()
            pace = (_reading(before, real), real, rate)
        finally:
            self._pace = pace

    def _scaled_time(self) -> float:
        real = self._source()  # read before the pace: see `_set_rate`
        return _reading(self._read_pace(), real)

    def _read_pace(self) -> tuple[float, float, float]:
        while (pace := self._pace) is None:
            time.sleep(0)
        return pace

    def until(self, at: float) -> float | None:
        """Real seconds until this clock reads `at`; None while the speed is 0."""
        if self.speed == 0:
            return None
        return max(0.0, (at - self.now()) / self.speed)

    def jump(self, at: float) -> None:
        """Move a clock of infinite speed forward to `at`; never back. At any other speed it does nothing."""
        at = number("at", at, READING, -math.inf, endless=True)
        with self._lock:
            if math.isinf(self._speed) and at < math.inf:
                real, pace = self._source(), self._read_pace()
                self._pace = (max(_reading(pace, real), at), real, pace[2])

    def run_in_real_time(self, runs: bool) -> None:
        """Set whether a clock of infinite speed runs as a real one for now, or stands still until it leaps."""
        with self._lock:
            if math.isinf(self._speed) and self._read_pace()[2] != runs:
                self._set_rate(float(runs))

    def renew(self) -> None:
        """Make it usable in a process that was forked, without what threads of the parent had set or locked."""
        self._lock = threading.Lock()
        self.timers, self.waiting = WeakSet(), set()
        if self._pace is None:  # a thread of the parent was about to replace it
            real = self._source()
            self._pace = (real, real, 0.0 if math.isinf(self._speed) else self._speed)

    def may_leap(self) -> bool:
        """Whether no manager with this clock does anything that takes real time."""
        return all(timers.may_leap() for timers in tuple(self.timers))

    def wall(self, at: float) -> datetime:
        """The date and time that a reading stands for; the last date that there is for one beyond it."""
        since = number("at", at, READING, -math.inf, endless=True) - self._origin
        try:
            return self._wall + timedelta(seconds=since)
        except OverflowError:
            return (datetime.max if since > 0 else datetime.min).replace(tzinfo=self._wall.tzinfo)

    def __repr__(self) -> str:
        return f"<Clock {self.wall(self.now()):%Y-%m-%d %H:%M:%S} speed={self.speed:g}>"


def _check_speed(speed: float) -> float:
    return number("speed", speed, SPEED, 0.0, FASTEST, endless=True)


def _reading(pace: tuple[float, float, float], real: float) -> float:
    base, since, rate = pace
    return base + max(0.0, real - since) * rate


class Timer:
    """One call that is due at a time on the clock. Only the loop's thread may `cancel()` it."""

    __slots__ = ("at", "call", "timers")

    def __init__(self, at: float, call: Callable[[], object], timers: Timers) -> None:
        self.at = at
        self.call: Callable[[], object] | None = call
        self.timers = timers

    def cancel(self) -> None:
        """Do not call it. Idempotent."""
        if self.call is not None:
            self.call = None
            self.timers.count_cancellation()


class Timers:
    """The timers of one clock on one event loop. Timers for the same time fire in the order in which they were set.

    Args:
        clock: Says when they are due.
        loop: Calls them.
        may_leap: Says at infinite speed whether nothing that takes real time is being done.

    They share one timer of the event loop, which is set again when the speed of the clock changes: no timer is lost and
    none fires before an earlier one. Only the loop's thread may use it, except `rearm`.
    """

    def __init__(
        self, clock: Clock, loop: asyncio.AbstractEventLoop, may_leap: Callable[[], bool] = lambda: True
    ) -> None:
        self._clock = clock
        self._loop = loop
        self.may_leap = may_leap
        self._pause = SHORTEST_PAUSE
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._handle: asyncio.Handle | None = None
        self._armed = math.inf
        self._cancelled = 0
        clock.timers.add(self)

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def count_cancellation(self) -> None:
        """Count one more cancelled timer; remove them all once they are more than 100 and more than half."""
        self._cancelled += 1
        if self._cancelled > 100 and self._cancelled > len(self._heap) // 2:
            self._heap = [item for item in self._heap if item[2].call is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call `call()` on the loop once the clock reads `when`.

        Raises:
            ConfigurationError: `when` is nan.
        """
        if when != when:  # nan has no order: no timer behind it in the heap would ever be due
            raise refuse("when", when, READING)
        timer = Timer(when, call, self)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        if when < self._armed or self._handle is None:
            self.arm()
        return timer

    def arm(self) -> None:
        """Set the timer of the event loop for the next due time."""
        self.stop()
        due = self._next()
        delay = self._clock.until(due)
        if delay is None or due == math.inf:
            self._clock.run_in_real_time(False)  # nothing checks any more whether it may leap
            return
        self._armed = due
        if math.isinf(self._clock.speed):
            self._pause = SHORTEST_PAUSE
            self._handle = self._loop.call_soon(self._jump_when_idle)
        else:
            self._handle = self._loop.call_later(delay, self._fire)

    def rearm(self) -> None:
        """Set the timer of the event loop again, after a change of speed. Any thread."""
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
        """Cancel the timer of the event loop; the timers stay, and `arm` starts them again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed = math.inf

    def _next(self) -> float:
        """The next due time of a timer that was not cancelled; infinite if there is none."""
        while self._heap and self._heap[0][2].call is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else math.inf

    def _jump_when_idle(self) -> None:
        # What is ready runs first: time must not pass what could be done now.
        if any(map(_is_work, tuple(ready_handles(self._loop) or ()))):
            self._handle = self._loop.call_soon(self._jump_when_idle)
            return
        due, may_leap = self._next(), self._clock.may_leap()
        self._clock.run_in_real_time(not may_leap)
        if may_leap:
            self._clock.jump(due)
        delay = due - self._clock.now()
        if delay > 0 and not may_leap:
            self._handle = self._loop.call_later(min(self._next_pause(), delay), self._jump_when_idle)
        else:
            self._fire()

    def _next_pause(self) -> float:
        """Real seconds until the next check whether time may leap.

        Doubled each time, so that checking costs little and the delay is never longer than the work was. On a loop with
        a time of its own, waiting costs nothing and the pause has no bound.
        """
        own_time = isinstance(self._loop, asyncio.BaseEventLoop) and type(self._loop).time is not REAL_TIME
        pause, self._pause = self._pause, min(2 * self._pause, math.inf if own_time else LONGEST_PAUSE)
        return pause

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
        except BaseException as error:  # the other timers must fire too
            log_safely(logger, "a timer failed", error=error)
            with suppress(BaseException):  # once more: the exception may have come from outside, before it was done
                call()


def _is_work(handle: asyncio.Handle) -> bool:
    """Whether a callback that is ready does anything but check whether time may leap."""
    look = getattr(getattr(handle, "_callback", None), "__func__", None)
    return look is not Timers._jump_when_idle and not handle.cancelled()
