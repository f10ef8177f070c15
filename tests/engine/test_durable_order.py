"""durable_entry.py: the order of what waits is the same after a restart, however it came about."""

import asyncio
from typing import Any

from agentrt import Activity, RuntimeManager
from tests.engine.restarts import World, restarts
from tests.support import add, collect, turns


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


def due_events(manager: RuntimeManager) -> list[int]:
    """The activities that are recorded as due."""
    return [record.detail["activity"] for record in manager.ring.since(0)[0] if record.kind == "due"]


@restarts
async def test_what_became_due_while_nothing_ran_is_recorded_as_due(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        runtime.pause()
        late = runtime.send_nowait("late", delay=10).id
        await asyncio.sleep(1)
    await asyncio.sleep(60)
    for due in ([late], []):  # at the second restart it has a place in its lane
        async with world.manager() as manager:
            runtime = manager.create("list", (), collect)
            await asyncio.sleep(1)
            assert due_events(manager) == due
            assert [each.id for each in runtime.mailbox_items()] == [late]


@restarts
async def test_what_is_due_before_its_sender_is_committed_is_recorded_as_due(world: World) -> None:
    async with world.manager() as manager:
        receiver = manager.create("list", (), collect)

        async def sends(activity: Activity[str], state: int) -> int:
            receiver.send_nowait(activity.payload, delay=1)
            await asyncio.sleep(5)
            return state + 1

        await manager.create("sender", 0, sends).ask("late")
        await asyncio.sleep(1)
        assert receiver.state == ("late",)
        assert len(due_events(manager)) == 1


@restarts
async def test_what_is_stored_before_its_sender_has_no_place_until_it_is_due(world: World) -> None:
    async with world.manager() as manager:
        receiver = manager.create("list", (), collect)

        async def waits(activity: Activity[str], state: int) -> int:
            await receiver.send_nowait(activity.payload, delay=50)
            return state + 1

        asked = manager.create("sender", 0, waits).send_nowait("late")
        await asyncio.sleep(10)
        (stored,) = world.journal.waiting("list")
        assert stored.rank is None
        await asked
        assert receiver.state == ("late",)
