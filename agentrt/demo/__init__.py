"""The demo: three airport towers as agents, and the departures of New York on one day of 2013 as activities."""

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
