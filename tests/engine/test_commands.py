"""commands.py: pause, step, limits, swap, and what is on the record of a command."""

import asyncio
import threading

import pytest

from agentrt import (
    Activity,
    AgentError,
    ConfigurationError,
    MailboxFullError,
    ProcessingError,
    RuntimeManager,
    Status,
)
from agentrt.engine.commands import ACTOR
from tests.engine.paused_runtimes import kinds, paused
from tests.support import Gate, add, fail, turns, virtual

TIMEOUT = 60


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
