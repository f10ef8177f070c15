"""What the exports are tested on: runtimes that send, fail, run and wait, with texts that nobody should run."""

import asyncio

import pytest

from tests.support import Gate, fail

HOSTILE = '=HYPERLINK("evil")</script><script>window.owned = 1</script>\'<img src=x onerror=window.owned=1>'
SURROGATE = "\ud800"


async def relay(activity, state, ctx):
    with ctx.step("outer"):
        await ctx.sleep(1)
        with ctx.step(HOSTILE):
            await ctx.sleep(2)
            await ctx.send("second", activity.payload)
    return state + 1


async def slow(activity, state, ctx):
    await ctx.sleep(5)
    return state + 1


async def day(manager):
    """Two runtimes that work, one that failed, one that is processing, and an activity that waits."""
    first, second = manager.create("first", 0, relay), manager.create("second", 0, slow)
    for n in range(4):
        first.send_nowait(f"{HOSTILE}{n}", priority=n == 3)
    broken = manager.create(HOSTILE, HOSTILE, fail)
    with pytest.raises(Exception, match="no "):
        await broken.ask(HOSTILE)
    while second.processed < 4:
        await asyncio.sleep(1)
    gate = Gate()
    held = manager.create("held", 0, gate)
    held.send_nowait(SURROGATE)
    await gate.entered.wait()
    held.send_nowait(float("nan"))
    await asyncio.sleep(3)
    return gate
