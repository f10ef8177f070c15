"""Where an activity stands: the frames it awaits in, read from the outside."""

import asyncio
import contextlib
import threading

import msgspec
import pytest

import agentrt
from agentrt.frames import awaiting, brief, running
from agentrt.testing.virtual import run


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


# --- frames and values


class Point(msgspec.Struct):
    x: int = 1
    y: object = None


class Hostile:
    def __repr__(self):
        raise AssertionError("its code ran")

    __str__ = __len__ = __iter__ = __eq__ = __repr__
    __hash__ = None


class HostileList(list):
    def __iter__(self):
        raise AssertionError("its code ran")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (None, "None"),
        ("a" * 100, "'" + "a" * 60 + "..."),
        (10**5000, "<int>"),
        ([1, [2, [3, [4]]]], "[1, [2, <list>]]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, ...]"),
        ((1,), "(1)"),
        ({"a": Hostile()}, "{'a': <Hostile>}"),
        (HostileList([1]), "<HostileList>"),
        (Point(2, Hostile()), "Point(x=2, y=<Hostile>)"),
        (Hostile(), "<Hostile>"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_in_brief_runs_no_code_of_its_class(value, text):
    assert brief(value) == text


def test_a_brief_value_is_short_whatever_it_is():
    wide = {n: [["x" * 1000] * 100] * 100 for n in range(1000)}
    assert len(brief(wide)) < 5000


def test_a_finished_coroutine_stands_nowhere():
    async def nothing():
        pass

    coro = nothing()
    assert names(awaiting(coro)) == ["nothing"]
    coro.close()
    assert awaiting(coro) == []
    assert awaiting(None) == []


def test_a_thread_that_is_gone_runs_nothing():
    assert running(-1) == []
