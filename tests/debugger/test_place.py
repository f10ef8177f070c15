"""Where an activity stands: the frames it awaits in, read from the outside."""

import asyncio
import contextlib
import threading

import pytest

import agentrt
from agentrt.debugger import WAITS, How, Wait, Whereabouts
from agentrt.frames import definition_of, package_of
from agentrt.testing.virtual import run
from tests.harness.wait import wait_until


def virtual(main):
    async def go():
        async with agentrt.RuntimeManager(loop="current", seed=1) as manager:
            return await main(manager)

    return run(go(), timeout=10_000)


async def busy(runtime):
    while runtime.status != "processing":
        await asyncio.sleep(0)
    await asyncio.sleep(0)


def names(frames):
    return [frame.function.split(".")[-1] for frame in frames]


async def inner(ctx, seconds):
    await ctx.sleep(seconds)


async def outer(activity, state, ctx):
    secret = "s" * 1000  # noqa: F841 - it is seen among the locals
    await inner(ctx, activity.payload)
    return state + 1


# --- where


def test_where_lists_the_frames_down_to_what_is_awaited():
    async def main(manager):
        runtime = manager.create("x", 0, outer)
        assert runtime.where() == []
        receipt = runtime.send_nowait(10)
        await busy(runtime)
        frames = runtime.where()
        assert names(frames)[:3] == ["outer", "inner", "sleep"]
        first = frames[0]
        assert (first.file, first.source) == (__file__, "await inner(ctx, activity.payload)")
        assert first.line == outer.__code__.co_firstlineno + 2
        assert first.locals["state"] == "0"
        assert first.locals["secret"].endswith("...")
        assert len(first.locals["secret"]) < 80
        assert frames[1].locals["seconds"] == "10"
        await receipt
        assert runtime.where() == []

    virtual(main)


@contextlib.asynccontextmanager
async def entering(event):
    await event.wait()
    yield


async def through_task(event):
    await asyncio.create_task(deepest(event))


async def through_gather(event):
    await asyncio.gather(asyncio.sleep(0), deepest(event))


async def through_generator(event):
    async def items():
        await deepest(event)
        yield 1

    async for _ in items():
        pass


async def through_context(event):
    async with entering(event):
        pass


async def through_await(event):
    class Awaitable:
        def __await__(self):
            return (yield from deepest(event).__await__())

    await Awaitable()


async def deepest(event):
    await event.wait()


@pytest.mark.parametrize("through", [through_task, through_gather, through_generator, through_context, through_await])
def test_where_looks_through_tasks_gathers_generators_and_awaitables(through):
    async def main(manager):
        event = asyncio.Event()

        async def workflow(activity, state):
            await through(event)
            return state

        runtime = manager.create("x", 0, workflow)
        receipt = runtime.send_nowait(None)
        await busy(runtime)
        await asyncio.sleep(1)
        found = names(runtime.where())
        assert found[:2] == ["workflow", through.__name__]
        assert found[-1] == "wait"
        assert ("deepest" in found) is (through is not through_context)
        event.set()
        await receipt

    virtual(main)


def test_a_frame_tells_types_and_where_its_function_begins():
    async def main(manager):
        runtime = manager.create("x", 0, outer)
        runtime.send_nowait(10)
        await busy(runtime)
        frame = runtime.where()[0]
        assert frame.first == outer.__code__.co_firstlineno
        assert (frame.types["state"], frame.types["ctx"]) == ("int", "Context")

    virtual(main)


def test_whereabouts_tell_what_it_waits_for():
    async def asks(activity, state, ctx):
        return await ctx.ask(activity.payload, 100)

    async def main(manager):
        first, second, third = (
            manager.create(id, 0, flow) for id, flow in zip("abc", (asks, asks, outer), strict=True)
        )
        assert first.whereabouts() == Whereabouts("a", manager.clock.now(), How.IDLE, workflow=definition_of(asks))
        second.send_nowait("c")
        first.send_nowait("b")
        await busy(third)
        found = [runtime.whereabouts() for runtime in (first, second, third)]
        assert [each.how for each in found] == [How.AWAITING] * 3
        assert [each.waits_for for each in found] == [("b",), ("c",), ()]
        assert found[0].activity.payload == "b"
        assert names(found[0].frames)[0] == "asks"

    virtual(main)


@pytest.mark.parametrize("wait", Wait)
def test_each_wait_of_this_package_is_found_in_the_frames(wait):
    async def workflow(activity, state, ctx):
        match wait:
            case Wait.CLOCK:
                await ctx.sleep(600)
            case Wait.REPLY:
                await ctx.ask("other", 1)
            case Wait.ROOM:
                await ctx.send("other", 1)
            case Wait.OUTCOME:
                await (await ctx.send("roomy", 1))

    async def main():
        async with agentrt.RuntimeManager(loop="current") as manager:
            for id, capacity in (("other", 2), ("roomy", 9)):
                manager.create(id, 0, workflow, standard_capacity=capacity).pause()
            if wait is Wait.ROOM:
                manager["other"].send_nowait(1), manager["other"].send_nowait(1)
            runtime = manager.create("a", 0, workflow)
            runtime.send_nowait(1)
            await asyncio.sleep(1)
            frames = runtime.whereabouts().frames
            found = [WAITS.get((package_of(frame.file), frame.function)) for frame in frames]
            assert wait in found, [(frame.file, frame.function) for frame in frames]

    run(main(), timeout=60)


def test_whereabouts_of_a_worker_thread_are_its_own():
    entered, leave = threading.Event(), threading.Event()

    def blocks(activity, state):
        secret = activity.payload  # noqa: F841 - it is seen among the locals
        entered.set()
        leave.wait(60)
        return state

    with agentrt.RuntimeManager(loop="thread") as manager:
        runtimes = [manager.create(id, 0, blocks, blocking=True) for id in "ab"]
        receipts = [runtime.send_nowait(runtime.id) for runtime in runtimes]
        try:
            for runtime in runtimes:
                assert entered.wait(60)
                wait_until(lambda r=runtime: names(r.where())[:1] == ["blocks"])
                found = runtime.whereabouts()
                assert found.how is How.THREAD
                assert found.frames[0].locals["activity"].startswith(f"Activity(id={found.activity.id}")
                assert names(found.frames)[1] == "wait"
                assert found.workflow == definition_of(blocks)
        finally:
            leave.set()
        for receipt in receipts:
            receipt.result(60)
        assert runtimes[0].whereabouts().how is How.IDLE


def test_whereabouts_of_who_has_the_loop():
    seen = []

    async def looks(activity, state):
        seen.append(activity.payload.whereabouts())
        return state

    async def main(manager):
        runtime = manager.create("x", 0, looks)
        await runtime.ask(runtime)
        assert (seen[0].how, names(seen[0].frames)[0]) == (How.RUNNING, "looks")

    virtual(main)


def test_where_follows_an_ask_into_a_wait_and_a_retry():
    async def main(manager):
        tries = []

        async def fails_once(activity, state, ctx):
            tries.append(1)
            if len(tries) == 1:
                raise ValueError
            await ctx.sleep(5)
            return state

        runtime = manager.create("x", 0, fails_once, retries=1, backoff=1)
        receipt = runtime.send_nowait(None)
        await asyncio.sleep(3)
        assert names(runtime.where())[0] == "fails_once"
        await receipt

    virtual(main)


def test_where_works_from_another_thread_while_the_loop_is_blocked():
    began, released = threading.Event(), threading.Event()

    async def blocks(activity, state):
        began.set()
        released.wait(60)
        return state

    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("x", 0, blocks)
        receipt = runtime.send_nowait(None)
        assert began.wait(60)
        assert names(runtime.where())[0] == "blocks"
        assert runtime.grant({"observe"}).where()
        released.set()
        receipt.result(60)
