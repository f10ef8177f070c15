"""The days that the tests of the demo use, and their rows in the table."""

import datetime as dt

import pandas as pd

BUSY, SNOW = "2013-07-22", "2013-02-08"
DATES = (BUSY, SNOW, "2013-01-01", "2013-11-28", "2013-12-31")


def rows_of(table: pd.DataFrame, date: str) -> pd.DataFrame:
    """The rows of one day, as pandas finds them."""
    day = dt.date.fromisoformat(date)
    return table[(table.year == day.year) & (table.month == day.month) & (table.day == day.day)]
