"""failure.py: a cancellation that ends one activity, comes late, or comes from elsewhere, and what follows that."""

import asyncio
import contextlib

import pytest

from agentrt import ProcessingError, Status
from tests.support import fail, virtual


async def broken_group():
    """What a failed task group leaves behind on Python 3.11 and 3.12: a request for cancellation that nobody takes."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(None, None))
    except Exception:
        await asyncio.sleep(1)
        raise


async def cancelled_in_a_group(activity, state):
    async with asyncio.timeout(0.05):
        await broken_group()


async def cancelled_by_itself(activity, state):
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


async def cancelled_by_a_helper(activity, state):
    asyncio.get_running_loop().call_later(1, asyncio.current_task().cancel)
    await asyncio.sleep(10)


@pytest.mark.parametrize("broken", [cancelled_in_a_group, cancelled_by_itself, cancelled_by_a_helper])
@virtual
async def test_a_cancellation_that_is_not_the_end_of_the_loop_fails_one_activity(manager, broken):
    async def work(activity, state):
        if activity.payload == "break":
            await broken(activity, state)
        await asyncio.sleep(1)
        return state + 1

    runtime = manager.create("a", 0, work)
    receipts = [runtime.send_nowait(word) for word in ("break", "on", "break", "on")]
    for receipt, state in zip(receipts, (None, 1, None, 2), strict=True):
        if state is None:
            with pytest.raises(ProcessingError):
                await receipt
        else:
            assert (await receipt).state == state
    assert (runtime.fates().failed, runtime.fates().done) == (2, 2)


@virtual
async def test_a_cancellation_is_tried_again(manager):
    tries = []

    async def work(activity, state):
        tries.append(asyncio.current_task().cancelling())
        if len(tries) < 3:
            await cancelled_by_itself(activity, state)
        return state + 1

    assert await manager.create("a", 0, work, retries=3, backoff=1).ask(1) == 1
    assert tries == [0, 0, 0]


@virtual
async def test_a_cancellation_that_comes_late_does_not_end_an_idle_runtime(manager):
    async def leaves_a_timer(activity, state):
        asyncio.get_running_loop().call_later(1, asyncio.current_task().cancel)
        return state + 1

    runtime = manager.create("a", 0, leaves_a_timer)
    assert await runtime.ask(1) == 1
    await asyncio.sleep(5)
    assert "a" in manager
    assert await runtime.ask(1) == 2


@virtual
async def test_who_cancels_its_own_task_and_comes_back_does_not_harm_what_follows(manager):
    async def odd(activity, state):
        if activity.payload == "cancel":
            asyncio.current_task().cancel()
        else:
            await asyncio.sleep(1)
        return state + 1

    runtime = manager.create("a", 0, odd)
    receipts = [runtime.send_nowait(word) for word in ("cancel", "sleep", "sleep")]
    assert [(await receipt).state for receipt in receipts] == [1, 2, 3]


@pytest.mark.parametrize("end", ["returns", "raises"])
@virtual
async def test_one_that_is_interrupted_by_what_it_asks_does_not_harm_what_follows(manager, end):
    async def right(activity, state):
        raise ValueError

    async def left(activity, state, ctx):
        if activity.payload != "ask":
            await asyncio.sleep(1)
            return state + 1
        with contextlib.suppress(ProcessingError):
            await ctx.ask("right", 1)
        if end == "raises":
            raise ValueError
        return state + 1

    group = manager.group("both", "one_for_all", intensity=100)
    group.create("right", 0, right)
    runtime = group.create("left", 0, left)
    with pytest.raises(ProcessingError):
        await manager.ask("right", 1)  # both have their tasks from now on, and rest
    await runtime.ask("sleep")
    asks, sleeps = runtime.send_nowait("ask"), [runtime.send_nowait("sleep") for _ in range(2)]
    with pytest.raises(ProcessingError, match="restarted by its group 'both'"):
        await asks
    assert [(await receipt).state for receipt in sleeps] == [1, 2]
    assert runtime.status is Status.IDLE
