"""The demo: one agent per airport, which gives each departure of a real day the runway."""

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
from ..context import Context
from ..errors import ManagerClosedError, RuntimeFailedError, RuntimeTerminatedError
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
"""What a page says of it in a sentence."""

SPEED = 60.0
"""Simulated seconds for a real one: an hour of the day takes a minute."""

LINE_UP, TAKE_OFF = 20.0, 70.0
"""Seconds a departure has the runway: rolling onto it, and until the next one may."""

QUEUE = 30
"""Flights each lane of a tower holds; the others wait at the gate."""


class CancelledFlight(Exception):
    """The flight does not leave. The tower can do nothing with it: its activity fails, and the tower goes on."""

    def __init__(self, flight: Flight) -> None:
        super().__init__(f"{flight.name}, is cancelled")
        self.flight = flight


class Carrier(msgspec.Struct, frozen=True):
    """What one airline did at one airport; delays in minutes."""

    code: str
    departed: int = 0
    delay: int = 0
    mean_delay: float = 0.0

    def after(self, flight: Flight) -> Carrier:
        """The same airline with one more departure."""
        departed, delay = self.departed + 1, self.delay + flight.delay
        return Carrier(self.code, departed, delay, delay / departed)


class Tower(msgspec.Struct, frozen=True):
    """The state of one airport: flights that left, those of them that had priority, and each airline's delays.

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
        """Minutes by airline, of the flights that left."""
        return {carrier.code: carrier.mean_delay for carrier in self.carriers}

    def after(self, flight: Flight, lane: Lane = Lane.STANDARD) -> Tower:
        """The state once this flight has left."""
        carriers = {carrier.code: carrier for carrier in self.carriers}
        carriers[flight.carrier] = carriers.get(flight.carrier, Carrier(flight.carrier)).after(flight)
        return Tower(
            self.departed + 1,
            self.priority + (lane is Lane.PRIORITY),
            flight.name,
            tuple(carriers[code] for code in sorted(carriers)),
        )


async def control(activity: Activity[Flight], tower: Tower, ctx: Context) -> Tower:
    """The workflow of a tower: one flight gets the runway, unless it is cancelled."""
    flight = activity.payload
    if flight.cancelled:
        raise CancelledFlight(flight)
    with ctx.step("line up"):
        await ctx.sleep(LINE_UP)
    with ctx.step("take off"):
        await ctx.sleep(TAKE_OFF)
    return tower.after(flight, activity.lane)


class Total(msgspec.Struct, frozen=True):
    """One airport's day in numbers. `failed` flights are the cancelled ones, and those a person injected to fail."""

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
    """Make the runtimes EWR, JFK and LGA for a day (22 July 2013 if none is given). `start()` lets the flights come."""
    return Towers(manager, day or load_day(), speed)


class Towers:
    """Three towers and the schedule that feeds them. `start()` and `stop()` work from any thread.

    A flight comes at its scheduled minute on the manager's clock. Each lane has its own line at the gates: a flight
    that finds its lane full waits there, and so do those behind it, but never those of the other lane.
    """

    def __init__(self, manager: RuntimeManager, day: Day, speed: float) -> None:
        self.manager = manager
        self.day = day
        self.speed = speed
        self.runtimes: Mapping[str, Runtime[Tower, Flight]] = {
            airport: manager.create(
                airport,
                Tower(),
                control,
                priority_capacity=QUEUE,
                standard_capacity=QUEUE,
                supervision="continue",
            )
            for airport in AIRPORTS
        }
        self._opened = manager.clock.now()
        self._day: Future[None] | None = None

    def start(self) -> Towers:
        """Open the day: the clock runs and the flights come. Once; again it does nothing."""
        if self._day is None:
            self._opened = self.manager.clock.now()
            self.manager.speed = self.speed
            self._day = self.manager.submit(self._run())
        return self

    def stop(self) -> None:
        """No more flights. The towers finish what they hold, and stay to be looked at."""
        if self._day is not None:
            self._day.cancel()

    async def finished(self) -> None:
        """Wait, on any loop, until every flight has its fate, or until `stop()`. Before `start()`: at once."""
        if self._day is not None:
            await asyncio.wait([asyncio.wrap_future(self._day)])
            if not self._day.cancelled():
                self._day.result()

    @property
    def time(self) -> str:
        """The time of the day at the airports, as `"06:05"`."""
        minutes = self.day.opens + int((self.manager.clock.now() - self._opened) / 60)
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}"

    async def until(self, time: str) -> None:
        """Wait, on any loop, for a time of the day such as `"06:05"`; at once if it is past."""
        at = dt.time.fromisoformat(time)
        await asyncio.wrap_future(self.manager.submit(self._until(at.hour * 60 + at.minute)))

    def totals(self) -> tuple[Total, ...]:
        """What each tower has done so far."""
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
                lanes.create_task(self._feed(runtime, filter(late, flights), priority=True))
                lanes.create_task(self._feed(runtime, filterfalse(late, flights), priority=False))

    async def _until(self, minute: int) -> None:
        due = self._opened + (minute - self.day.opens) * 60
        await self.manager.sleep(max(0.0, due - self.manager.clock.now()))

    async def _feed(self, runtime: Runtime[Tower, Flight], flights: Iterable[Flight], *, priority: bool) -> None:
        """Send one lane's flights when they are due; over once the last of them has its fate."""
        receipt: Receipt | None = None
        for flight in flights:
            await self._until(flight.scheduled)
            try:
                receipt = await runtime.send(flight, priority=priority)
            except (RuntimeTerminatedError, RuntimeFailedError, ManagerClosedError):
                return  # somebody closed this airport: its other flights have nowhere to go
        if receipt is not None:
            await receipt.wait()
