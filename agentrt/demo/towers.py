"""One agent for each airport: its tower, which gives the runway to one departure after the other."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from itertools import filterfalse
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from ..activity import Activity, Lane
from ..clock import FASTEST
from ..clock import SPEED as SPEEDS
from ..context import Context
from ..deprecation import warn_of_new_name
from ..errors import ManagerClosedError, RuntimeFailedError, RuntimeTerminatedError
from ..schema.numbers import number
from .flights import AIRPORTS, Day, Flight, load_day

if TYPE_CHECKING:
    from ..manager import RuntimeManager
    from ..receipt import Receipt
    from ..runtime import Runtime

__all__ = ["ABOUT", "CancelledFlight", "Carrier", "Total", "Tower", "Towers", "control", "towers"]

ABOUT = (
    "Each airport is an agent with one runway: flights more than an hour late go first, a cancelled one is a failure, "
    "and the tower goes on. The rush begins at six."
)
"""What the demo shows, for the top of its page."""

SPEED = 60.0
"""Simulated seconds in a real second: an hour of the day takes a minute."""

LINE_UP, TAKE_OFF = 20.0, 70.0
"""Simulated seconds that a departure needs to enter the runway, and to take off."""

LANE_CAPACITY = 30
"""How many flights each lane of a tower holds; the others wait at their gates."""


class CancelledFlight(Exception):
    """The flight does not leave: its activity fails, and the tower goes on with the next one."""

    def __init__(self, flight: Flight) -> None:
        super().__init__(f"{flight.name}, is cancelled")
        self.flight = flight


class Carrier(msgspec.Struct, frozen=True):
    """The departures of one airline at one airport. `delay` is the sum, in minutes."""

    code: str
    departed: int = 0
    delay: int = 0
    mean_delay: float = 0.0

    def after(self, flight: Flight) -> Carrier:
        """The figures with one more departure."""
        departed, delay = self.departed + 1, self.delay + flight.delay
        return Carrier(self.code, departed, delay, delay / departed)


class Tower(msgspec.Struct, frozen=True):
    """The state of one airport: how many flights left, how many of them with priority, and the delays of each airline.

    >>> tower = Tower().after(Flight("UA", 1545, "IAH", 480, delay=75), Lane.PRIORITY)
    >>> tower.departed, tower.priority, tower.mean_delay
    (1, 1, {'UA': 75.0})
    """

    departed: int = 0
    priority: int = 0
    last: str = ""
    carriers: tuple[Carrier, ...] = ()

    @property
    def mean_delay(self) -> Mapping[str, float]:
        """The mean delay of the flights that left, in minutes, by airline."""
        return {carrier.code: carrier.mean_delay for carrier in self.carriers}

    def after(self, flight: Flight, lane: Lane = Lane.STANDARD) -> Tower:
        """The state after this flight has left."""
        carriers = {carrier.code: carrier for carrier in self.carriers}
        carriers[flight.carrier] = carriers.get(flight.carrier, Carrier(flight.carrier)).after(flight)
        return Tower(
            self.departed + 1,
            self.priority + (lane is Lane.PRIORITY),
            flight.name,
            tuple(carriers[code] for code in sorted(carriers)),
        )


async def control(activity: Activity[Flight], tower: Tower, ctx: Context) -> Tower:
    """The workflow of a tower: one flight takes off, unless it is cancelled."""
    flight = activity.payload
    if flight.cancelled:
        raise CancelledFlight(flight)
    with ctx.step("line up"):
        await ctx.sleep(LINE_UP)
    with ctx.step("take off"):
        await ctx.sleep(TAKE_OFF)
    return tower.after(flight, activity.lane)


class Total(msgspec.Struct, frozen=True):
    """The figures of one airport. `mean_delay` is in minutes; `cancelled` also counts injected flights that failed."""

    airport: str
    planned: int
    departed: int
    cancelled: int
    priority: int
    mean_delay: float

    def __str__(self) -> str:
        return (
            f"{self.airport}  {self.departed} of {self.planned} departed, {self.priority} with priority, "
            f"{self.mean_delay:.1f} min late on average; {self.cancelled} cancelled"
        )


def towers(manager: RuntimeManager, day: Day | None = None, *, speed: float = SPEED) -> Towers:
    """Create the runtimes EWR, JFK and LGA. `start()` of the result then sends them the flights of a day.

    Args:
        manager: The manager to create them in; give it `clock=day.clock()`.
        day: The flights; those of 22 July 2013 if left out.
        speed: Simulated seconds in a real second.
    """
    return Towers(manager, day or load_day(), speed)


class Towers:
    """Three towers and the schedule of their flights. Any thread may call `start()` and `stop()`.

    A flight is sent at its scheduled minute on the manager's clock. If its lane is full it waits at its gate, and so do
    the later flights of the same lane, but not those of the other lane.
    """

    def __init__(self, manager: RuntimeManager, day: Day, speed: float) -> None:
        self.manager = manager
        self.day = day
        self.speed = number("speed", speed, SPEEDS, 0.0, FASTEST, endless=True)
        self.runtimes: Mapping[str, Runtime[Tower, Flight]] = {
            airport: manager.create(
                airport,
                Tower(),
                control,
                priority_capacity=LANE_CAPACITY,
                standard_capacity=LANE_CAPACITY,
                supervision="continue",
            )
            for airport in AIRPORTS
        }
        self._started = manager.clock.now()
        self._sending: Future[None] | None = None

    def start(self) -> Towers:
        """Start the clock and send the flights. A second call does nothing."""
        if self._sending is None:
            self._started = self.manager.clock.now()
            self.manager.speed = self.speed
            self._sending = self.manager.submit(self._run())
        return self

    def stop(self) -> None:
        """Send no more flights. The towers process what they have, and are not terminated."""
        if self._sending is not None:
            self._sending.cancel()

    async def wait(self) -> None:
        """Wait until every flight has its fate, or until `stop()`; returns at once before `start()`. On any loop."""
        if self._sending is not None:
            await asyncio.wait([asyncio.wrap_future(self._sending)])
            if not self._sending.cancelled():
                self._sending.result()

    async def finished(self) -> None:
        """Deprecated: `wait()`."""
        warn_of_new_name("finished()", "wait()")
        await self.wait()

    @property
    def time(self) -> str:
        """The time of the day at the airports, as `"06:05"`."""
        minutes = self.day.opens + int((self.manager.clock.now() - self._started) / 60)
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}"

    async def until(self, time: str) -> None:
        """Wait for a time of the day such as `"06:05"`; returns at once if it has passed. On any loop."""
        at = dt.time.fromisoformat(time)
        await asyncio.wrap_future(self.manager.submit(self._wait_until(at.hour * 60 + at.minute)))

    def totals(self) -> tuple[Total, ...]:
        """The figures of each airport so far."""
        return tuple(self._total(airport) for airport in self.runtimes)

    def _total(self, airport: str) -> Total:
        runtime = self.runtimes[airport]
        state, cancelled = runtime.state, runtime.fates().failed
        late = sum(carrier.delay for carrier in state.carriers)
        mean = late / state.departed if state.departed else 0.0
        return Total(airport, len(self.day.flights[airport]), state.departed, cancelled, state.priority, mean)

    def __repr__(self) -> str:
        return "\n".join([self.day.note, *map(str, self.totals())])

    # ---- the manager's loop

    async def _run(self) -> None:
        late = attrgetter("late")
        async with asyncio.TaskGroup() as lanes:
            for airport, flights in self.day.flights.items():
                runtime = self.runtimes[airport]
                lanes.create_task(self._send_lane(runtime, filter(late, flights), priority=True))
                lanes.create_task(self._send_lane(runtime, filterfalse(late, flights), priority=False))

    async def _wait_until(self, minute: int) -> None:
        due = self._started + (minute - self.day.opens) * 60
        await self.manager.sleep(max(0.0, due - self.manager.clock.now()))

    async def _send_lane(self, runtime: Runtime[Tower, Flight], flights: Iterable[Flight], *, priority: bool) -> None:
        """Send the flights of one lane when they are due, and wait until the last one has its fate."""
        receipt: Receipt | None = None
        for flight in flights:
            await self._wait_until(flight.scheduled)
            try:
                receipt = await runtime.send(flight, priority=priority)
            except (RuntimeTerminatedError, RuntimeFailedError, ManagerClosedError):
                return  # this airport was closed: its other flights are not sent
        if receipt is not None:
            await receipt.wait()
