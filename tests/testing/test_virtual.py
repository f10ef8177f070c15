"""agentrt.testing: a virtual clock, seeded interleavings, and a loop that says so when it has nothing left to do."""

import asyncio
import itertools
import math
import threading
import time

import pytest

from agentrt.testing.virtual import StalledError, VirtualLoop, run

SEEDS = range(20)


@pytest.fixture
def loop():
    loop = VirtualLoop(patience=0.05)
    yield loop
    loop.close()


async def letters(order, name, turns=3):
    for turn in range(turns):
        order.append(f"{name}{turn}")
        await asyncio.sleep(0)


def interleaving(seed):
    async def main():
        order = []
        await asyncio.gather(*(letters(order, name) for name in "abcd"))
        return tuple(order)

    return run(main(), seed=seed)


# --- time


def test_time_jumps_to_the_next_timer():
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(10 * 24 * 3600)
        return loop.time()

    before = time.monotonic()
    assert run(main()) == 10 * 24 * 3600
    assert time.monotonic() - before < 1


def test_timers_run_in_their_order_and_at_their_time(loop):
    seen = []
    for delay in (3, 1, 2, 1):
        loop.call_later(delay, lambda delay=delay: seen.append((delay, loop.time())))
    loop.run_until_idle()
    assert seen == [(1, 1.0), (1, 1.0), (2, 2.0), (3, 3.0)]


def test_a_cancelled_timer_does_not_move_the_clock(loop):
    loop.call_later(60, print).cancel()
    loop.call_later(1, print).cancel()
    timer = loop.call_later(2, int)
    loop.run_until_idle()
    assert loop.time() == timer.when() == 2


def test_a_timer_far_out_comes_due(loop):
    """Where a float no longer tells a nanosecond apart."""
    assert loop.run_until_complete(asyncio.sleep(1e12, "done")) == "done"


def test_the_smallest_delay_moves_the_clock(loop):
    """Code that sets a timer again until its time has come would otherwise turn for ever."""
    loop.advance(1e6)
    loop.run_until_complete(asyncio.sleep(1e-30))
    assert 1e6 < loop.time() < 1e6 + 1e-6


def test_timeouts_work():
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 600)
        return asyncio.get_running_loop().time()

    assert run(main()) == 600


def test_advance_stops_the_clock_there(loop):
    seen = []
    for delay in (1, 2, 3):
        loop.call_later(delay, seen.append, delay)
    loop.call_later(2, loop.call_soon, loop.call_later, 0, seen.append, "at once")
    loop.advance(2)
    assert (seen, loop.time()) == ([1, 2, "at once"], 2)
    loop.advance(0.5)
    assert (seen, loop.time()) == ([1, 2, "at once"], 2.5)


def test_a_limit_ends_what_ticks_for_ever():
    async def tick():
        while True:
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError):
        run(tick(), timeout=3600)


# --- seeds


def test_without_a_seed_callbacks_run_first_in_first_out():
    expected = tuple(f"{name}{turn}" for turn in range(3) for name in "abcd")
    assert interleaving(None) == expected


def test_one_seed_is_one_run():
    assert [interleaving(seed) for seed in SEEDS] == [interleaving(seed) for seed in SEEDS]


def test_seeds_differ():
    assert len({interleaving(seed) for seed in SEEDS}) > len(SEEDS) / 2


def test_every_order_of_three_is_found():
    async def main():
        order = []
        await asyncio.gather(*(letters(order, name, turns=1) for name in "abc"))
        return tuple(order)

    assert len({run(main(), seed=seed) for seed in range(100)}) == math.factorial(3)


def test_timers_of_one_instant_are_shuffled():
    async def main():
        order = []

        async def wake(name):
            await asyncio.sleep(5)
            order.append(name)

        await asyncio.gather(*map(wake, "abc"))
        return tuple(order)

    assert len({run(main(), seed=seed) for seed in range(50)}) == math.factorial(3)


def test_a_task_runs_its_own_steps_in_order():
    for seed in SEEDS:
        order = interleaving(seed)
        assert all([step for step in order if step[0] == name] == [f"{name}{n}" for n in range(3)] for name in "abcd")


def test_streams_work_under_every_seed():
    async def main():
        loop = asyncio.get_running_loop()

        async def echo(reader, writer):
            writer.write(await reader.read())
            writer.close()

        with loop.hold():
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello")
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 1)
            writer.close()
            server.close()
        return answer

    assert {run(main(), seed=seed) for seed in SEEDS} == {b"hello"}


# --- nothing left to do


def test_nothing_left_to_do_is_an_error_that_says_where():
    async def forgotten():
        await asyncio.Event().wait()

    with pytest.raises(StalledError, match=r"at 2 s nothing is left to do") as caught:
        run(asyncio.wait_for(wait_after(2, forgotten), None))
    assert all("locks.py" in line for line in caught.value.waiting.values())
    assert caught.value.chain == tuple(caught.value.waiting)


async def wait_after(delay, forgotten):
    await asyncio.sleep(delay)
    await forgotten()


def test_sleeping_until_infinity_is_nothing_to_do():
    with pytest.raises(StalledError):
        run(asyncio.sleep(math.inf))


def test_the_loop_goes_on_after_it_had_nothing_to_do(loop):
    event = asyncio.Event()
    waiting = loop.create_task(event.wait())
    with pytest.raises(StalledError):
        loop.run_until_complete(waiting)
    event.set()
    assert loop.run_until_complete(waiting) is True


def test_run_until_idle_leaves_what_waits_alone(loop):
    event = asyncio.Event()
    task = loop.create_task(event.wait())
    loop.run_until_idle()
    assert not task.done()
    event.set()
    loop.run_until_idle()
    assert task.result() is True


def test_run_until_idle_of_an_idle_loop_returns(loop):
    loop.run_until_idle()
    assert loop.time() == 0


# --- run


def test_run_cancels_what_is_left_and_shuts_generators_down():
    ended = []

    async def leftover():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    async def generate():
        try:
            yield 1
            yield 2
        finally:
            ended.append("generator")

    async def main():
        main.task = asyncio.create_task(leftover())
        main.generator = generate()
        return await anext(main.generator)

    assert run(main()) == 1
    assert ended == ["task", "generator"]
    assert main.task.cancelled()


def test_run_passes_an_exception_on():
    async def fail():
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        run(fail())


def test_run_leaves_no_loop_behind():
    loops = []

    async def main():
        loops.append(asyncio.get_running_loop())

    run(main())
    assert loops[0].is_closed()
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


# --- threads


def test_the_clock_stands_still_while_a_thread_works():
    async def main():
        loop = asyncio.get_running_loop()
        timer = loop.call_later(60, print, "jumped")
        result = await asyncio.to_thread(math.factorial, 5000)
        timer.cancel()
        return loop.time(), result == math.factorial(5000)

    assert run(main()) == (0.0, True)


def test_a_thread_that_hangs_meets_its_timeout(loop):
    release = threading.Event()

    async def main():
        await asyncio.wait_for(asyncio.to_thread(release.wait), 0.1)

    with pytest.raises(TimeoutError):
        loop.run_until_complete(main())
    release.set()
    assert loop.time() == pytest.approx(0.1)
    loop.run_until_complete(loop.shutdown_default_executor())


def test_a_call_from_another_thread_is_waited_for_before_the_loop_gives_up():
    async def main():
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        start = threading.Event()
        thread = threading.Thread(target=lambda: (start.wait(), loop.call_soon_threadsafe(called.set)))
        thread.start()
        loop.call_soon(start.set)
        await called.wait()
        thread.join()
        return loop.time()

    assert run(main()) == 0


def test_running_for_ever_sleeps_until_another_thread_calls(loop):
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600, "later"), loop)
    assert future.result(60) == "later"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    assert not thread.is_alive()


def test_a_hold_keeps_the_clock_from_jumping():
    async def main():
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=[called.set])
        with loop.hold():
            thread.start()
            await asyncio.wait_for(called.wait(), 60)
        thread.join()
        return loop.time()

    assert run(main()) == 0


# --- speed


def test_a_day_of_seconds_is_cheap():
    """86,400 timers: what keeps a simulation of hours in seconds."""

    async def main():
        for _ in itertools.repeat(None, 86_400):
            await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert run(main(), seed=3) == 86_400
