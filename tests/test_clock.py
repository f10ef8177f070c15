"""clock.py: real, faster, slower, stopped and leaping time, and the timers on it."""

import asyncio
import math
import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt import Clock, ConfigurationError, ProcessingError, RuntimeManager
from agentrt.clock import Timers
from agentrt.testing.virtual import VirtualLoop
from tests.support import turns, virtual


class Source:
    """A monotonic clock that a test turns by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def source():
    return Source()


@pytest.mark.parametrize("speed", [0.1, 1, 60])
def test_seconds_pass_at_its_speed(source, speed):
    clock = Clock(speed, source=source)
    before = clock.now()
    source.now += 10
    assert clock.now() - before == pytest.approx(10 * speed)


@pytest.mark.parametrize("speed", [0, math.inf])
def test_it_stands_still_when_stopped_or_leaping(source, speed):
    clock = Clock(speed, source=source)
    before = clock.now()
    source.now += 10
    assert clock.now() == before
    assert clock.frozen


@pytest.mark.parametrize("speed", [-1, math.nan, "fast", None, True])
def test_a_speed_that_can_not_be_is_refused(speed):
    clock = Clock()
    with pytest.raises(ConfigurationError, match="speed is"):
        clock.speed = speed
    assert clock.speed == 1


@given(st.lists(st.tuples(st.sampled_from([0, 0.1, 1, 60, math.inf]), st.floats(0, 1e6)), max_size=20))
def test_it_never_goes_back_whatever_the_speed_does(changes):
    source = Source()
    clock = Clock(source=source)
    last = clock.now()
    for speed, seconds in changes:
        clock.speed = speed
        source.now += seconds
        assert clock.now() >= last
        last = clock.now()


def test_until_is_in_real_seconds(source):
    clock = Clock(60, source=source)
    assert clock.until(clock.now() + 60) == pytest.approx(1)
    assert clock.until(clock.now() - 60) == 0
    clock.speed = 0
    assert clock.until(clock.now() + 60) is None


def test_wall_is_a_date_of_its_own(source):
    day = datetime(2013, 7, 22, 5, tzinfo=UTC)
    clock = Clock(60, source=source, wall=day)
    source.now += 60
    assert clock.wall(clock.now()) == day + timedelta(hours=1)
    assert "2013-07-22 06:00:00 speed=60" in repr(clock)


def test_jump_never_goes_back(source):
    clock = Clock(math.inf, source=source)
    clock.jump(500)
    clock.jump(300)
    assert clock.now() == 500


# --- timers


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def timers(loop):
    return Timers(Clock(source=loop.time), loop)


def test_timers_fire_in_order_and_equal_times_as_they_were_set(loop, timers):
    seen = []
    for at, name in [(3, "c"), (1, "a"), (3, "d"), (2, "b"), (3, "e")]:
        timers.at(at, lambda name=name: seen.append((name, loop.time())))
    loop.run_until_idle()
    assert seen == [("a", 1), ("b", 2), ("c", 3), ("d", 3), ("e", 3)]
    assert len(timers) == 0


def test_a_cancelled_timer_never_fires(loop, timers):
    seen = []
    timer = timers.at(1, lambda: seen.append("cancelled"))
    timers.at(2, lambda: seen.append("kept"))
    timer.cancel()
    loop.run_until_idle()
    assert seen == ["kept"]


def test_a_timer_that_raises_does_not_hold_the_others_up(loop, timers, caplog):
    seen = []
    timers.at(1, lambda: 1 / 0)
    timers.at(1, lambda: seen.append(1))
    timers.at(2, lambda: seen.append(2))
    loop.run_until_idle()
    assert seen == [1, 2]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


def test_a_leaping_clock_does_not_leap_to_what_was_cancelled(loop):
    clock = Clock(math.inf, source=loop.time)
    timers = Timers(clock, loop)
    timers.at(100, print).cancel()
    timers.at(50, lambda: None)
    loop.run_until_idle()
    assert clock.now() == 50


def test_a_leaping_clock_does_not_leap_to_never(loop):
    clock = Clock(math.inf, source=loop.time)
    timers = Timers(clock, loop)
    timers.at(math.inf, lambda: None)
    loop.run_until_idle()
    assert clock.now() == 0


def test_work_that_is_ready_runs_before_time_leaps(loop):
    clock = Clock(math.inf, source=loop.time)
    seen = []

    async def work():
        for _ in range(10):
            await asyncio.sleep(0)
            seen.append(clock.now())

    Timers(clock, loop).at(50, lambda: seen.append("leapt"))
    loop.run_until_complete(work())
    loop.run_until_idle()
    assert seen == [0] * 10 + ["leapt"]


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([0, 0.1, 1, 60, math.inf])), max_size=15), st.integers())
def test_speed_changes_neither_lose_nor_reorder_timers(changes, seed):
    loop = VirtualLoop()
    clock = Clock(source=loop.time)
    timers = Timers(clock, loop)
    due = [random.Random(seed).randint(0, 1000) for _ in range(30)]
    seen = []
    for at in due:
        timers.at(at, lambda at=at: seen.append((at, clock.now())))
    for seconds, speed in changes:
        loop.advance(seconds)
        clock.speed = speed
        timers.arm()
    clock.speed = 1
    timers.arm()
    loop.run_until_idle()
    loop.close()
    assert [at for at, _ in seen] == sorted(due)
    assert all(now >= at for at, now in seen)


# --- the manager's speed


@virtual
async def test_the_speed_knob_carries_everything_that_waits(manager):
    order = []

    async def sleepy(activity, state, ctx):
        await ctx.sleep(activity.payload)
        order.append((activity.payload, ctx.now()))
        return state

    receipts = [manager.create(f"r{n}", 0, sleepy).send_nowait(n) for n in (3600, 60, 600)]
    await asyncio.sleep(30)
    manager.speed = 0
    await asyncio.sleep(100_000)
    assert order == []
    assert manager.clock.now() == 30
    manager.speed = 60
    await asyncio.sleep(0.5)
    assert order == [(60, 60)]
    manager.speed = 0.1
    await asyncio.sleep(100)
    assert order == [(60, 60)]
    assert manager.clock.now() == pytest.approx(70)
    manager.speed = math.inf
    for receipt in receipts:
        await receipt
    assert order == [(60, 60), (600, 600), (3600, 3600)]


@virtual
async def test_a_stopped_clock_lets_nothing_time_out(manager):
    release = asyncio.Event()

    async def wait(activity, state):
        await release.wait()
        return state + 1

    runtime = manager.create("a", 0, wait, timeout=1)
    receipt = runtime.send_nowait(1)
    await turns()
    manager.speed = 0
    await asyncio.sleep(1000)
    release.set()
    assert (await receipt).ok


@virtual
async def test_a_delay_and_a_deadline_follow_the_speed(manager):
    async def sleeps(activity, state, ctx):
        await ctx.sleep(1000)

    manager.speed = 60
    runtime = manager.create("a", 0, sleeps, timeout=120)
    receipt = runtime.send_nowait(1, delay=60)
    with pytest.raises(TimeoutError):
        await receipt
    assert asyncio.get_running_loop().time() == pytest.approx(3)
    assert receipt.outcome.wait == pytest.approx(60)
    assert receipt.outcome.service == pytest.approx(120)


def test_a_clock_may_be_given():
    day = datetime(2013, 7, 22, 5, tzinfo=UTC)
    with RuntimeManager(loop="thread", clock=Clock(0, wall=day)) as manager:
        assert manager.clock.wall(manager.clock.now()) == day


@virtual
async def test_a_change_of_speed_is_on_the_record(manager):
    manager.speed = 60
    (event,) = [r for r in manager.ring.since(0)[0] if r.kind == "speed"]
    assert event.detail == {"from": 1, "to": 60}


@virtual
async def test_a_time_that_is_no_number_is_refused_and_the_others_are_due_all_the_same(manager):
    async def sleeps(activity, state, ctx):
        await ctx.sleep(activity.payload)
        return state + 1

    good, bad = manager.create("good", 0, sleeps), manager.create("bad", 0, sleeps)
    with pytest.raises(ProcessingError, match="seconds is nan"):
        await bad.ask(math.nan)
    assert await asyncio.wait_for(good.ask(5), 60) == 1


@virtual
async def test_a_speed_that_is_set_on_the_clock_itself_moves_what_waits(manager):
    other = RuntimeManager(loop="current", clock=manager.clock)
    try:
        waits = [asyncio.ensure_future(each.sleep(100)) for each in (manager, other)]
        await turns()
        began = manager.loop.time()
        manager.clock.speed = 100
        await asyncio.gather(*waits)
        assert manager.loop.time() - began == pytest.approx(1)
    finally:
        await other.aclose()


@pytest.mark.parametrize("speed", [0, math.inf, 0.5, 60])
def test_who_reads_while_the_speed_changes_is_never_ahead_of_who_reads_later(speed):
    source = Source()
    clock = Clock(60, source=source)
    read = []

    def beside():
        """The source, read by the setter; before it can say so, another thread reads a second later."""
        now = source.now
        if changing and not read:
            source.now += 1
            reader = threading.Thread(target=lambda: read.append(clock.now()))
            read.append(reader)
            reader.start()
            while clock._pace is not None and reader.is_alive():
                pass
        return now

    changing = False
    clock._source = beside
    changing = True
    clock.speed = speed
    read[0].join()
    assert read[1] <= clock.now()
