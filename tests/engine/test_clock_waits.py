"""clock_waits.py: time leaps only while nothing else can happen; what takes real time is not late by a leap."""

import asyncio
import contextlib
import math
import socket
import threading
import time

import pytest

from agentrt import ActivityTimeoutError, Clock, ProcessingError, RuntimeManager
from agentrt.engine.clock_waits import waits_for_clock
from tests.support import add, virtual

WAIT = 60  # real seconds that nothing here takes
HOUR = 3600.0


def _default_loop():
    return asyncio.new_event_loop()


def _uvloop():
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.fixture(params=[_default_loop, _uvloop], ids=["asyncio", "uvloop"])
def leaping(request):
    """Runs `main(manager)` on a real loop, with a manager whose clock leaps."""

    def run(main):
        async def wrapped():
            async with RuntimeManager(loop="current", clock=Clock(math.inf)) as manager:
                return await asyncio.wait_for(main(manager), WAIT)

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(wrapped())

    return run


# --- what takes real time is not late


def blocking(activity, state):
    time.sleep(0.02)
    return state + 1


async def in_thread(activity, state):
    return await asyncio.to_thread(blocking, activity, state)


async def on_timer(activity, state):
    await asyncio.sleep(0.02)
    return state + 1


async def many_turns(activity, state):
    for _ in range(200):
        await asyncio.sleep(0)
    return state + 1


async def on_event(activity, state):
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    threading.Timer(0.02, loop.call_soon_threadsafe, [event.set]).start()
    await event.wait()
    return state + 1


async def from_socket(activity, state):
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    threading.Timer(0.02, far.sendall, [b"answer\n"]).start()
    try:
        assert await reader.readline() == b"answer\n"
    finally:
        writer.close()
        far.close()
    return state + 1


async def beside_a_sleep(activity, state, ctx):
    """One task sleeps on the clock, another works; the activity waits for both."""
    await asyncio.gather(ctx.sleep(1), on_timer(activity, state))
    return state + 1


async def beside_a_sleeping_task(activity, state, ctx):
    """A task in the background wakes now and then on the clock; the activity does not wait for it."""

    async def beat():
        while True:
            await ctx.sleep(1)

    beating = asyncio.create_task(beat())
    await on_timer(activity, state)
    beating.cancel()
    return state + 1


async def in_group(activity, state, ctx):
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.sleep(1))
        group.create_task(in_thread(activity, state))
    return state + 1


async def with_deadline_of_its_own(activity, state):
    return await asyncio.wait_for(in_thread(activity, state), WAIT)


REAL = [
    *(in_thread, on_timer, many_turns, on_event, from_socket),
    *(beside_a_sleep, beside_a_sleeping_task, in_group, with_deadline_of_its_own),
]


@pytest.mark.parametrize("workflow", REAL, ids=lambda workflow: workflow.__name__)
def test_work_that_takes_real_time_is_not_late_by_a_leap(leaping, workflow):
    async def main(manager):
        return await manager.create("works", 0, workflow, timeout=30).ask(1)

    assert leaping(main) == 1


@pytest.mark.parametrize("limits", [{"blocking": True}, {"isolation": "process"}], ids=str)
def test_nor_is_a_workflow_in_a_thread_or_a_process(leaping, limits):
    if "isolation" in limits:
        pytest.importorskip("cloudpickle")

    async def main(manager):
        return await manager.create("works", 0, blocking, timeout=30, **limits).ask(1)

    assert leaping(main) == 1


def test_on_a_thread_of_its_own_too():
    with RuntimeManager(loop="thread", clock=Clock(math.inf)) as manager:
        for n, workflow in enumerate(REAL):
            assert manager.create(str(n), 0, workflow, timeout=30).send_nowait(1).result(WAIT).state == 1


def test_another_runtime_that_sleeps_does_not_wake_before_the_work_is_done(leaping):
    order = []

    async def sleeps(activity, state, ctx):
        await ctx.sleep(5)
        order.append("slept")
        return state

    async def works(activity, state):
        await in_thread(activity, 0)
        order.append("worked")
        return state

    async def main(manager):
        receipts = [
            manager.create("sleeps", 0, sleeps).send_nowait(1),
            manager.create("works", 0, works).send_nowait(1),
        ]
        for receipt in receipts:
            await receipt

    leaping(main)
    assert order == ["worked", "slept"]


def test_what_hangs_is_late_once_its_time_has_really_passed(leaping):
    async def hangs(activity, state):
        await asyncio.Event().wait()

    async def main(manager):
        began = time.monotonic()
        with pytest.raises(ActivityTimeoutError):
            await manager.create("hangs", 0, hangs, timeout=0.1, grace=0.1).ask(1)
        return time.monotonic() - began

    assert leaping(main) >= 0.09


# --- what waits for the clock is leapt over


async def sleeps(activity, state, ctx):
    await ctx.sleep(HOUR)
    return state + 1


async def sleeps_twice(activity, state, ctx):
    await asyncio.gather(ctx.sleep(HOUR), ctx.sleep(HOUR / 2))
    return state + 1


async def sleeps_in_a_group(activity, state, ctx):
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.sleep(HOUR))
        group.create_task(ctx.sleep(HOUR / 2))
    return state + 1


async def sleeps_under_a_timeout(activity, state, ctx):
    await asyncio.wait_for(ctx.sleep(HOUR), WAIT)
    async with asyncio.timeout(WAIT):
        await asyncio.wait([asyncio.create_task(ctx.sleep(HOUR)), asyncio.create_task(ctx.sleep(HOUR / 2))])
    return state + 1


async def sleeps_in_turn(activity, state, ctx):
    """One task at a time: the others wait for the lock and the semaphore."""
    lock, semaphore = asyncio.Lock(), asyncio.Semaphore(1)

    async def sleep():
        async with lock, semaphore:
            await ctx.sleep(HOUR / 2)

    await asyncio.gather(sleep(), sleep())
    return state + 1


async def asks_one_that_sleeps(activity, state, ctx):
    return state + await ctx.ask("sleeper", 1)


async def waits_for_the_receipt_of_one_that_sleeps(activity, state, ctx):
    receipt = await ctx.send("sleeper", 1)
    return state + (await receipt).state


SLEEPING = [
    *(sleeps, sleeps_twice, sleeps_in_a_group, sleeps_under_a_timeout, sleeps_in_turn),
    *(asks_one_that_sleeps, waits_for_the_receipt_of_one_that_sleeps),
]


@pytest.mark.parametrize("workflow", SLEEPING, ids=lambda workflow: workflow.__name__)
def test_time_leaps_over_what_waits_for_the_clock(leaping, workflow):
    async def main(manager):
        manager.create("sleeper", 0, sleeps)
        began, at = time.monotonic(), manager.clock.now()
        assert await manager.create("waits", 0, workflow).ask(1) == 1
        return time.monotonic() - began, manager.clock.now() - at

    real, passed = leaping(main)
    assert real < WAIT / 2
    assert passed > HOUR - 1


def test_so_does_one_that_watches_another(leaping):
    async def main(manager):
        sleeper = manager.create("sleeper", 0, sleeps)

        async def watches(activity, state):
            records = sleeper.subscribe()
            await sleeper.send(1)
            return state + len([record async for record in records if record.kind == "done" and not records.close()])

        assert await manager.create("watches", 0, watches).ask(1) == 1

    leaping(main)


def test_one_that_is_stuck_holds_up_nobody(leaping):
    async def main(manager):
        end = asyncio.Event()

        async def ignores(activity, state):
            while not end.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await end.wait()
            return state

        stuck = manager.create("stuck", 0, ignores, timeout=0.01, grace=0.01)
        try:
            with pytest.raises(ActivityTimeoutError):
                await stuck.ask(1)
            assert stuck.status == "stuck"
            assert await manager.create("sleeps", 0, sleeps).ask(1) == 1
        finally:
            end.set()

    leaping(main)


def test_managers_with_one_clock_wait_for_each_other(leaping):
    async def main(manager):
        async with RuntimeManager(loop="current", clock=manager.clock) as other:
            late = manager.create("works", 0, in_thread, timeout=30).send_nowait(1)
            assert await other.create("sleeps", 0, sleeps).ask(1) == 1
            assert (await late).state == 1

    leaping(main)


def test_retries_and_delays_are_leapt_over_and_deadlines_with_them(leaping):
    attempts = []

    async def fails_twice(activity, state):
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("not yet")
        return state + 1

    async def main(manager):
        began = time.monotonic()
        assert await manager.create("retries", 0, fails_twice, retries=3, backoff=HOUR).ask(1) == 1
        await manager.create("delayed", 0, add).send_nowait(1, delay=HOUR)
        with pytest.raises(ActivityTimeoutError):
            await manager.create("late", 0, sleeps, timeout=HOUR / 2).ask(1)
        return time.monotonic() - began

    assert leaping(main) < WAIT / 2


def test_time_leaps_again_once_the_work_is_done(leaping):
    async def works_then_sleeps(activity, state, ctx):
        for _ in range(5):
            await in_thread(activity, 0)
            await ctx.sleep(HOUR)
        return state + 1

    async def main(manager):
        at = manager.clock.now()
        assert await manager.create("both", 0, works_then_sleeps).ask(1) == 1
        return manager.clock.now() - at

    assert leaping(main) > 5 * HOUR - 1


def test_many_that_sleep_cost_little_a_leap(leaping):
    async def sleeps_often(activity, state, ctx):
        for n in range(5):
            await ctx.sleep(1 + (activity.payload + n) % 7)
        return state + 1

    async def main(manager):
        receipts = [manager.create(str(n), 0, sleeps_often).send_nowait(n) for n in range(300)]
        for receipt in receipts:
            await receipt
        assert not manager._sleepers

    leaping(main)


# --- a clock that is only fast


def on_the_loop(activity, state):
    time.sleep(0.002)
    return state + 1


@pytest.fixture
def fast():
    with RuntimeManager(loop="thread", clock=Clock(1e6)) as manager:
        yield manager


@pytest.mark.parametrize("workflow", [*REAL, on_the_loop], ids=lambda workflow: workflow.__name__)
def test_work_that_takes_real_time_is_not_late_on_a_fast_clock(fast, workflow):
    assert fast.create("works", 0, workflow, timeout=30).send_nowait(1).result(WAIT).state == 1


def test_nor_is_another_attempt_or_a_blocking_one(fast):
    attempts = []

    def fails_once(activity, state):
        time.sleep(0.02)
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("not yet")
        return state + 1

    runtime = fast.create("works", 0, fails_once, timeout=30, retries=1, blocking=True)
    assert runtime.send_nowait(1).result(WAIT).state == 1


def test_on_a_fast_clock_what_hangs_is_late_once_its_time_has_really_passed(fast):
    async def hangs(activity, state):
        await asyncio.Event().wait()

    began = time.monotonic()
    runtime = fast.create("hangs", 0, hangs, timeout=0.1, grace=0.1)
    with pytest.raises(ActivityTimeoutError):
        runtime.send_nowait(1).result(WAIT)
    assert time.monotonic() - began > 0.09


def test_on_a_fast_clock_what_waits_for_the_clock_is_late_at_its_time(fast):
    async def works_then_sleeps(activity, state, ctx):
        await in_thread(activity, 0)
        await ctx.sleep(1e9)

    async def only_sleeps(activity, state, ctx):
        await ctx.sleep(1e9)

    for n, workflow in enumerate((works_then_sleeps, only_sleeps)):
        began = time.monotonic()
        with pytest.raises(ActivityTimeoutError):
            fast.create(str(n), 0, workflow, timeout=WAIT).send_nowait(1).result(WAIT)
        assert time.monotonic() - began < WAIT / 2


def test_a_slower_clock_afterwards_does_not_make_it_late(fast):
    going, end = threading.Event(), threading.Event()

    def works(activity, state):
        going.set()
        end.wait(WAIT)
        return state + 1

    receipt = fast.create("works", 0, works, timeout=30, blocking=True).send_nowait(1)
    assert going.wait(WAIT)
    deadline = fast.clock.now() + 1000
    while fast.clock.now() < deadline or not fast.deadlines._extended:
        time.sleep(0)
    fast.speed = 1
    fast.do(fast.deadlines._sweep)
    end.set()
    assert receipt.result(WAIT).state == 1


@virtual
async def test_on_a_virtual_loop_what_hangs_is_late_at_its_time(manager):
    async def hangs(activity, state):
        await asyncio.Event().wait()

    manager.speed = math.inf
    at = manager.clock.now()
    with pytest.raises(ActivityTimeoutError):
        await manager.create("hangs", 0, hangs, timeout=HOUR).ask(1)
    assert manager.clock.now() - at == pytest.approx(HOUR)


@virtual
async def test_on_a_virtual_loop_threads_are_waited_for(manager):
    manager.speed = math.inf
    assert await manager.create("works", 0, in_thread, timeout=30).ask(1) == 1
    assert await manager.create("blocks", 0, blocking, timeout=30, blocking=True).ask(1) == 1


@virtual
async def test_a_failure_while_it_sleeps_leaves_no_sleeper(manager):
    async def breaks(activity, state, ctx):
        async with asyncio.timeout(1):
            await ctx.sleep(HOUR)

    with pytest.raises(ProcessingError):
        await manager.create("breaks", 0, breaks).ask(1)
    assert not manager._sleepers


@virtual
async def test_what_it_waits_for_is_read_from_the_task(manager):
    async def idle():
        await asyncio.Event().wait()

    waiting = manager.clock.waiting
    tasks = {
        True: [manager.sleep(HOUR), asyncio.wait_for(manager.sleep(HOUR), 2 * HOUR)],
        False: [idle(), asyncio.sleep(HOUR), asyncio.wait_for(idle(), HOUR)],
    }
    tasks = {expected: [asyncio.create_task(each) for each in each_kind] for expected, each_kind in tasks.items()}
    for _ in range(3):
        await asyncio.sleep(0)
    for expected, each_kind in tasks.items():
        for task in each_kind:
            assert waits_for_clock(task, waiting) is expected, task
            assert not waits_for_clock(task, set())
            task.cancel()
    ready = asyncio.create_task(asyncio.sleep(0))
    assert not waits_for_clock(ready, waiting)
    await ready
    assert not waits_for_clock(ready, waiting)
    assert not waits_for_clock(None, waiting)
