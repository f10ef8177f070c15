"""towers.py: a whole day in virtual time, against what pandas counts in the same table."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pandas as pd
import pytest

import agentrt
from agentrt.demo import AIRPORTS, CancelledFlight, Day, Flight, Tower, Towers, load_day, towers
from agentrt.testing.virtual import run
from tests.demo.days import BUSY, DATES, SNOW, rows_of

FIRST_COME = Flight("UA", 1, "BOS", 300)


class Seen:
    """What there is to see of a day when it is over."""

    def __init__(self, handle: Towers) -> None:
        manager = handle.manager
        self.totals = {total.airport: total for total in handle.totals()}
        self.states = {id: runtime.state for id, runtime in handle.runtimes.items()}
        self.fates = {id: runtime.fates() for id, runtime in handle.runtimes.items()}
        self.all_fates = manager.fates()
        self.text = repr(handle)
        records, _, self.missed = manager.ring.since(0)
        self.accepted = [record for record in records if isinstance(record, agentrt.Activity)]
        self.outcomes = [record for record in records if isinstance(record, agentrt.Outcome)]
        self.wall = manager.clock.wall


def live(day: Day, during: Callable[[Towers], Awaitable[Any]] | None = None) -> Seen:
    """A day from its first flight to its last, in virtual time; `during` may do something meanwhile."""

    async def main() -> Seen:
        async with agentrt.RuntimeManager(clock=day.clock(asyncio.get_running_loop().time)) as manager:
            handle = towers(manager, day).start()
            if during is not None:
                await during(handle)
            await handle.wait()
            return Seen(handle)

    return run(main())


@pytest.fixture(scope="module")
def busy() -> Seen:
    return live(load_day(BUSY))


# ---- a whole day


@pytest.mark.parametrize("date", DATES)
def test_a_day_comes_out_as_pandas_counts_it(table: pd.DataFrame, date: str) -> None:
    rows, seen = rows_of(table, date), live(load_day(date))
    departed = rows[rows.dep_time.notna()]
    assert set(rows.origin) == set(AIRPORTS) == set(seen.totals)
    for airport in AIRPORTS:
        here, left = rows[rows.origin == airport], departed[departed.origin == airport]
        state, total, fates = seen.states[airport], seen.totals[airport], seen.fates[airport]
        assert (total.planned, total.departed, total.cancelled) == (len(here), len(left), here.dep_time.isna().sum())
        assert state.departed == len(left)
        assert state.priority == total.priority == (left.dep_delay > 60).sum()
        assert state.mean_delay == pytest.approx(left.groupby("carrier").dep_delay.mean().to_dict(), abs=1e-9)
        assert {c.code: c.departed for c in state.carriers} == left.groupby("carrier").size().to_dict()
        assert total.mean_delay == pytest.approx(left.dep_delay.mean(), abs=1e-9)
        assert (fates.accepted, fates.done, fates.failed) == (len(here), len(left), len(here) - len(left))
        assert fates.adds_up
        assert fates.pending == 0
    assert seen.all_fates.accepted == len(rows)
    assert seen.all_fates.failed == rows.dep_time.isna().sum()
    assert seen.all_fates.adds_up


def test_the_busy_day_is_the_one_of_the_book(busy: Seen) -> None:
    assert (busy.all_fates.accepted, busy.all_fates.failed, busy.all_fates.done) == (1000, 123, 877)


def test_each_flight_comes_at_its_minute_in_its_lane(busy: Seen) -> None:
    assert busy.missed == 0
    assert len(busy.accepted) == 1000
    for activity in busy.accepted:
        flight = activity.payload
        came = busy.wall(activity.created + 1e-6)
        assert (came.date(), came.hour * 60 + came.minute) == (dt.date(2013, 7, 22), flight.scheduled)
        assert activity.lane is (agentrt.Lane.PRIORITY if flight.delay > 60 else agentrt.Lane.STANDARD)


def test_the_runway_takes_its_time_and_queues_clear(busy: Seen) -> None:
    assert {round(outcome.service, 6) for outcome in busy.outcomes} == {0.0, 90.0}
    waits = [outcome.wait for outcome in busy.outcomes if outcome.ok]
    assert 10 * 60 < max(waits) < 30 * 60
    assert sorted(waits)[len(waits) // 4] == 0


def test_urgent_flights_wait_less(busy: Seen) -> None:
    def mean_wait(lane: agentrt.Lane) -> float:
        waits = [outcome.wait for outcome in busy.outcomes if outcome.lane is lane]
        return sum(waits) / len(waits)

    assert mean_wait(agentrt.Lane.PRIORITY) < mean_wait(agentrt.Lane.STANDARD) / 2


def test_a_cancelled_flight_is_a_failure_that_names_it(busy: Seen) -> None:
    failed = [outcome for outcome in busy.outcomes if not outcome.ok]
    assert len(failed) == 123
    for outcome in failed:
        cause = outcome.error.__cause__
        assert isinstance(cause, CancelledFlight)
        assert cause.flight.cancelled
        assert str(cause) == f"{cause.flight.name}, is cancelled"


def test_what_it_prints_says_the_day(busy: Seen) -> None:
    assert "1,000 departures planned for Monday, 22 July 2013" in busy.text
    assert "LGA  230 of 315 departed, 36 with priority, 40.1 min late on average; 85 cancelled" in busy.text


# ---- while it runs


def test_a_paused_tower_holds_its_capacity_and_loses_nothing(table: pd.DataFrame) -> None:
    deepest: list[tuple[int, int]] = []

    async def close_the_runway(handle: Towers) -> None:
        runtime = handle.runtimes["LGA"]
        runtime.pause()
        await handle.manager.sleep(8 * 3600)
        deepest.append(runtime.depth)
        runtime.resume()

    seen = live(load_day(BUSY), close_the_runway)
    late, standard = deepest[0]
    assert standard == 30
    assert 0 < late <= 30
    assert seen.fates["LGA"].accepted == (rows_of(table, BUSY).origin == "LGA").sum()
    assert seen.states["LGA"].departed == 230


def test_full_standard_gates_do_not_keep_urgent_flights_back() -> None:
    flights = [Flight("UA", number, "BOS", 300) for number in range(1, 100)]
    urgent = Flight("DL", 1, "ATL", 301, delay=90)
    day = Day(dt.date(2013, 7, 22), {"EWR": (*flights, urgent), "JFK": (), "LGA": ()}, made_up=True, note="a test")
    accepted = live(day).accepted
    assert [a.created for a in accepted if a.payload == urgent] == pytest.approx([accepted[0].created + 60])
    assert accepted[-1].payload == flights[-1]


def test_a_terminated_tower_leaves_the_others_to_finish() -> None:
    async def close_the_airport(handle: Towers) -> None:
        await handle.manager.sleep(4 * 3600)
        await handle.runtimes["JFK"].terminate()

    seen = live(load_day(BUSY), close_the_airport)
    assert [seen.states[airport].departed for airport in ("EWR", "LGA")] == [336, 230]
    assert 0 < seen.states["JFK"].departed < 311
    assert seen.all_fates.adds_up


def test_stop_ends_the_day_and_the_towers_stay() -> None:
    async def stop(handle: Towers) -> None:
        await handle.manager.sleep(3600 + 5)
        handle.stop()
        with pytest.warns(DeprecationWarning, match=r"wait\(\)"):
            await handle.finished()
        held = {id: runtime.fates().accepted for id, runtime in handle.runtimes.items()}
        await handle.manager.sleep(3600)
        assert held == {id: runtime.fates().accepted for id, runtime in handle.runtimes.items()}
        assert await handle.runtimes["EWR"].ask(FIRST_COME) == handle.runtimes["EWR"].state

    assert live(load_day(BUSY), stop).all_fates.pending == 0


def test_a_second_start_is_no_second_day() -> None:
    async def again(handle: Towers) -> None:
        handle.manager.speed = 600
        assert handle.start() is handle
        assert handle.manager.speed == 600

    assert live(load_day(BUSY), again).all_fates.accepted == 1000


def test_the_time_of_the_day() -> None:
    async def read_the_clock(handle: Towers) -> None:
        assert handle.time == "05:00"
        await handle.until("06:05")
        assert handle.time == "06:05"
        await handle.until("05:30")  # past
        assert handle.time == "06:05"

    live(load_day(BUSY), read_the_clock)


def test_nothing_moves_before_the_start() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with agentrt.RuntimeManager(clock=load_day().clock(loop.time)) as manager:
            handle = towers(manager)
            await handle.wait()
            handle.stop()
            await asyncio.sleep(1000)
            assert f"{manager.clock.wall(manager.clock.now()):%Y-%m-%d %H:%M}" == "2013-07-22 05:00"
            assert manager.fates().accepted == 0
            assert handle.start().manager.speed == 60

    run(main())


def test_on_a_thread_of_its_own() -> None:
    day = load_day(BUSY)
    with agentrt.RuntimeManager(loop="thread", clock=day.clock()) as manager:
        handle = towers(manager, day, speed=float("inf")).start()
        manager.run(handle.wait(), timeout=60)
        assert [total.departed for total in handle.totals()] == [336, 311, 230]


def test_a_tower_takes_only_flights() -> None:
    async def main() -> None:
        async with agentrt.RuntimeManager() as manager:
            handle = towers(manager)
            with pytest.raises(agentrt.ActivityValidationError, match="Flight"):
                handle.runtimes["EWR"].send_nowait("UA 1")

    run(main())


def test_a_tower_never_changes_only_the_next_one_does() -> None:
    before = Tower()
    after = before.after(FIRST_COME)
    assert before == Tower()
    assert after.last == "UA 1 to BOS, 05:00"
    with pytest.raises(AttributeError):
        after.departed = 7  # type: ignore[misc]


# ---- without the package


@pytest.mark.usefixtures("without_the_package")
def test_a_made_up_day_adds_up_too() -> None:
    day = load_day(SNOW)
    seen = live(day)
    for airport, flights in day.flights.items():
        left = [flight for flight in flights if not flight.cancelled]
        state = seen.states[airport]
        assert (state.departed, seen.fates[airport].failed) == (len(left), len(flights) - len(left))
        assert state.priority == sum(flight.delay > 60 for flight in left)
        for carrier in state.carriers:
            delays = [flight.delay for flight in left if flight.carrier == carrier.code]
            assert carrier.mean_delay == pytest.approx(sum(delays) / len(delays))
    assert 0.06 < seen.all_fates.failed / seen.all_fates.accepted < 0.2
    assert seen.text.startswith(day.note)
