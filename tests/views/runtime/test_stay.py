"""Who awaits in a loop comes back to its line; who waits stays there."""

import asyncio
import re

import pytest

from tests.support import virtual
from tests.views.runtime.support import shown
from tests.views.support import update


async def wait_again_and_again(activity, state, ctx):
    for _ in range(activity.payload):
        await ctx.sleep(0.4)
    return state


async def ask_again_and_again(activity, state, ctx):
    for _ in range(activity.payload):
        await ctx.ask("echo", 1)
    return state


async def wait_at_two_lines(activity, state):
    for _ in range(activity.payload):
        await asyncio.sleep(0.3)
        await asyncio.sleep(0.5)
    return state


async def await_a_future_again_and_again(activity, state):
    for _ in range(activity.payload):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.35, future.set_result, None)
        await future
    return state


async def take_a_while(activity, state, ctx):
    await ctx.sleep(0.3)
    return state


@pytest.mark.parametrize(
    "workflow", [wait_again_and_again, ask_again_and_again, wait_at_two_lines, await_a_future_again_and_again]
)
@virtual
async def test_who_awaits_in_a_loop_does_not_stay_at_its_line(manager, workflow):
    manager.create("echo", 0, take_a_while)
    runtime = manager.create("a", 0, workflow)
    receipt = runtime.send_nowait(100)
    await asyncio.sleep(1)
    view, _ = shown(manager, runtime)
    said = set()
    for _ in range(20):
        await asyncio.sleep(0.53)
        view.update(update(manager))
        said.add(view.head.html)
        seen = re.search(r"seen there for ([\d.]+ m?s)", view.head.html)
        assert seen is None, "it has waited since the last look at the most"
    assert sum("it comes back there again and again" in words for words in said) > 15
    await receipt


async def pass_and_stay(activity, state, ctx):
    for n in range(activity.payload):
        await ctx.sleep(0.4 if n < activity.payload - 1 else 20)
    return state


@virtual
async def test_who_stays_after_a_loop_is_seen_to_stay(manager):
    runtime = manager.create("a", 0, pass_and_stay)
    receipt = runtime.send_nowait(10)
    view, _ = shown(manager, runtime)
    for _ in range(5):
        await asyncio.sleep(0.53)
        view.update(update(manager))
    assert "again and again" in view.head.html
    for _ in range(4):
        await asyncio.sleep(3)
        view.update(update(manager))
    assert "again and again" not in view.head.html
    assert "seen there for 9 s" in view.head.html
    await receipt
