"""unread.py: on either core an outcome is one record, whoever reads it first, and whenever."""

import asyncio
from dataclasses import dataclass

import pytest

from agentrt import ProcessingError
from agentrt.activity import Activity
from agentrt.events import Outcome
from agentrt.receipt import DECIDED
from tests.support import add, virtual


def outcomes(manager):
    return [each for each in manager.ring.since(0)[0] if isinstance(each, Outcome)]


@virtual
async def test_an_outcome_is_one_record_for_the_receipt_and_for_the_ring(manager):
    runtime = manager.create("a", 0, add)
    first, second, third = (runtime.send_nowait(1) for _ in range(3))
    awaited = await third
    in_ring = outcomes(manager)
    assert [first.outcome, second.value, awaited] == in_ring
    assert first.outcome is in_ring[0]
    assert second.value is in_ring[1]
    assert awaited is in_ring[2]
    assert all(mine is theirs for mine, theirs in zip(outcomes(manager), in_ring, strict=True))


@virtual
async def test_what_is_read_late_says_what_happened_then(manager):
    runtime = manager.create("a", 0, add)
    receipts = [runtime.send_nowait(n, priority=n % 2 == 0) for n in range(1, 5)]
    await asyncio.gather(*receipts)
    for _ in range(20):
        await runtime.ask(1000)
    read = [receipt.outcome for receipt in receipts]
    assert [each.id for each in read] == [receipt.id for receipt in receipts]
    assert [each.state for each in read] == [7, 2, 10, 6]  # priority first: 2, 4, 1, 3
    assert [each.priority for each in read] == [False, True, False, True]
    for each in read:
        assert (each.kind, each.runtime, each.error, each.attempts) == ("done", "a", None, 1)
        assert each.created <= each.started <= each.finished
        assert each.sequence > each.id


@virtual
async def test_an_outcome_outlives_the_ring(manager):
    runtime = manager.create("a", 0, add)
    receipt = runtime.send_nowait(5)
    await runtime.ask(1)
    manager.ring.records.clear()
    assert receipt.outcome.state == 5
    assert (await receipt).state == 5


@virtual
async def test_the_ring_knows_an_outcome_that_nobody_has_read(manager):
    runtime = manager.create("a", 0, add)
    receipt = runtime.send_nowait(1)
    await runtime.ask(1)
    found = manager.ring.outcome_of(receipt.id)
    assert found is receipt.outcome
    before = manager.ring.cursor
    manager.ring.ensure(found)
    assert manager.ring.cursor == before


@virtual
async def test_the_ring_weighs_states_that_nobody_has_read(manager):
    async def repeat(activity, state):
        return "x" * activity.payload

    runtime = manager.create("a", "", repeat)
    manager.ring.max_bytes = 1_000_000
    for _ in range(200):
        await runtime.send_nowait(100_000)
    kept = sum(len(each.state) for each in outcomes(manager))
    assert 0 < kept <= 2_500_000  # of 20,000,000: the bound, and what comes until it is looked at again


@virtual
async def test_an_awaited_receipt_raises_what_its_activity_failed_with(manager):
    async def fail(activity, state):
        raise ValueError(activity.payload)

    runtime = manager.create("a", 0, fail)
    receipt = runtime.send_nowait(7)
    for _ in range(2):  # it is waited for, and then decided
        with pytest.raises(ProcessingError):
            await receipt


@virtual
async def test_what_waits_unread_is_one_activity_for_all_who_look(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    runtime.pause()
    receipts = [runtime.send_nowait(n) for n in (1, 2, 3)]
    mailbox = runtime.entry.mailbox
    waiting = list(mailbox)
    assert [each.id for each in waiting] == [each.id for each in receipts]
    assert all(each.receipt is receipt for each, receipt in zip(waiting, receipts, strict=True))
    assert mailbox.peek() is waiting[0] is mailbox.first[1] is mailbox.get(receipts[0].id)
    accepted = [each for each in manager.ring.since(0)[0] if isinstance(each, Activity)]
    assert all(mine is theirs for mine, theirs in zip(accepted[-3:], waiting, strict=True))
    runtime.resume()
    await receipts[-1]
    assert [each.receipt for each in waiting] == [DECIDED] * 3
    assert [each.payload for each in waiting] == [1, 2, 3]


@virtual
async def test_a_workflow_may_keep_its_activities(manager):
    kept = []

    async def keep(activity, state):
        if activity.payload % 2:
            kept.append(activity)
        return state + activity.payload

    runtime = manager.create("a", 0, keep)
    receipts = [runtime.send_nowait(n) for n in range(10)]
    await receipts[-1]
    await runtime.ask(11)
    assert [each.payload for each in kept] == [1, 3, 5, 7, 9, 11]
    assert [each.id for each in kept[:5]] == [each.id for each in receipts[1::2]]
    accepted = {each.id: each for each in manager.ring.since(0)[0] if isinstance(each, Activity)}
    assert all(accepted[each.id] is each for each in kept)
    assert [accepted[receipt.id].payload for receipt in receipts] == list(range(10))


freed = []


@dataclass(frozen=True)
class Payload:
    number: int

    def __del__(self):
        freed.append(self.number)


@virtual
async def test_what_is_done_keeps_no_payload(manager):
    async def count(activity, state):
        return state + 1

    runtime = manager.create("a", 0, count)
    freed.clear()
    for n in range(3):
        await runtime.ask(Payload(n))
    await asyncio.gather(*(runtime.send_nowait(Payload(n)) for n in range(3, 6)))
    await asyncio.sleep(0)
    manager.ring.records.clear()
    assert sorted(freed) == [0, 1, 2, 3, 4, 5]


@virtual
async def test_an_activity_says_who_sent_it_however_late_it_is_read(manager):
    async def work(activity, state, ctx):
        if activity.payload:
            await ctx.send("b", 0)
        return state + 1

    first, second = manager.create("a", 0, work), manager.create("b", 0, add)
    await second.ask(0)
    sent = [first.send_nowait(1) for _ in range(3)]
    await sent[-1]
    await second.ask(0)
    passed = [each for each in manager.ring.since(0)[0] if isinstance(each, Activity) and each.source == "a"]
    assert [(each.runtime, each.parent, each.correlation) for each in passed] == [("b", r.id, r.id) for r in sent]


@virtual
async def test_a_receipt_that_is_decided_is_awaited_in_every_way(manager):
    runtime = manager.create("a", 0, add)
    receipt = runtime.send_nowait(1)
    outcome = await receipt
    assert await receipt is outcome
    assert await asyncio.gather(receipt, receipt) == [outcome, outcome]

    def delegate():
        return (yield from receipt.__await__())

    for stepped in (receipt.__await__(), delegate()):
        with pytest.raises(StopIteration) as end:
            next(stepped)
        assert end.value.value is outcome
