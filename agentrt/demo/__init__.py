"""Three towers: the departures of New York's three airports on one day of 2013, as agents."""

from .flights import AIRPORTS, BUSY_DAY, FIRST_DAY, LAST_DAY, Day, Flight, load_day, parse_date
from .towers import ABOUT, CancelledFlight, Carrier, Total, Tower, Towers, control, towers

__all__ = [
    "ABOUT",
    "AIRPORTS",
    "BUSY_DAY",
    "FIRST_DAY",
    "LAST_DAY",
    "CancelledFlight",
    "Carrier",
    "Day",
    "Flight",
    "Total",
    "Tower",
    "Towers",
    "control",
    "load_day",
    "parse_date",
    "towers",
]
