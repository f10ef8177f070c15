"""control.py: pause, step, limits, swap, an end, and hands in the mailbox."""

import asyncio
import itertools
import threading

import pytest

from agentrt import (
    Activity,
    ActivityValidationError,
    AgentError,
    ConfigurationError,
    Fate,
    Lane,
    MailboxFullError,
    ProcessingError,
    RuntimeExistsError,
    RuntimeManager,
    RuntimeTerminatedError,
    Status,
    Supervision,
)
from agentrt.engine import commands
from agentrt.engine.commands import ACTOR
from tests.support import Gate, add, collect, fail, turns, virtual

TIMEOUT = 60


def kinds(manager, runtime="a"):
    return [record.kind for record in manager.ring.since(0)[0] if record.runtime == runtime]


def paused(manager, *payloads, **limits):
    runtime = manager.create("a", (), collect, **limits)
    runtime.pause()
    return runtime, [runtime.send_nowait(payload) for payload in payloads]


# --- pause, resume, step


@virtual
async def test_a_pause_lets_what_runs_finish_and_takes_nothing_more(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    await gate.entered.wait()
    runtime.pause()
    assert runtime.status is Status.PROCESSING
    gate.open.set()
    await first
    await turns()
    assert (runtime.status, second.outcome, runtime.depth) == (Status.PAUSED, None, (0, 1))
    runtime.resume()
    assert (await second).state == (1, 2)


@virtual
async def test_pausing_twice_and_resuming_twice_is_as_once(manager):
    runtime, (receipt,) = paused(manager, 1)
    runtime.pause()
    runtime.resume()
    runtime.resume()
    await receipt
    assert kinds(manager).count("paused") == kinds(manager).count("resumed") == 1


@virtual
async def test_a_step_lets_one_through_and_more_on_demand(manager):
    runtime, receipts = paused(manager, *range(6))
    assert runtime.step() == 1
    await receipts[0]
    await turns()
    assert (runtime.state, runtime.status) == ((0,), Status.PAUSED)
    assert runtime.step(3) == 3
    await receipts[3]
    await turns()
    assert runtime.state == (0, 1, 2, 3)
    assert runtime.step(10) == 2
    await receipts[5]
    assert runtime.state == (0, 1, 2, 3, 4, 5)


@virtual
async def test_a_step_of_a_running_runtime_pauses_it(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    receipts = [runtime.send_nowait(n) for n in range(4)]
    await gate.entered.wait()
    assert runtime.step() == 1
    gate.open.set()
    await receipts[1]
    await turns()
    assert (runtime.status, runtime.depth) == (Status.PAUSED, (0, 2))
    runtime.resume()
    await receipts[3]


@virtual
async def test_a_step_with_nothing_to_do_is_not_saved_up(manager):
    runtime, _ = paused(manager)
    assert runtime.step() == 0
    receipt = runtime.send_nowait(1)
    await turns()
    assert receipt.outcome is None
    runtime.resume()
    await receipt


@pytest.mark.parametrize("n", [0, -1, 1.5, "one", None])
@virtual
async def test_a_step_that_can_not_be_is_refused(manager, n):
    runtime, _ = paused(manager)
    with pytest.raises(ConfigurationError, match="it must be a whole number"):
        runtime.step(n)


@virtual
async def test_a_step_that_fails_still_counts(manager):
    runtime = manager.create("a", 0, fail)
    runtime.pause()
    receipts = [runtime.send_nowait(n) for n in range(2)]
    runtime.step()
    with pytest.raises(AgentError):
        await receipts[0]
    await turns()
    assert receipts[1].outcome is None
    runtime.resume()
    with pytest.raises(AgentError):
        await receipts[1]


def test_everything_may_be_told_from_any_thread():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add, standard_capacity=10_000)
        receipts = [runtime.send_nowait(1) for _ in range(2_000)]

        def meddle():
            for _ in range(50):
                runtime.pause()
                runtime.step(2)
                runtime.resume()

        threads = [threading.Thread(target=meddle) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert receipts[-1].result(TIMEOUT).state == 2_000
        assert runtime.status is Status.IDLE


# --- limits


@virtual
async def test_a_limit_that_can_not_be_leaves_the_old_one(manager):
    runtime = manager.create("a", 0, add, timeout=5)
    with pytest.raises(ConfigurationError):
        runtime.timeout = -1
    assert runtime.timeout == 5


@virtual
async def test_a_changed_limit_is_on_the_record_and_an_equal_one_is_not(manager):
    runtime = manager.create("a", 0, add)
    runtime.retries = 2
    runtime.retries = 2
    (event,) = [r for r in manager.ring.since(0)[0] if r.kind == "limit"]
    assert event.detail == {"name": "retries", "from": 0, "to": 2}


@virtual
async def test_more_capacity_lets_those_who_wait_in(manager):
    runtime, _ = paused(manager, 1, standard_capacity=1)
    sends = [asyncio.create_task(runtime.send(n)) for n in (2, 3)]
    await turns()
    runtime.standard_capacity = 2
    await turns()
    assert [send.done() for send in sends] == [True, False]
    runtime.resume()
    assert (await (await sends[1])).state == (1, 2, 3)


@virtual
async def test_less_capacity_keeps_what_waits(manager):
    runtime, receipts = paused(manager, *range(5))
    runtime.standard_capacity = 2
    with pytest.raises(MailboxFullError):
        runtime.send_nowait(9)
    runtime.resume()
    assert (await receipts[4]).state == (0, 1, 2, 3, 4)


# --- swap


@virtual
async def test_a_swap_keeps_state_and_mailbox_and_runs_from_the_next_on(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    await gate.entered.wait()
    runtime.swap(lambda activity, state: (*state, "swapped", activity.payload))
    gate.open.set()
    assert (await first).state == (1,)
    assert (await second).state == (1, "swapped", 2)
    assert "swapped" in kinds(manager)


@virtual
async def test_what_runs_during_a_swap_is_judged_by_the_workflow_it_began_with(manager):
    async def number(activity: Activity[int], state: int) -> int:
        await asyncio.sleep(1)
        return state + activity.payload

    def text(activity: Activity[int], state: str) -> str:
        return f"{state}, then {activity.payload}"

    runtime = manager.create("a", 0, number)
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    await turns()
    runtime.swap(text)
    assert (await first).state == 1
    assert (await second).state == "1, then 2"
    runtime.swap(number)
    with pytest.raises(ProcessingError):
        await runtime.ask(3)


@virtual
async def test_a_workflow_may_swap_itself_for_one_of_another_kind(manager):
    def plain(activity, state):
        manager["a"].swap(waits)
        return state + 1

    async def waits(activity, state, ctx):
        await ctx.sleep(1)
        manager["a"].swap(plain)
        return state + 1

    runtime = manager.create("a", 0, plain)
    assert [await runtime.ask(1) for _ in range(4)] == [1, 2, 3, 4]


def test_swaps_from_another_thread_never_mix_two_workflows():
    def plain(activity, state):
        return state + 1

    async def other(activity, state, ctx):
        assert ctx.runtime == "a"
        return state + 1

    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, plain)
        for n in range(300):
            receipts = [runtime.send_nowait(1) for _ in range(20)]
            runtime.swap((plain, other)[n % 2])
            receipts[-1].result(60)
        assert runtime.failed == 0
        assert runtime.state == 6000


@virtual
async def test_a_swap_to_what_can_not_be_a_workflow_changes_nothing(manager):
    runtime = manager.create("a", 0, add)
    with pytest.raises(ConfigurationError):
        runtime.swap(lambda: 0)
    assert await runtime.ask(1) == 1


# --- hands in the mailbox


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


# --- the end


@virtual
async def test_commands_after_the_end_say_so(manager):
    runtime = manager.create("a", 0, add)
    await runtime.terminate()
    for command in (runtime.pause, runtime.resume, runtime.step, runtime.recover, lambda: runtime.swap(fail)):
        with pytest.raises(RuntimeTerminatedError, match="was terminated"):
            command()
    with pytest.raises(RuntimeTerminatedError):
        runtime.timeout = 5


@virtual
async def test_terminating_again_is_fine(manager):
    runtime = manager.create("a", 0, add)
    assert await runtime.terminate()
    assert await runtime.terminate(drain=True)


@virtual
async def test_a_drain_waits_for_what_is_not_due_yet(manager):
    runtime = manager.create("a", (), collect)
    receipts = [runtime.send_nowait(n, delay=n) for n in (60, 0, 30)]
    ending = runtime.terminate(drain=True)
    await asyncio.sleep(40)
    assert (runtime.state, runtime.status) == ((0, 30), Status.IDLE)
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait(5)
    assert await ending
    assert [receipt.outcome.fate for receipt in receipts] == [Fate.DONE] * 3
    assert asyncio.get_running_loop().time() == 60


@virtual
async def test_a_drain_that_waits_only_for_what_is_dropped_or_ended_is_over(manager):
    runtime = manager.create("a", (), collect)
    receipt = runtime.send_nowait("later", delay=60)
    ending = runtime.terminate(drain=True)
    runtime.drop(receipt.id)
    assert await ending
    assert manager.fates().dropped == 1
    runtime = manager.create("a", (), collect)
    receipt = runtime.send_nowait("later", delay=60)
    ending = runtime.terminate(drain=True)
    await runtime.terminate()
    assert await ending
    assert receipt.outcome.fate is Fate.DEAD
    assert asyncio.get_running_loop().time() < 60


@virtual
async def test_a_drain_that_waits_ends_in_time_though_the_runtime_was_stopped(manager):
    runtime = manager.create("a", 0, fail, supervision=Supervision("stop", intensity=1))
    first, last = runtime.send_nowait(1, delay=10), runtime.send_nowait(2, delay=60)
    assert await runtime.terminate(drain=True)
    assert [first.outcome.fate, last.outcome.fate] == [Fate.FAILED, Fate.DEAD]


@virtual
async def test_a_drain_can_be_cut_short(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    receipts = [runtime.send_nowait(n) for n in range(3)]
    draining = runtime.terminate(drain=True)
    await gate.entered.wait()
    await runtime.terminate()
    await draining
    assert [r.outcome.fate for r in receipts] == [Fate.TERMINATED, Fate.DEAD, Fate.DEAD]


@virtual
async def test_the_id_is_free_again_after_the_end(manager):
    await manager.create("a", 0, add).terminate()
    assert await manager.create("a", 10, add).ask(1) == 11


def test_terminating_from_another_thread():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        runtime.pause()
        receipt = runtime.send_nowait(1)
        manager.run(runtime.terminate())
        with pytest.raises(RuntimeTerminatedError):
            receipt.result(TIMEOUT)


# --- the record


@virtual
async def test_commands_are_on_the_record_with_who_gave_them(manager):
    runtime = manager.create("a", 0, add)
    token = ACTOR.set("operator")
    runtime.pause()
    ACTOR.reset(token)
    runtime.resume()
    records = manager.ring.since(0)[0]
    assert [(r.kind, r.who) for r in records if r.kind in ("paused", "resumed")] == [
        ("paused", "operator"),
        ("resumed", None),
    ]


@virtual
async def test_who_sent_is_not_taken_for_who_commands_later(manager):
    async def pause_b(activity, state):
        manager["b"].pause()
        return state

    manager.create("b", 0, add)
    token = ACTOR.set("operator")
    receipt = manager.create("a", 0, pause_b).send_nowait(1)
    ACTOR.reset(token)
    await receipt
    assert [r.who for r in manager.ring.since(0)[0] if r.kind == "paused"] == [None]


@virtual
async def test_commands_without_activities_keep_the_rings_bound(manager):
    runtime = manager.create("a", 0, add)
    for _ in range(15_000):
        runtime.pause()
        runtime.resume()
    assert len(manager.ring.records) < 21_000


@virtual
async def test_steps_that_a_drain_made_needless_are_not_taken_in_a_later_pause(manager):
    runtime = manager.create("a", 0, add)
    for _ in range(3):
        runtime.send_nowait(1)
    runtime.step(2)
    ending = runtime.terminate(drain=True)
    runtime.pause()
    await turns()
    assert runtime.state == 0
    runtime.resume()
    await ending
    assert manager.snapshot("a").state == 3


@virtual
async def test_to_be_told_twice_to_drain_is_to_be_told_once(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    receipts = [runtime.send_nowait(n) for n in range(3)]
    await turns()
    first, second = runtime.terminate(drain=True), runtime.terminate(drain=True)
    gate.open.set()
    await first
    await second
    assert [receipt.outcome.fate for receipt in receipts] == [Fate.DONE] * 3


@virtual
async def test_a_long_mailbox_is_discarded_in_slices(manager):
    waiting = 20 * commands.SLICE
    full = manager.create("full", 0, add, standard_capacity=waiting)
    other = manager.create("other", 0, add)
    full.pause()
    receipts = [full.send_nowait(1) for _ in range(waiting)]
    ended = full.terminate()
    answers = 0
    while ended.value is None:
        await other.ask(1)
        answers += 1
        await asyncio.sleep(0)
    assert answers >= 15
    assert [receipt.outcome.kind for receipt in receipts] == ["dead"] * waiting
    numbers = [receipt.outcome.sequence for receipt in receipts]
    assert numbers == sorted(numbers)
    assert (full.fates().dead, full.fates().pending) == (waiting, 0)
    assert "full" not in manager
    assert len(manager.ring.records) <= manager.ring.limit + manager.ring.STEP + commands.SLICE


@virtual
async def test_a_slice_takes_a_bounded_time(manager, monkeypatch):
    reading = itertools.count()
    monkeypatch.setattr(commands, "monotonic", lambda: next(reading) / 1000)  # each takes a millisecond
    waiting = 3 * commands.SLICE
    runtime = manager.create("a", 0, add, standard_capacity=waiting)
    runtime.pause()
    for _ in range(waiting):
        runtime.send_nowait(1)
    runtime.terminate()
    await turns(10)
    assert 30 <= manager.fates().dead <= 60


@virtual
async def test_counts_add_up_and_the_id_is_taken_until_all_are_discarded(manager):
    waiting = 3 * commands.SLICE
    runtime = manager.create("a", 0, add, standard_capacity=waiting)
    runtime.pause()
    receipts = [runtime.send_nowait(1) for _ in range(waiting)]
    ended = runtime.terminate()
    assert runtime.status is Status.TERMINATED
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait(1)
    with pytest.raises(RuntimeExistsError):
        manager.create("a", 0, add)
    assert manager.fates().adds_up
    assert manager.fates().pending == waiting
    await asyncio.sleep(0)
    assert 0 < manager.fates().pending < waiting
    assert await ended is True
    assert manager.fates().dead == waiting
    manager.create("a", 0, add)
    assert all(receipt.outcome is not None for receipt in receipts)


def test_what_waits_is_discarded_at_once_where_the_loop_ends():
    receipts = []

    async def main():
        manager = RuntimeManager(loop="current")
        for id in ("a", "b"):
            runtime = manager.create(id, 0, add, standard_capacity=10_000)
            runtime.pause()
            receipts.extend(runtime.send_nowait(1) for _ in range(10 * commands.SLICE))
        runtime.terminate()
        if close:
            manager.close()

    for close in (True, False):
        receipts.clear()
        asyncio.run(main())
        last = receipts[10 * commands.SLICE :]
        assert all(receipt.outcome is not None for receipt in (receipts if close else last))


def test_a_runtime_that_ends_while_its_loop_stands_still_leaves_no_task():
    loop = asyncio.new_event_loop()

    async def make():
        manager = RuntimeManager(loop="current")
        runtime = manager.create("a", 0, add)
        await runtime.ask(1)
        return manager, runtime

    manager, runtime = loop.run_until_complete(make())
    ended = runtime.terminate()
    loop.run_until_complete(ended.wait())
    assert asyncio.all_tasks(loop) == set()
    manager.close()
    loop.close()
