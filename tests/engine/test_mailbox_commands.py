"""commands.py: what a person does to what waits in a mailbox."""

import asyncio

import pytest

from agentrt import (
    ActivityValidationError,
    AgentError,
    Fate,
    Lane,
    MailboxFullError,
    RuntimeManager,
)
from tests.engine.paused_runtimes import paused
from tests.support import add, turns, virtual

TIMEOUT = 60


@virtual
async def test_the_mailbox_shows_what_waits_in_order(manager):
    runtime, _ = paused(manager, "s1", "s2")
    runtime.send_nowait("later", delay=60)
    runtime.send_nowait("p1", priority=True)
    assert [activity.payload for activity in runtime.mailbox_items()] == ["p1", "s1", "s2", "later"]


@virtual
async def test_a_drop_by_hand_resolves_the_receipt_and_lets_a_waiting_sender_in(manager):
    runtime, receipts = paused(manager, 1, 2, standard_capacity=2)
    waiting = asyncio.create_task(runtime.send(3))
    await turns()
    runtime.drop(receipts[0].id)
    with pytest.raises(MailboxFullError, match="dropped by a command"):
        await receipts[0]
    await turns()
    assert waiting.done()
    runtime.resume()
    assert (await (await waiting)).state == (2, 3)
    assert runtime.fates().dropped == 1


@virtual
async def test_what_is_not_due_yet_can_be_dropped_as_well(manager):
    runtime, _ = paused(manager)
    receipt = runtime.send_nowait("later", delay=60)
    runtime.drop(receipt.id)
    assert receipt.outcome.fate is Fate.DROPPED
    assert (runtime.depth, runtime.mailbox_items()) == ((0, 0), [])
    await asyncio.sleep(100)
    assert runtime.depth == (0, 0)


@virtual
async def test_what_is_not_due_yet_can_be_edited_and_sent_to_another_lane(manager):
    runtime, _ = paused(manager, accepts=str, priority_capacity=1)
    receipt = runtime.send_nowait("later", delay=60)
    assert runtime.edit(receipt.id, "changed") == "later"
    with pytest.raises(ActivityValidationError):
        runtime.edit(receipt.id, 5)
    place = runtime.promote(receipt.id)
    assert (runtime.depth, place.lane) == ((1, 0), Lane.STANDARD)
    assert (runtime.metrics.priority.accepted, runtime.metrics.standard.accepted) == (1, 0)
    runtime.put_back(receipt.id, place)
    assert runtime.depth == (0, 1)
    urgent = runtime.send_nowait("urgent", priority=True)
    with pytest.raises(MailboxFullError):
        runtime.promote(receipt.id)
    runtime.drop(urgent.id)
    runtime.promote(receipt.id)
    runtime.send_nowait("before it in the other lane")
    runtime.resume()
    assert (await receipt).lane is Lane.PRIORITY
    assert "changed" in runtime.state


@virtual
async def test_what_is_not_due_yet_has_no_place_to_be_the_first_of(manager):
    runtime, _ = paused(manager)
    receipt = runtime.send_nowait("later", delay=60)
    with pytest.raises(AgentError, match=r"not due yet.* edited, promoted, demoted or dropped") as caught:
        runtime.first(receipt.id)
    assert caught.value.activity == receipt.id
    runtime.resume()
    assert (await receipt).ok


@virtual
async def test_promote_demote_and_first_move_an_activity(manager):
    runtime, receipts = paused(manager, *"abc")
    runtime.promote(receipts[2].id)
    assert runtime.depth == (1, 2)
    runtime.demote(receipts[2].id)
    assert runtime.depth == (0, 3)
    runtime.first(receipts[2].id)
    runtime.promote(receipts[1].id)
    assert [activity.payload for activity in runtime.mailbox_items()] == ["b", "c", "a"]
    assert (runtime.metrics.priority.accepted, runtime.metrics.standard.accepted) == (1, 2)
    runtime.resume()
    assert (await receipts[0]).state == ("b", "c", "a")


@virtual
async def test_a_promotion_keeps_the_bound_and_loses_nothing(manager):
    runtime, receipts = paused(manager, "a", priority_capacity=1)
    runtime.send_nowait("urgent", priority=True)
    with pytest.raises(MailboxFullError):
        runtime.promote(receipts[0].id)
    assert runtime.depth == (1, 1)
    runtime.resume()
    assert (await receipts[0]).state == ("urgent", "a")


@virtual
async def test_an_edit_is_checked_and_keeps_the_place(manager):
    runtime, receipts = paused(manager, "a", "b", accepts=str)
    with pytest.raises(ActivityValidationError):
        runtime.edit(receipts[0].id, 5)
    runtime.edit(receipts[0].id, "A")
    runtime.resume()
    assert (await receipts[1]).state == ("A", "b")


@virtual
async def test_what_does_not_wait_can_not_be_handled(manager):
    runtime, (receipt,) = paused(manager, 1)
    runtime.resume()
    await receipt
    for act in (runtime.drop, runtime.promote, runtime.first):
        with pytest.raises(AgentError, match="does not wait in 'a'"):
            act(receipt.id)
    with pytest.raises(AgentError):
        runtime.edit(receipt.id, 2)


def order(runtime):
    return "".join(activity.payload for activity in runtime.mailbox_items())


@virtual
async def test_a_move_is_undone_exactly(manager):
    runtime, receipts = paused(manager, *"abcd")
    ids = [receipt.id for receipt in receipts]
    for act in (runtime.first, runtime.promote):
        for id in ids:
            place = act(id)
            again = runtime.put_back(id, place)
            assert order(runtime) == "abcd", (act, id)
            assert runtime.put_back(id, again).lane is Lane.STANDARD, "what was undone is done again"
            runtime.put_back(id, place)
    runtime.promote(ids[1])
    place = runtime.demote(ids[1])
    assert (order(runtime), place.lane) == ("acdb", Lane.PRIORITY)
    assert runtime.metrics.priority.accepted == 0
    runtime.resume()


@virtual
async def test_what_is_put_back_finds_its_place_when_neighbours_are_gone(manager):
    runtime, receipts = paused(manager, *"abcde")
    a, b, c, d, e = (receipt.id for receipt in receipts)
    place = runtime.promote(c)
    runtime.drop(d)
    runtime.put_back(c, place)
    assert order(runtime) == "abce", "after the one before it"
    place = runtime.promote(c)
    runtime.drop(b)
    runtime.put_back(c, place)
    assert order(runtime) == "ace", "before the one after it"
    place = runtime.promote(e)
    runtime.drop(c)
    runtime.put_back(e, place)
    assert order(runtime) == "ae", "it was the last"
    place = runtime.first(e)
    runtime.put_back(e, place)
    assert order(runtime) == "ae"
    place = runtime.promote(a)
    runtime.drop(e)
    runtime.put_back(a, place)
    assert order(runtime) == "a"
    runtime.resume()


@virtual
async def test_putting_back_keeps_the_bound(manager):
    runtime, receipts = paused(manager, "a", standard_capacity=1)
    place = runtime.promote(receipts[0].id)
    runtime.send_nowait("b")
    with pytest.raises(MailboxFullError):
        runtime.put_back(receipts[0].id, place)
    assert order(runtime) == "ab"
    runtime.resume()


@virtual
async def test_a_drop_and_an_edit_tell_what_there_was(manager):
    runtime, receipts = paused(manager, "a", "b")
    assert runtime.edit(receipts[0].id, "A") == "a"
    assert runtime.drop(receipts[1].id).payload == "b"
    runtime.resume()


def test_hands_from_another_thread_while_the_runtime_runs():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add, standard_capacity=5_000)
        receipts = [runtime.send_nowait(1) for _ in range(1_000)]
        dropped = 0
        for receipt in reversed(receipts[:-1]):
            try:
                runtime.drop(receipt.id)
                dropped += 1
            except AgentError:
                break
        assert receipts[-1].result(TIMEOUT).state == 1_000 - dropped
        assert runtime.fates().dropped == dropped
