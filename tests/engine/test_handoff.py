"""A runtime at rest takes the turn of who waits for it; as its own task, in its own context, and not for ever."""

import asyncio
import contextvars
import threading

import pytest

from agentrt import (
    ActivityTimeoutError,
    DeadlockError,
    ProcessingError,
    RuntimeManager,
    RuntimeTerminatedError,
    Status,
)
from agentrt.engine.core import core_name
from agentrt.engine.handoff import MOST_ASLEEP, MOST_INLINE, InlineBudget
from tests.support import Gate, add, turns, virtual

SECRET = contextvars.ContextVar("secret", default="none")


async def ready(manager, workflow, state=0, **limits):
    """A runtime at rest whose task exists: what can be lent to."""
    runtime = manager.create("a", state, workflow, **limits)
    await runtime.ask(0)
    await turns()
    return runtime


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.taken = 0
        asyncio.get_running_loop().call_soon(self.count)

    def count(self) -> None:
        self.taken += 1
        asyncio.get_running_loop().call_soon(self.count)


@virtual
async def test_an_idle_runtime_answers_within_the_turn_of_who_asks(manager):
    runtime = await ready(manager, add)
    loop = Turns()
    assert await runtime.ask(1) == 1
    assert (await runtime.send_nowait(1, priority=True)).state == 2
    assert loop.taken == 0


@virtual
async def test_who_asks_again_and_again_gives_way_to_the_others(manager):
    runtime = await ready(manager, add)
    loop = Turns()
    for _ in range(5 * MOST_INLINE):
        await runtime.ask(1)
    assert 4 <= loop.taken <= 20


@virtual
async def test_a_slow_workflow_leaves_less_to_lend(manager):
    async def slow(activity, state):
        manager.loop._now += 0.001  # what computing is to a virtual clock
        return state

    runtime = await ready(manager, slow)
    loop = Turns()
    for _ in range(40):
        await runtime.ask(1)
    assert loop.taken >= 10


@virtual
async def test_what_is_not_next_is_waited_for(manager):
    runtime = await ready(manager, add)
    loop = Turns()
    runtime.send_nowait(1)
    assert (await runtime.send_nowait(1)).state == 2
    assert loop.taken > 0


@virtual
async def test_it_runs_as_its_own_task_in_its_own_context(manager):
    async def look(activity, state):
        found = asyncio.current_task().get_name(), SECRET.get()
        SECRET.set("the runtime's")
        return found

    runtime = await ready(manager, look, ("", ""))
    SECRET.set("the asker's")
    me = asyncio.current_task()
    assert await runtime.ask(1) == ("agentrt a", "none")
    assert await runtime.ask(1) == ("agentrt a", "none")
    assert asyncio.current_task() is me
    assert SECRET.get() == "the asker's"


@virtual
async def test_one_that_suspends_goes_on_in_its_task(manager):
    async def pause(activity, state):
        before = asyncio.current_task()
        await asyncio.sleep(activity.payload)
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await asyncio.sleep(1)
        assert asyncio.current_task() is before
        return state + activity.payload

    runtime = await ready(manager, pause)
    assert [await runtime.ask(n) for n in (3, 4)] == [3, 7]


@virtual
async def test_a_timeout_of_its_own_does_not_end_who_asks(manager):
    async def late(activity, state):
        try:
            async with asyncio.timeout(activity.payload):
                await asyncio.sleep(10)
        except TimeoutError:
            return "late"
        return "in time"

    runtime = await ready(manager, late, "")
    assert await runtime.ask(5) == "late"
    assert await runtime.ask(50) == "in time"


@virtual
async def test_the_deadline_holds_when_it_was_handed_over(manager):
    inner = []

    async def late(activity, state):
        if activity.payload:
            inner.append(asyncio.ensure_future(asyncio.sleep(100)))
            await inner[0]
        return state

    runtime = await ready(manager, late, timeout=2)
    with pytest.raises(ActivityTimeoutError):
        await runtime.ask(1)
    assert manager.clock.now() == 2
    assert inner[0].cancelled()
    assert await runtime.ask(0) == 0


@virtual
async def test_cancelled_before_its_task_took_over(manager):
    inner = []

    async def waits(activity, state):
        if activity.payload:
            inner.append(asyncio.ensure_future(asyncio.sleep(100)))
            await inner[0]
        return state

    runtime = await ready(manager, waits)

    async def asks():
        with pytest.raises(RuntimeTerminatedError):
            await runtime.ask(1)

    asking = asyncio.ensure_future(asks())
    while not inner:
        await asyncio.sleep(0)
    runtime.terminate()
    await asking
    await turns()
    assert inner[0].cancelled()


@virtual
async def test_a_failure_is_the_asker_s_to_see_and_nobody_else_s(manager):
    async def fails(activity, state):
        if activity.payload == 1:
            raise ValueError("no")
        if activity.payload == 2:
            raise KeyboardInterrupt
        return state + 1

    runtime = await ready(manager, fails)
    for payload in (1, 2):
        with pytest.raises(ProcessingError):
            await runtime.ask(payload)
    assert await runtime.ask(3) == 2
    assert runtime.failed == 2


@virtual
async def test_those_that_ended_at_rest_take_nobody_with_them(manager):
    for n in range(MOST_ASLEEP + 50):
        runtime = manager.create(str(n), 0, add)
        assert await runtime.ask(1) == 1
        await turns(3)
        await runtime.terminate()
    assert not manager.asleep
    after = manager.create("after", 0, add)
    for n in range(3):
        assert await after.ask(1) == n + 1
        await turns(3)


@pytest.mark.parametrize("lent", [True, False])
@virtual
async def test_an_error_of_the_machinery_costs_one_activity_and_not_the_runtime(manager, lent, monkeypatch, caplog):
    runtime = await ready(manager, add)

    def breaks():
        monkeypatch.setattr(type(manager.deadlines), "arm", arm)
        raise RuntimeError("broken")

    arm = type(manager.deadlines).arm
    monkeypatch.setattr(type(manager.deadlines), "arm", lambda *_: breaks())
    runtime.timeout = 5
    receipt = runtime.send_nowait(1)
    if not lent:
        await turns()
    with pytest.raises(ProcessingError, match=r"agentrt itself failed in 'a'.*RuntimeError: broken"):
        await receipt
    assert await runtime.ask(2) == 2
    assert runtime.fates().failed == 1
    assert "not its workflow's" in caplog.text


@virtual
async def test_an_error_of_the_machinery_between_two_activities_leaves_what_waits(manager, monkeypatch):
    runtime = await ready(manager, add)
    next_lane = type(runtime.entry.mailbox).next_lane
    faults = []

    def breaks(mailbox):
        faults.append(mailbox)
        raise ZeroDivisionError

    monkeypatch.setattr(type(runtime.entry.mailbox), "next_lane", breaks)
    receipt = runtime.send_nowait(1)
    await turns()
    assert len(faults) == 2  # it goes on after the first; a second one without progress stops it
    assert runtime.status is Status.FAILED
    assert "ZeroDivisionError" in str(runtime.error)
    monkeypatch.setattr(type(runtime.entry.mailbox), "next_lane", next_lane)
    runtime.recover()
    assert (await receipt).state == 1


@virtual
async def test_asks_within_asks(manager):
    async def down(activity, state, ctx):
        if activity.payload:
            ctx.reply(1 + await ctx.ask(str(activity.payload - 1), activity.payload - 1))
        else:
            ctx.reply(0)
        return state + 1

    for n in range(40):
        manager.create(str(n), 0, down)
    assert await manager.ask("39", 39) == 39
    await turns()
    assert await manager.ask("39", 39) == 39
    assert [runtime.state for runtime in manager.runtimes()] == [2] * 40


@virtual
async def test_a_circle_of_asks_is_still_noticed(manager):
    async def other(activity, state, ctx):
        if activity.payload:
            await ctx.ask("b" if ctx.runtime == "a" else "a", 1)
        return state

    for id in "ab":
        manager.create(id, 0, other)
        await manager.ask(id, 0)
    await turns()
    with pytest.raises(ProcessingError) as caught:
        await manager.ask("a", 1)
    cause = caught.value
    while cause.__cause__ is not None:
        cause = cause.__cause__
    assert isinstance(cause, DeadlockError)
    assert cause.chain == ("b", "a", "b")


@virtual
async def test_a_paused_runtime_takes_no_turn(manager):
    runtime = await ready(manager, add)
    runtime.pause()
    asking = asyncio.ensure_future(runtime.ask(1))
    await turns()
    assert not asking.done()
    runtime.resume()
    assert await asking == 1


@virtual
async def test_who_is_swapped_terminated_or_renewed_by_its_own_activity(manager):
    async def acts(activity, state):
        if activity.payload == "swap":
            manager["a"].swap(add)
        if activity.payload == "end":
            manager.terminate("a")
        return 0

    runtime = await ready(manager, acts)
    with pytest.raises(RuntimeTerminatedError):
        await runtime.ask("end")
    runtime = await ready(manager, acts)
    assert await runtime.ask("swap") == 0
    assert await runtime.ask(5) == 5


@virtual
async def test_a_gate_is_waited_for_as_ever(manager):
    gate = Gate()
    gate.open.set()
    runtime = await ready(manager, gate)
    gate.open.clear()
    asking = asyncio.ensure_future(runtime.ask("x"))
    await turns()
    assert runtime.where()[-1].function.endswith("wait")
    gate.open.set()
    assert await asking == "x"


def test_another_thread_lends_nothing():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        assert [manager.run(runtime.ask(1)) for _ in range(3)] == [1, 2, 3]
        assert [runtime.send_nowait(1).result(60).state for _ in range(3)] == [4, 5, 6]

        async def elsewhere():
            return [await runtime.ask(1) for _ in range(3)]

        assert asyncio.run(elsewhere()) == [7, 8, 9]


@virtual
async def test_who_is_ready_is_known_also_where_nobody_was_at_first(manager):
    budget = InlineBudget(asyncio.get_running_loop())
    assert len(budget.ready) == 0
    asyncio.get_running_loop().call_soon(int)
    assert len(budget.ready) == 1


# ---- `asyncio.sleep(0)` in a workflow, in real time


async def yield_and_add(activity, state: int) -> int:
    await asyncio.sleep(0)
    return state + activity.payload


def test_it_takes_no_turn_of_the_loop_while_nobody_else_is_ready(monkeypatch):
    async def count_turns():
        selector = asyncio.get_running_loop()._selector
        select, asked = selector.select, []
        monkeypatch.setattr(selector, "select", lambda timeout: (asked.append(timeout), select(timeout))[1])
        async with RuntimeManager() as manager:
            runtime = manager.create("a", 0, yield_and_add, standard_capacity=1_000)
            receipts = [runtime.send_nowait(1) for _ in range(1_000)]
            assert (await receipts[-1]).state == 1_000
        return len(asked)

    turns_of_the_loop = asyncio.run(count_turns())
    assert turns_of_the_loop >= 1_000 if core_name() == "pure" else turns_of_the_loop < 900


@pytest.mark.parametrize("from_thread", [False, True])
def test_who_is_ready_has_its_turn_first(from_thread):
    async def steps():
        seen, loop = [], asyncio.get_running_loop()

        async def workflow(activity, state: int) -> int:
            if from_thread:
                await_thread(lambda: loop.call_soon_threadsafe(seen.append, "other"))
            else:
                loop.call_soon(seen.append, "other")
            await asyncio.sleep(0)
            seen.append("workflow")
            return state

        async with RuntimeManager() as manager:
            runtime = manager.create("a", 0, workflow)
            await [runtime.send_nowait(1) for _ in range(3)][-1]
        return seen

    assert asyncio.run(steps()) == ["other", "workflow"] * 3


def await_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_a_workflow_that_cancels_its_task_is_cancelled_there():
    async def cancel(activity, state: int) -> int:
        asyncio.current_task().cancel()
        await asyncio.sleep(0)
        return state + 1

    async def ask():
        async with RuntimeManager() as manager:
            runtime = manager.create("a", 0, cancel)
            receipts = [runtime.send_nowait(1) for _ in range(2)]
            with pytest.raises(ProcessingError, match="Cancelled"):
                await receipts[-1]
            return runtime.state

    assert asyncio.run(ask()) == 0


def test_one_that_waits_by_yielding_lets_the_loop_have_its_turns():
    async def steps():
        happened = []

        async def wait(activity, state: int) -> int:
            asyncio.get_running_loop().call_later(0.005, happened.append, True)
            while not happened:
                await asyncio.sleep(0)
            return 1

        async with RuntimeManager() as manager:
            runtime = manager.create("a", 0, wait)
            first, _ = runtime.send_nowait(1), runtime.send_nowait(1)
            return (await first).state

    assert asyncio.run(asyncio.wait_for(steps(), 60)) == 1
