"""manager.py: the thread-safe map of runtimes, the loop they run on, and its end."""

import asyncio
import logging
import math
import re
import threading
import time
import warnings

import pytest

from agentrt import (
    Activity,
    ConfigurationError,
    DeadlockError,
    Fate,
    ManagerClosedError,
    RuntimeManager,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
    Status,
)
from tests.support import Gate, add, collect, fail, forever, together, turns, virtual

TIMEOUT = 60


@pytest.fixture
def threaded():
    with RuntimeManager(loop="thread") as manager:
        yield manager


# --- fates, dead letters


@virtual
async def test_the_counts_of_all_outlive_their_runtimes(manager):
    for name in "ab":
        runtime = manager.create(name, 0, add)
        await runtime.ask(1)
        await runtime.terminate()
    await manager.create("c", 0, add).ask(1)
    assert (manager.fates().accepted, manager.fates().done) == (3, 3)


@virtual
async def test_dead_letters_say_what_and_why(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    runtime.send_nowait(1)
    await asyncio.sleep(5)
    await runtime.terminate()
    (letter,) = manager.dead_letters
    assert isinstance(letter.activity, Activity)
    assert (letter.activity.payload, letter.reason, letter.at) == (1, "its runtime was terminated", 5)


@virtual
async def test_what_is_kept_of_the_terminated_is_bounded(manager):
    for n in range(1_100):
        manager.create(f"r{n}", 0, add).terminate()
    assert len(manager.terminated) == 1_000
    assert "r1099" in manager.terminated


# --- the loop


def test_auto_is_a_thread_where_no_loop_runs_and_the_running_one_else():
    with RuntimeManager() as manager:
        assert manager.thread != threading.get_ident()

    async def main():
        async with RuntimeManager() as manager:
            return manager.loop is asyncio.get_running_loop()

    assert asyncio.run(main())


@pytest.mark.parametrize("loop", ["thread", "current"])
def test_it_works_the_same_on_either_loop(loop):
    async def main():
        async with RuntimeManager(loop=loop) as manager:
            runtime = manager.create("a", (), collect, standard_capacity=3)
            receipts = [await runtime.send(n) for n in range(20)]
            states = [(await receipt).state for receipt in receipts]
            assert await runtime.ask("x", priority=True) == (*range(20), "x")
            with pytest.raises(Exception, match="no 1"):
                await manager.create("b", 0, fail).ask(1)
            assert await runtime.terminate(drain=True)
            return states[-1]

    assert asyncio.run(main()) == tuple(range(20))


def test_current_needs_a_running_loop():
    with pytest.raises(ConfigurationError, match="no event loop is running"):
        RuntimeManager(loop="current")
    with pytest.raises(ConfigurationError, match="it must be 'auto', 'thread' or 'current'"):
        RuntimeManager(loop="nowhere")


def test_run_waits_and_passes_results_and_errors_on(threaded):
    threaded.create("a", 0, add)
    threaded.create("b", 0, fail)
    assert threaded.run(threaded.ask("a", 1)) == 1
    assert threaded.run(threaded.send_nowait("a", 1)).state == 2
    with pytest.raises(Exception, match="no 1"):
        threaded.run(threaded.ask("b", 1))


def test_run_waits_no_longer_than_told_and_cancels(threaded):
    cancelled = threading.Event()

    async def wait():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        threaded.run(wait(), timeout=0.01)
    assert cancelled.wait(TIMEOUT)


def test_run_on_the_loops_own_thread_says_what_to_write(threaded):
    async def inside():
        with pytest.raises(DeadlockError, match="write `await"):
            threaded.run(asyncio.sleep(0))
        return "still alive"

    assert threaded.run(inside()) == "still alive"


def test_run_before_and_after_the_current_loop_runs():
    loop = asyncio.new_event_loop()

    async def make():
        return RuntimeManager(loop="current")

    manager = loop.run_until_complete(make())
    runtime = manager.create("a", 0, add)
    assert manager.run(runtime.ask(5)) == 5
    manager.run(manager.aclose())
    loop.close()


# --- the end


def test_closing_ends_everything_and_may_be_repeated(threaded):
    running = threaded.create("a", 0, forever)
    waiting = [running.send_nowait(n) for n in range(3)]
    threaded.close()
    threaded.close()
    assert {receipt.outcome.fate for receipt in waiting} <= {Fate.TERMINATED, Fate.DEAD}
    assert threaded.fates().pending == 0
    assert threaded.loop.is_closed()
    assert running.status is Status.TERMINATED


def test_closing_from_several_threads_at_once_is_one_closing():
    manager = RuntimeManager(loop="thread")

    async def slow_to_end(activity, state):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)

    started = threading.Event()
    runtime = manager.create("a", 0, slow_to_end)
    runtime.param.watch(lambda event: started.set(), "status")
    receipt = runtime.send_nowait(1)
    assert started.wait(TIMEOUT)
    began = time.monotonic()
    assert together(6, lambda i: manager.close()) == [None] * 6
    assert time.monotonic() - began < 4
    assert manager.loop.is_closed()
    assert receipt.outcome.fate is Fate.TERMINATED


@virtual
async def test_closing_twice_on_the_current_loop_waits_both_times(manager):
    gate = Gate()

    async def slow_to_end(activity, state):
        try:
            await gate(activity, state)
        finally:
            await asyncio.sleep(0.5)

    manager.create("a", 0, slow_to_end).send_nowait(1)
    await gate.entered.wait()
    await asyncio.gather(manager.aclose(), manager.aclose())
    assert manager.clock.now() == 0.5
    await manager.aclose()


def test_a_closed_manager_says_so():
    manager = RuntimeManager(loop="thread")
    runtime = manager.create("a", 0, add)
    manager.close()
    with pytest.raises(ManagerClosedError, match="make a new one"):
        manager.create("b", 0, add)
    with pytest.raises(ManagerClosedError):
        runtime.send_nowait(1)
    with pytest.raises(ManagerClosedError):
        manager.run(runtime.ask(1))
    with pytest.raises(RuntimeTerminatedError):
        manager["a"]
    assert "closed" in repr(manager)
    manager.speed = 5
    assert manager.fates().adds_up


@virtual
async def test_those_who_wait_for_room_hear_of_the_end(manager):
    runtime = manager.create("a", 0, add, standard_capacity=1)
    runtime.pause()
    runtime.send_nowait(1)
    waiting = asyncio.create_task(runtime.send(2))
    await turns()
    await manager.aclose()
    with pytest.raises(ManagerClosedError):
        await waiting


def test_a_workflow_can_not_close_its_own_manager(threaded):
    async def close(activity, state):
        threaded.close()

    with pytest.raises(Exception, match="can't close its own manager"):
        threaded.create("a", 0, close).send_nowait(1).result(TIMEOUT)


def test_a_runtime_that_does_not_end_does_not_hold_the_closing_up(caplog):
    manager = RuntimeManager(loop="thread")
    release, started = threading.Event(), threading.Event()

    def block(activity, state):
        started.set()
        release.wait(TIMEOUT)
        return state

    manager.create("a", 0, block, blocking=True, grace=30).send_nowait(1)
    assert started.wait(TIMEOUT)
    with caplog.at_level(logging.WARNING, "agentrt"):
        manager.close(timeout=0.05)
    release.set()
    manager._own._thread.join(TIMEOUT)
    assert manager.loop.is_closed()
    assert "did not end within 0.05 s" in caplog.text


def test_closing_says_what_takes_longer_than_a_moment(caplog, monkeypatch):
    monkeypatch.setattr("agentrt.engine.closing.MOMENT", 0.0)
    manager = RuntimeManager(loop="thread")
    runtime = manager.create("a", 0, add)
    runtime.pause()
    last = [runtime.send_nowait(1) for _ in range(3)][-1]
    said = threading.Event()
    monkeypatch.setattr(caplog.handler, "emit", lambda record, emit=caplog.handler.emit: (emit(record), said.set()))
    manager.loop.call_soon_threadsafe(said.wait, TIMEOUT)  # the loop can do nothing before it has been said
    with caplog.at_level(logging.WARNING, "agentrt"):
        manager.close(timeout=TIMEOUT)
    assert re.search(r"is being closed: \d+ activities that wait still have to get their fate", caplog.text)
    assert "did not end" not in caplog.text
    assert last.outcome.kind == "dead"


def test_closing_on_its_own_loop_says_what_takes_longer_than_a_moment(caplog, monkeypatch):
    monkeypatch.setattr("agentrt.engine.closing.MOMENT", 0.0)

    async def close():
        manager = RuntimeManager(loop="current")
        runtime = manager.create("a", 0, add, standard_capacity=10_000)
        runtime.pause()
        for _ in range(10_000):  # more than one turn of the loop takes
            runtime.send_nowait(1)
        await manager.aclose()
        return manager

    with caplog.at_level(logging.WARNING, "agentrt"):
        manager = asyncio.run(close())
    assert re.search(r"is being closed: \d+ activities that wait still have to get their fate", caplog.text)
    assert manager.fates().pending == 0


def test_closing_cancels_what_a_workflow_has_left_behind():
    ended = threading.Event()

    async def leave_behind(activity, state):
        leave_behind.task = asyncio.create_task(linger())
        await asyncio.sleep(0)
        return state

    async def linger():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with RuntimeManager(loop="thread") as manager:
        manager.create("a", 0, leave_behind).send_nowait(1).result(TIMEOUT)
    assert ended.is_set()
    assert leave_behind.task.cancelled()


@pytest.mark.parametrize("busy", [False, True])
def test_a_loop_that_ends_ends_its_runtimes(busy):
    async def main():
        manager = RuntimeManager(loop="current")
        runtime = manager.create("a", 0, forever if busy else add)
        receipt = runtime.send_nowait(1)
        await asyncio.sleep(0.01)
        return manager, receipt

    manager, receipt = asyncio.run(main())
    assert "a" not in manager
    assert receipt.outcome.fate is (Fate.TERMINATED if busy else Fate.DONE)
    assert manager.fates().pending == 0


def test_sending_after_the_current_loop_is_gone_loses_nothing_silently():
    async def main():
        manager = RuntimeManager(loop="current")
        return manager, manager.create("a", 0, add)

    manager, runtime = asyncio.run(main())
    receipt = runtime.send_nowait(1)
    assert receipt.outcome.fate is Fate.DEAD
    with pytest.raises(ManagerClosedError):
        runtime.send_nowait(1)
    assert manager.fates().adds_up


def test_sending_from_another_thread_after_the_current_loop_is_gone():
    async def main():
        return RuntimeManager(loop="current").create("a", 0, add)

    runtime = asyncio.run(main())
    (receipt,) = together(1, lambda i: runtime.send_nowait(1))
    with pytest.raises(RuntimeTerminatedError):
        receipt.result(TIMEOUT)


def test_nobody_waits_for_ever_where_a_workflow_blocks_the_loop():
    entered, go_on = threading.Event(), threading.Event()

    def block(activity, state):
        entered.set()
        go_on.wait(TIMEOUT)
        return state

    manager = RuntimeManager(loop="thread")
    try:
        runs = manager.create("a", 0, block).send_nowait(1)
        assert entered.wait(TIMEOUT)
        waits = manager.create("b", 0, add).send_nowait(1)
        manager.close(timeout=0.05)
        for receipt, fate in ((runs, Fate.TERMINATED), (waits, Fate.DEAD)):
            with pytest.raises(RuntimeTerminatedError):
                receipt.result(0)
            assert receipt.outcome.fate is fate
        manager.close(timeout=0.05)
    finally:
        go_on.set()
    manager._own.stop()
    assert manager.fates().adds_up
    assert (manager.fates().terminated, manager.fates().dead) == (1, 1)


def test_closed_from_its_own_loop_it_leaves_no_thread():
    manager = RuntimeManager(loop="thread")
    manager.create("a", 0, add)
    manager.run(manager.aclose())
    manager._own._thread.join(TIMEOUT)
    assert not manager._own._thread.is_alive()
    assert manager.loop.is_closed()
    manager.close()


def test_a_context_manager_closes_on_an_error():
    with pytest.raises(ZeroDivisionError), RuntimeManager(loop="thread") as manager:
        1 / 0  # noqa: B018
    assert manager.closed


def test_two_managers_do_not_know_each_other(threaded):
    with RuntimeManager(loop="thread") as other:
        threaded.create("a", 0, add)
        other.create("a", 100, add)
        assert threaded.run(threaded.ask("a", 1)) == 1
        assert other.run(other.ask("a", 1)) == 101
        with pytest.raises(RuntimeNotFoundError):
            other["b"]


def test_an_agent_asks_one_of_another_manager(threaded):
    with RuntimeManager(loop="thread") as other:
        far = other.create("far", 0, add)

        async def ask_far(activity, state):
            return await far.ask(activity.payload)

        assert threaded.create("near", 0, ask_far).send_nowait(7).result(TIMEOUT).state == 7


# --- speed and seed


def test_the_seed_is_kept_and_given():
    with RuntimeManager(loop="thread", seed=7) as manager:
        assert manager.seed == 7
    with RuntimeManager(loop="thread") as one, RuntimeManager(loop="thread") as other:
        assert one.seed != other.seed


def test_the_speed_may_be_set_from_any_thread(threaded):
    threaded.speed = 0

    async def nap(activity, state, ctx):
        await ctx.sleep(3600)
        return state + 1

    receipt = threaded.create("a", 0, nap).send_nowait(1)
    threaded.speed = math.inf
    assert receipt.result(TIMEOUT).state == 1
    assert "speed inf" in repr(threaded)


@pytest.mark.parametrize("speed", [-1, math.nan, "fast", None])
def test_a_speed_that_can_not_be_is_refused(threaded, speed):
    with pytest.raises(ConfigurationError):
        threaded.speed = speed
    assert threaded.speed == 1


def test_what_is_no_journal_is_refused():
    with pytest.raises(ConfigurationError, match="journal is"):
        RuntimeManager(journal=3)


def test_what_is_not_made_since_a_warning_is_an_error_is_not_there(manager):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="changed in place"):
            manager.create("a", [], add)
    assert "a" not in manager
