"""durable_entry.py: what a durable runtime stores, and when."""

import asyncio
import math
from typing import Any

import pytest

from agentrt import (
    Activity,
    JournalError,
    ProcessingError,
)
from tests.engine.restarts import World, restarts
from tests.support import Gate, add, collect, turns


@restarts
async def test_a_send_returns_when_it_is_stored(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        receipt = await runtime.send(1)
        assert world.journal.find("sum").counts["accepted"] == 1
        await receipt.stored()
        later = runtime.send_nowait(1)
        await later.stored()
        assert world.journal.last_activity == later.id


@restarts
async def test_what_a_workflow_sends_is_stored_with_its_commit(world: World) -> None:
    async with world.manager() as manager:
        gate, sent = Gate(), []

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            sent.append(await ctx.send("sum", activity.payload))
            await gate(activity, state)
            return state + 1

        manager.create("sum", 0, add)
        runtime = manager.create("forward", 0, forward)
        receipt = runtime.send_nowait(5)
        await gate.entered.wait()
        await turns()
        assert world.journal.find("sum").counts == {}  # nothing of it is stored, and nothing was processed
        assert sent[0].outcome is None
        gate.open.set()
        await receipt
        assert (await sent[0]).state == 5
        assert world.journal.find("sum").counts == {"accepted": 1, "done": 1}


@restarts
async def test_what_a_failed_activity_has_sent_was_never_accepted(world: World) -> None:
    async with world.manager() as manager:
        sent = []

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            sent.append(await ctx.send("sum", activity.payload))
            raise ValueError("no")

        manager.create("sum", 0, add)
        with pytest.raises(ProcessingError):
            await manager.create("forward", 0, forward, retries=2).ask(5)
        await turns()
        assert len(sent) == 3
        assert manager["sum"].fates().accepted == 0
        with pytest.raises(JournalError, match="never accepted"):
            await sent[0].stored()


@restarts
async def test_what_an_attempt_that_failed_has_sent_is_not_sent_by_the_next(world: World) -> None:
    async with world.manager() as manager:
        tried = []

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            tried.append(await ctx.send("sum", activity.payload))
            if len(tried) < 3:
                raise ValueError("no")
            return state + 1

        manager.create("sum", 0, add)
        assert await manager.create("forward", 0, forward).ask(5) == 1
        await turns()
        assert (manager["sum"].state, manager["sum"].fates().accepted) == (5, 1)


@restarts
async def test_a_workflow_may_ask_and_wait_for_what_it_sent(world: World) -> None:
    async with world.manager() as manager:

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            receipt = await ctx.send("sum", 1)
            return state + await ctx.ask("sum", activity.payload) + (await receipt).state

        manager.create("sum", 0, add)
        assert await manager.create("forward", 0, forward).ask(5) == 11


@restarts
async def test_an_effect_is_not_done_again(world: World) -> None:
    done = []

    async def pay(activity: Activity[int], state: int, ctx: Any) -> int:
        number = await ctx.effect("pay", lambda: done.append(activity.id) or len(done))
        second = await ctx.effect("pay", lambda: done.append(-activity.id) or len(done))
        await gate(activity, state)
        return state + number + second

    async with world.manager() as manager:
        gate = Gate()
        manager.create("pay", 0, pay).send_nowait(0)
        await gate.entered.wait()
    assert len(done) == 2
    async with world.manager() as manager:
        gate = Gate()
        gate.open.set()
        runtime = manager.create("pay", 0, pay)
        await asyncio.sleep(1)
        assert (runtime.state, len(done)) == (3, 2)
        assert await runtime.ask(0) == 3 + 3 + 4


@restarts
async def test_a_durable_runtime_has_three_retries(world: World) -> None:
    async with world.manager() as manager:
        assert manager.create("sum", 0, add).retries == 3
        assert manager.create("other", 0, add, durable=False).retries == 0
        assert manager.create("none", 0, add, retries=0).retries == 0


@restarts
async def test_a_terminated_runtime_is_gone_and_its_dead_letters_stay(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        runtime.pause()
        lost = runtime.send_nowait("lost")
        await runtime.terminate()
        assert [each.activity.id for each in manager.dead_letters] == [lost.id]
    async with world.manager() as manager:
        assert [(each.activity.id, each.activity.payload) for each in manager.dead_letters] == [(lost.id, "lost")]
        runtime = manager.create("list", (), collect)
        assert (runtime.resumed, runtime.state) == (False, ())
        assert (await manager.dead_letters.resend(lost.id)).state == ("lost",)
    async with world.manager() as manager:
        assert len(manager.dead_letters) == 0


@restarts
async def test_what_cannot_be_stored_is_refused_at_the_door(world: World) -> None:
    async with world.manager() as manager:
        with pytest.raises(JournalError):
            manager.create("a", object(), add)
        assert "a" not in manager
        runtime = manager.create("a", 0, lambda activity, state: object() if activity.payload else state, retries=0)
        with pytest.raises(JournalError):
            runtime.send_nowait(lambda: 1)
        assert runtime.fates().accepted == 0
        with pytest.raises(ProcessingError):
            await runtime.ask(1)
        assert runtime.state == 0


@restarts
async def test_while_nothing_can_be_written_it_waits_and_then_goes_on(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        gate = Gate()
        slow = manager.create("slow", (), gate)
        before = slow.send_nowait(1)
        await gate.entered.wait()
        world.journal.broken = JournalError("the disk is full")
        with pytest.raises(JournalError, match="the disk is full"):
            await runtime.send(1)
        gate.open.set()
        await asyncio.sleep(10)
        assert (before.outcome, slow.state, gate.seen) == (None, (), [1])
        world.journal.mend()
        await asyncio.sleep(1)
        assert (await before).state == (1,)
        assert gate.seen == [1]
        assert await runtime.ask(1) == (1,)


@restarts
async def test_a_runtime_that_is_not_durable_leaves_nothing(world: World) -> None:
    async with world.manager() as manager:
        assert await manager.create("sum", 0, add, durable=False).ask(1) == 1
    assert world.log.rows == {}


@restarts
async def test_a_full_lane_that_drops_is_counted_in_the_journal(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect, standard_capacity=2, overflow="drop_oldest")
        runtime.pause()
        for each in range(4):
            runtime.send_nowait(each)
        other = manager.create("other", (), collect, standard_capacity=1, overflow="drop_newest")
        other.pause()
        other.send_nowait(1)
        other.send_nowait(2)
        await turns()
        assert world.journal.find("list").counts == {"accepted": 4, "dropped": 2}
        assert world.journal.find("other").counts == {"accepted": 2, "dropped": 1}
    async with world.manager() as manager:
        assert [each.payload for each in manager.create("list", (), collect).mailbox_items()] == [2, 3]


@restarts
async def test_a_timeout_holds_for_the_work_and_not_for_the_disk(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect, timeout=1)
        world.journal.broken = None
        receipt = runtime.send_nowait(1)
        assert (await receipt).state == (1,)
        assert math.isinf(runtime.entry.deadline)


@restarts
async def test_an_ask_waits_for_room(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add, standard_capacity=1)
        assert sorted(await asyncio.gather(*(runtime.ask(1) for _ in range(5)))) == [1, 2, 3, 4, 5]


@restarts
async def test_what_is_sent_to_what_has_ended_meanwhile_is_a_dead_letter(world: World) -> None:
    async with world.manager() as manager:
        gate = Gate()

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            await ctx.send("sum", activity.payload)
            await gate(activity, state)
            return state + 1

        target = manager.create("sum", 0, add)
        receipt = manager.create("forward", 0, forward).send_nowait(5)
        await gate.entered.wait()
        await target.terminate()
        gate.open.set()
        await receipt
        await turns()
        assert [each.activity.payload for each in manager.dead_letters] == [5]
    async with world.manager() as manager:
        assert [each.activity.payload for each in manager.dead_letters] == [5]


@restarts
async def test_a_restart_by_the_group_is_stored(world: World) -> None:
    async def fails(activity: Activity[int], state: int) -> int:
        if activity.payload < 0:
            raise ValueError("no")
        return state + activity.payload

    async with world.manager() as manager:
        group = manager.group("pair", "one_for_all")
        one, two = group.create("one", 0, fails, retries=0), group.create("two", 0, fails, retries=0)
        await one.ask(3)
        await two.ask(4)
        with pytest.raises(ProcessingError):
            await one.ask(-1)
        await turns()
        assert (one.state, two.state) == (0, 0)
    async with world.manager() as manager:
        assert [manager.create(each, 9, fails).state for each in ("one", "two")] == [0, 0]


@restarts
async def test_a_workflow_may_wait_until_what_it_sent_is_stored(world: World) -> None:
    async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
        await (await ctx.send("sum", activity.payload)).stored()
        assert world.journal.find("sum").counts["accepted"] == 1
        return state + 1

    async with world.manager() as manager:
        target = manager.create("sum", 0, add)
        assert await manager.create("forward", 0, forward).ask(5) == 1
        await turns()
        assert target.state == 5


@restarts
async def test_what_is_dropped_meanwhile_takes_nothing_from_what_a_workflow_has_sent(world: World) -> None:
    async with world.manager() as manager:
        gate = Gate()

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            await ctx.send("sum", activity.payload)
            await gate(activity, state)
            return state + 1

        target = manager.create("sum", 0, add)
        runtime = manager.create("forward", 0, forward)
        receipt, waiting = runtime.send_nowait(5), runtime.send_nowait(6)
        await gate.entered.wait()
        runtime.drop(waiting.id)
        gate.open.set()
        await receipt
        await turns()
        assert target.state == 5


@restarts
async def test_a_receipt_of_what_was_never_accepted_is_decided(world: World) -> None:
    async with world.manager() as manager:
        sent = []

        async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
            sent.append(await ctx.send("sum", activity.payload, key="once"))
            raise ValueError("no")

        target = manager.create("sum", 0, add)
        with pytest.raises(ProcessingError):
            await manager.create("forward", 0, forward, retries=0).ask(5)
        async with asyncio.timeout(10):
            with pytest.raises(JournalError, match="never accepted"):
                await sent[0]
        assert await target.ask(7, key="once") == 7  # its key is not remembered


@restarts
async def test_one_activity_sends_once_with_a_key(world: World) -> None:
    async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
        first, second = [await ctx.send("sum", activity.payload, key="once") for _ in range(2)]
        return state + (first is second)

    async with world.manager() as manager:
        target = manager.create("sum", 0, add)
        assert await manager.create("forward", 0, forward).ask(5) == 1
        await turns()
        assert (target.state, target.fates().accepted) == (5, 1)


@pytest.mark.parametrize("ends", ["before", "after"])
def test_a_receipt_is_decided_when_its_fate_can_not_be_stored(ends: str) -> None:
    @restarts
    async def check(world: World) -> None:
        async with world.manager() as manager:
            gate = Gate()

            async def fails(activity: Activity[int], state: int) -> int:
                await gate(activity, state)
                raise ValueError("no")

            receipt = manager.create("fails", 0, fails, retries=0).send_nowait(1)
            await gate.entered.wait()
            world.journal.broken = JournalError("the disk is gone")
            if ends == "before":
                world.journal.close()
            gate.open.set()
            await turns()
        async with asyncio.timeout(10):
            with pytest.raises(JournalError):
                await receipt

    check()


@restarts
async def test_the_code_of_a_workflow_in_a_thread_is_the_users(world: World) -> None:
    def other(activity: Activity[int], state: int) -> int:
        return state - activity.payload

    def first(activity: Activity[int], state: int) -> int:
        return state + activity.payload

    async with world.manager() as manager:
        manager.create("a", 0, first, blocking=True).swap(other)
    async with world.manager() as manager:
        manager.create("a", 0, other, blocking=True)
        assert "workflow_changed" not in [each.kind for each in manager.ring.records]
        manager["a"].swap(first)
    async with world.manager() as manager:
        manager.create("a", 0, other, blocking=True)
        assert "workflow_changed" in [each.kind for each in manager.ring.records]
