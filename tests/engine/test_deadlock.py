"""deadlock.py: a circle of waiting is an error at once, a chain is not."""

import asyncio
import threading

import pytest

from agentrt import DeadlockError, ProcessingError, RuntimeManager
from tests.support import add, turns, virtual

TIMEOUT = 60


def root(error):
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def asks(other, how="ask"):
    async def workflow(activity, state, ctx):
        if how == "ask":
            return await ctx.ask(other, activity.payload)
        if how == "receipt":
            return (await (await ctx.send(other, activity.payload))).state
        return await asyncio.gather(asyncio.sleep(0), ctx.ask(other, activity.payload))

    return workflow


@pytest.mark.parametrize("how", ["ask", "receipt", "gather"])
@pytest.mark.parametrize("length", [1, 2, 5])
@virtual
async def test_a_circle_of_any_length_and_kind_is_an_error(manager, length, how):
    names = [f"r{n}" for n in range(length)]
    for n, name in enumerate(names):
        manager.create(name, 0, asks(names[(n + 1) % length], how))
    with pytest.raises(ProcessingError) as caught:
        await asyncio.wait_for(manager.ask("r0", 1), 60)
    error = root(caught.value)
    assert isinstance(error, DeadlockError)
    assert error.chain[0] == error.chain[-1] == error.runtime
    assert set(error.chain) == set(names)
    assert "ctx.send" in str(error)
    await manager.aclose()


@virtual
async def test_through_the_handle_it_is_found_as_well(manager):
    async def ask_back(activity, state):
        return await manager["a"].ask(1)

    async def ask_b(activity, state):
        return await manager.ask("b", 1)

    manager.create("a", 0, ask_b)
    manager.create("b", 0, ask_back)
    with pytest.raises(ProcessingError) as caught:
        await asyncio.wait_for(manager.ask("a", 1), 60)
    assert isinstance(root(caught.value), DeadlockError)
    await manager.aclose()


@virtual
async def test_sending_to_itself_without_waiting_is_fine(manager):
    async def again(activity, state, ctx):
        if activity.payload:
            await ctx.send("a", activity.payload - 1)
        return state + 1

    runtime = manager.create("a", 0, again)
    await runtime.ask(5)
    await turns(100)
    assert runtime.state == 6


@virtual
async def test_a_circle_that_is_over_is_forgotten(manager):
    async def ask_b(activity, state, ctx):
        return await ctx.ask("b", 1)

    async def ask_a_later(activity, state, ctx):
        if activity.payload == "now":
            return await ctx.ask("a", 1)
        return state + 1

    a, b = manager.create("a", 0, ask_b), manager.create("b", 0, ask_a_later)
    await a.ask(1)
    assert (a.entry.waits_for, b.entry.waits_for) == ({}, None)


@pytest.mark.parametrize("through", ["ctx", "handle"])
@virtual
async def test_what_can_not_be_waited_for_is_not_sent(manager, through):
    async def ask_itself(activity, state, ctx):
        with pytest.raises(DeadlockError):
            await (ctx.ask("a", 1) if through == "ctx" else manager["a"].ask(1))
        return state + 1

    runtime = manager.create("a", 0, ask_itself)
    assert await runtime.ask(1) == 1
    await turns(50)
    assert runtime.fates().accepted == 1


@virtual
async def test_a_task_that_outlives_its_activity_may_ask_the_runtime_that_started_it(manager):
    answers = []

    async def poll():
        for _ in range(3):
            await asyncio.sleep(1)
            answers.append(await manager.ask("a", "tick"))

    async def workflow(activity, state, ctx):
        if activity.payload == "start":
            tasks.append(asyncio.create_task(poll()))
        await asyncio.sleep(0.9)
        return state + 1

    tasks = []
    runtime = manager.create("a", 0, workflow)
    start = runtime.send_nowait("start")
    await start
    for _ in range(3):
        runtime.send_nowait("work")
    await tasks[0]
    assert len(answers) == 3
    ticks = [record for record in manager.ring.since(0)[0] if getattr(record, "payload", None) == "tick"]
    assert {(tick.source, tick.parent) for tick in ticks} == {("a", start.id)}


@virtual
async def test_who_is_only_waited_for_by_a_task_of_an_earlier_activity_may_ask_back(manager):
    async def start(activity, state):
        if activity.payload == "start":
            tasks.append(asyncio.create_task(manager.ask("b", 1)))
            await asyncio.sleep(1)
        return state + 1

    async def ask_back(activity, state, ctx):
        await asyncio.sleep(2)
        return await ctx.ask("a", 1)

    tasks = []
    runtime = manager.create("a", 0, start)
    manager.create("b", 0, ask_back)
    await runtime.ask("start")
    assert await tasks[0] == 2


@virtual
async def test_a_workflow_that_waits_for_its_own_end_is_told(manager):
    async def ends(activity, state):
        with pytest.raises(DeadlockError):
            await manager["a"].terminate(drain=True)
        return state + 1

    receipt = manager.create("a", 0, ends).send_nowait(1)
    assert (await asyncio.wait_for(receipt, 60)).state == 1
    await turns()
    assert "a" not in manager


@virtual
async def test_a_chain_of_waits_may_be_as_long_as_it_likes(manager):
    n = 2000

    async def chain(activity, state, ctx):
        following = int(ctx.runtime) + 1
        if following == n:
            with pytest.raises(DeadlockError) as caught:
                await ctx.ask("0", 1)
            assert len(caught.value.chain) == n + 1
        else:
            await ctx.ask(str(following), 1)
        return state + 1

    for number in range(n):
        manager.create(str(number), 0, chain)
    assert await manager.ask("0", 1) == 1
    await turns()
    assert await manager.ask("0", 1) == 2


@virtual
async def test_someone_outside_waits_for_whom_it_likes(manager):
    slow = manager.create("slow", 0, add)
    slow.pause()
    outside = [asyncio.create_task(slow.ask(1)) for _ in range(3)]
    await turns()
    slow.resume()
    assert [await task for task in outside] == [1, 2, 3]


def test_a_blocking_workflow_that_waits_for_itself_is_told():
    def ask_itself(activity, state):
        return manager["a"].send_nowait(1).result(TIMEOUT).state

    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, ask_itself, blocking=True)
        with pytest.raises(ProcessingError) as caught:
            runtime.send_nowait(1).result(TIMEOUT)
        assert isinstance(root(caught.value), DeadlockError)
        manager.run(runtime.terminate())


def test_a_circle_across_threads_is_found():
    def ask_b(activity, state):
        return manager["b"].send_nowait(1).result(TIMEOUT).state

    async def ask_a(activity, state, ctx):
        return await ctx.ask("a", 1)

    with RuntimeManager(loop="thread") as manager:
        a = manager.create("a", 0, ask_b, blocking=True)
        manager.create("b", 0, ask_a)
        with pytest.raises(ProcessingError) as caught:
            a.send_nowait(1).result(TIMEOUT)
        assert isinstance(root(caught.value), DeadlockError)
        assert threading.active_count() < 100
