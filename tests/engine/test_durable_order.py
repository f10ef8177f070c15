"""durable_entry.py: the order of what waits is the same after a restart, however it came about."""

import asyncio
from typing import Any

from agentrt import Activity
from tests.engine.restarts import World, restarts
from tests.support import add, turns


def payloads(runtime: Any) -> list[Any]:
    return [each.payload for each in runtime.mailbox_items()]


async def lane(manager: Any, *sent: Any) -> Any:
    """A paused runtime in which these wait."""
    runtime = manager.create("sum", 0, add)
    runtime.pause()
    for each in sent:
        runtime.send_nowait(each)
    return runtime


@restarts
async def test_what_was_delayed_stays_behind_what_came_before_it_was_due(world: World) -> None:
    async with world.manager() as manager:
        runtime = await lane(manager)
        runtime.send_nowait(1, delay=1)
        runtime.send_nowait(2)
        await asyncio.sleep(2)
        runtime.send_nowait(3)
        assert payloads(runtime) == [2, 1, 3]
    async with world.manager() as manager:
        assert payloads(await lane(manager)) == [2, 1, 3]


@restarts
async def test_what_was_moved_stays_there_after_two_restarts_and_an_edit(world: World) -> None:
    async with world.manager() as manager:
        runtime = await lane(manager, 1, 2, 3, 4)
        first = runtime.mailbox_items()[0].id
        runtime.demote(first)
        runtime.first(runtime.mailbox_items()[1].id)
        assert payloads(runtime) == [3, 2, 4, 1]
    async with world.manager() as manager:
        runtime = await lane(manager)
        assert payloads(runtime) == [3, 2, 4, 1]
        runtime.edit(first, 10)
        runtime.demote(runtime.mailbox_items()[1].id)
        assert payloads(runtime) == [3, 4, 10, 2]
    async with world.manager() as manager:
        assert payloads(await lane(manager)) == [3, 4, 10, 2]


@restarts
async def test_what_comes_after_a_move_to_the_end_stays_behind_it(world: World) -> None:
    async with world.manager() as manager:
        runtime = await lane(manager, *range(1, 6))
        for each in runtime.mailbox_items()[:4]:
            runtime.demote(each.id)
        for each in range(6, 9):
            runtime.send_nowait(each)
        assert payloads(runtime) == [5, 1, 2, 3, 4, 6, 7, 8]
    async with world.manager() as manager:
        runtime = await lane(manager)
        assert payloads(runtime) == [5, 1, 2, 3, 4, 6, 7, 8]
        runtime.send_nowait(9)
    async with world.manager() as manager:
        assert payloads(await lane(manager)) == [5, 1, 2, 3, 4, 6, 7, 8, 9]


@restarts
async def test_what_a_workflow_sends_stands_where_its_commit_has_put_it(world: World) -> None:
    async with world.manager() as manager:
        runtime, gate = await lane(manager), asyncio.Event()

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            await ctx.send("sum", activity.payload)
            await gate.wait()
            return state

        receipt = manager.create("first", 0, forward).send_nowait(1)
        await turns(5)
        runtime.send_nowait(2)
        gate.set()
        await receipt
        assert payloads(runtime) == [2, 1]
    async with world.manager() as manager:
        assert payloads(await lane(manager)) == [2, 1]
