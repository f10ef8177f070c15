"""answer.py: a workflow pauses its runtime, and an answer ends the pause, whatever else happens to either."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from agentrt import Activity, ProcessingError, RuntimeManager, Supervision
from agentrt.errors import ConfigurationError, MailboxFullError
from agentrt.journal.memory import MemoryJournal, MemoryLog
from agentrt.testing.virtual import run
from tests.support import virtual


async def desk(activity: Any, state: tuple[Any, ...], ctx: Any) -> tuple[Any, ...]:
    """Asks where it is told to ask, fails where it is told to fail; both take a second."""
    words = str(activity.payload).replace(",", "").split()
    if "ask" in words:
        ctx.pause(f"asks {activity.id}")
    await ctx.sleep(5 if "slow" in words else 1)
    if "fail" in words:
        raise ValueError(activity.payload)
    return (*state, activity.payload)


def open_desk(manager: RuntimeManager, **limits: Any) -> Any:
    return manager.create("desk", (), desk, **limits)


def pauses(manager: RuntimeManager) -> list[str]:
    kinds = ("paused", "resumed")
    return [each.kind for each in manager.ring.records if getattr(each, "kind", "") in kinds]


@virtual
async def test_an_answer_is_processed_first_and_ends_the_pause(manager):
    runtime = open_desk(manager)
    receipts = [runtime.send_nowait(each) for each in ("ask", "standard", "last")]
    await receipts[0]
    runtime.send_nowait("urgent", priority=True)
    await asyncio.sleep(100)
    assert (runtime.status, runtime.depth) == ("paused", (1, 2))
    assert (await runtime.answer("answer")).state == ("ask", "answer")
    assert (await receipts[2]).state == ("ask", "answer", "urgent", "standard", "last")
    assert pauses(manager) == ["paused", "resumed"]
    assert runtime.entry.question is None
    assert not runtime.entry.held


@virtual
async def test_an_answer_that_is_due_later_is_refused(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    with pytest.raises(ConfigurationError, match=r"not_before is 9\.0; it must be None in an answer"):
        runtime.answer(Activity(0, payload="answer", not_before=9.0))
    assert (runtime.status, runtime.depth) == ("paused", (0, 0))
    await runtime.answer(Activity(0, payload="answer"))
    assert (runtime.status, runtime.state) == ("idle", ("ask", "answer"))


@virtual
async def test_one_that_asks_again_stays_paused(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    await runtime.answer("answer, and ask")
    await asyncio.sleep(100)
    assert (runtime.status, runtime.depth) == ("paused", (0, 1))
    assert pauses(manager) == ["paused", "resumed", "paused"]
    await runtime.answer("answer")
    assert (await waits).state[-2:] == ("answer", "standard")


@virtual
async def test_several_answers_are_processed_one_after_the_other(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    answers = [runtime.answer(each) for each in ("one, ask", "two, ask", "three")]
    assert (await waits).state == ("ask", "one, ask", "two, ask", "three", "standard")
    assert [each.value.kind for each in answers] == ["done"] * 3


@virtual
async def test_a_failed_answer_leaves_it_paused(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    with pytest.raises(ProcessingError):
        await runtime.answer("fail")
    await asyncio.sleep(100)
    assert (runtime.status, runtime.depth) == ("paused", (0, 1))
    await runtime.answer("answer")
    assert (await waits).state == ("ask", "answer", "standard")


@virtual
async def test_an_answer_that_is_tried_again_ends_the_pause_when_it_is_done(manager):
    fails = [True]

    async def shaky(activity, state, ctx):
        if activity.payload == "ask" or fails:
            ctx.pause()
        if activity.payload == "answer" and fails:
            fails.pop()
            raise OSError
        return (*state, activity.payload)

    runtime = manager.create("shaky", (), shaky, retries=1)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    assert (await runtime.answer("answer")).attempts == 2
    assert (await waits).state == ("ask", "answer", "standard")


@virtual
async def test_nothing_is_paused_by_an_activity_that_fails(manager):
    runtime = open_desk(manager)
    receipts = [runtime.send_nowait(each) for each in ("ask, fail", "between", "ask", "standard")]
    await receipts[0].wait()
    assert runtime.paused is False
    await receipts[2]
    await asyncio.sleep(100)
    assert (runtime.state, pauses(manager)) == (("between", "ask"), ["paused"])
    assert receipts[3].value is None


@virtual
async def test_a_state_that_is_refused_pauses_nothing(manager):
    def refuse(activity: Any, state: int, ctx: Any) -> int:
        ctx.pause()
        return "no number"  # type: ignore[return-value]

    runtime = manager.create("wrong", 0, refuse)
    await runtime.send_nowait(1).wait()
    await asyncio.sleep(1)
    assert (runtime.status, pauses(manager)) == ("error", [])


@virtual
@pytest.mark.parametrize("supervision", ["restart", "group"])
async def test_one_that_restarts_asks_nothing_any_more(manager, supervision):
    if supervision == "group":
        manager.group("both", "one_for_all", intensity=9)
        runtime = open_desk(manager, group="both")
        other = manager.create("other", (), desk, group="both")
    else:
        runtime = other = open_desk(manager, supervision=Supervision("restart", intensity=1))
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    failed = runtime.answer("fail") if other is runtime else other.send_nowait("fail")
    await failed.wait()
    assert (await waits).state == ("standard",)
    assert pauses(manager) == ["paused", "resumed"]


@virtual
async def test_a_group_that_interrupts_an_answer_leaves_nothing_paused(manager):
    manager.group("both", "one_for_all", intensity=9)
    runtime = open_desk(manager, group="both")
    other = manager.create("other", (), desk, group="both")
    await runtime.ask("ask")
    answer = runtime.answer("answer, ask")
    failed = other.send_nowait("fail")
    await asyncio.gather(answer.wait(), failed.wait())
    assert (await runtime.send_nowait("standard")).state[-1] == "standard"


@virtual
async def test_fairness_does_not_put_others_before_an_answer(manager):
    runtime = open_desk(manager, fairness=2)
    await runtime.ask("ask")
    waits = [runtime.send_nowait(each) for each in "ab"]
    for number in range(7):
        await runtime.answer(f"ask {number}")
    assert [each.value for each in waits] == [None, None]
    await runtime.answer("enough")
    assert (await waits[1]).state[-3:] == ("enough", "a", "b")


@virtual
async def test_steps_stop_where_it_asks(manager):
    runtime = open_desk(manager)
    runtime.pause()
    receipts = [runtime.send_nowait(each) for each in ("ask", "a", "b")]
    assert runtime.step(3) == 3
    await asyncio.sleep(100)
    assert (runtime.status, [each.value is not None for each in receipts]) == ("paused", [True, False, False])
    runtime.step()
    await asyncio.sleep(100)
    assert (runtime.status, runtime.state) == ("paused", ("ask", "a"))
    runtime.resume()
    assert (await receipts[2]).state == ("ask", "a", "b")


@virtual
async def test_a_pause_by_a_command_meanwhile_is_ended_by_an_answer_alone(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    runtime.pause()
    runtime.step()
    assert (await waits).state == ("ask", "standard")
    await asyncio.sleep(10)
    assert runtime.status == "paused"
    last = runtime.send_nowait("last")
    await runtime.answer("answer")
    assert (await last).state[-2:] == ("answer", "last")


@virtual
async def test_a_breakpoint_inside_does_not_end_the_pause(manager):
    runtime = open_desk(manager)
    runtime.breakpoints.add(after=lambda old, new: len(new) == 1)
    receipts = [runtime.send_nowait(each) for each in ("ask", "standard")]
    await asyncio.sleep(10)
    assert runtime.breakpoints.stop is not None
    runtime.resume()
    await receipts[0]
    await asyncio.sleep(10)
    assert (runtime.status, runtime.depth) == ("paused", (0, 1))
    assert (await runtime.answer("answer")).state == ("ask", "answer")
    assert (await receipts[1]).state[-1] == "standard"


@virtual
async def test_an_answer_that_is_dropped_is_waited_for_no_longer(manager):
    runtime = open_desk(manager, priority_capacity=1, overflow="drop_newest")
    await runtime.ask("ask")
    urgent = runtime.send_nowait("urgent", priority=True)
    lost = runtime.answer("answer")
    await asyncio.sleep(10)
    assert (lost.value.kind, urgent.value, runtime.status) == ("dropped", None, "paused")


@virtual
async def test_an_answer_for_which_there_is_no_room_changes_nothing(manager):
    runtime = open_desk(manager, priority_capacity=1)
    await runtime.ask("ask")
    urgent = runtime.send_nowait("urgent", priority=True)
    with pytest.raises(MailboxFullError):
        runtime.answer("answer")
    await asyncio.sleep(10)
    assert (runtime.status, urgent.value) == ("paused", None)


@virtual
async def test_one_that_is_taken_back_lets_no_other_pass(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    with manager.lock:
        answer = runtime.answer("answer")
        runtime.drop(answer.id)
    await asyncio.sleep(10)
    assert (runtime.status, waits.value) == ("paused", None)


@virtual
async def test_what_is_late_pauses_nothing(manager):
    tasks = []

    async def leave_task(activity, state, ctx):
        async def late():
            await asyncio.sleep(5)
            ctx.pause()

        tasks.append(asyncio.create_task(late()))
        return state + 1

    runtime = manager.create("late", 0, leave_task)
    assert await runtime.ask(None) == 1
    await tasks[0]
    await asyncio.sleep(10)
    assert (runtime.status, runtime.entry.question) == ("idle", None)


@virtual
async def test_it_is_not_paused_while_it_ends(manager):
    runtime = open_desk(manager)
    receipts = [runtime.send_nowait(each) for each in ("ask", "ask", "standard")]
    await asyncio.sleep(0.5)
    await runtime.terminate(drain=True)
    assert [each.value.kind for each in receipts] == ["done"] * 3


@virtual
async def test_one_that_is_not_paused_gets_it_as_what_is_urgent(manager):
    runtime = open_desk(manager)
    runtime.send_nowait("standard")
    assert (await runtime.answer("answer")).state in (("answer",), ("standard", "answer"))
    assert runtime.entry.question is None


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_workflow_answers_at_once(is_durable):
    async def main():
        async with RuntimeManager(loop="current", journal=MemoryJournal() if is_durable else None) as manager:
            runtime = open_desk(manager)

            async def boss(activity, state, ctx):
                runtime.answer("answer")
                await ctx.sleep(10)
                return state + 1

            await runtime.ask("ask")
            waits = runtime.send_nowait("standard")
            await manager.create("boss", 0, boss).ask(None)
            assert (await waits).state == ("ask", "answer", "standard")

    run(main())


def test_a_stored_one_asks_in_its_next_life():
    log = MemoryLog()

    async def first_life():
        async with RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            runtime = open_desk(manager)
            receipts = [runtime.send_nowait(each) for each in ("ask", "standard")]
            await asyncio.gather(*(each.stored() for each in receipts))
            await asyncio.sleep(0.5)  # it has asked, and is not done

    async def next_life():
        async with RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            runtime = open_desk(manager)
            await asyncio.sleep(10)
            assert (runtime.status, runtime.state, runtime.depth) == ("paused", ("ask",), (0, 1))

    async def last_life():
        async with RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            runtime = open_desk(manager)
            assert (runtime.status, runtime.depth) == ("paused", (0, 1))
            assert (await runtime.answer("answer")).state == ("ask", "answer")
            await asyncio.sleep(10)
            assert runtime.state == ("ask", "answer", "standard")

    for life in (first_life, next_life, last_life):
        run(life())


def test_an_answer_comes_from_any_thread():
    with RuntimeManager(loop="thread") as manager:

        def ask(activity, state, ctx):
            if activity.payload == "ask":
                ctx.pause()
            return (*state, activity.payload)

        runtime = manager.create("desk", (), ask)
        for round in range(200):
            runtime.send_nowait("ask").result(5)
            waits = runtime.send_nowait(round)
            assert runtime.answer("answer").result(5).state[-1] == "answer"
            assert waits.result(5).state[-3:] == ("ask", "answer", round)


@virtual
async def test_all_answers_pass_also_when_the_first_ends_the_pause_and_the_second_asks(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    answers = [runtime.answer(each) for each in ("one", "two, ask", "three")]
    await asyncio.sleep(100)
    assert [each.value.kind for each in answers] == ["done"] * 3
    assert (await waits).state == ("ask", "one", "two, ask", "three", "standard")


@virtual
async def test_an_answer_that_comes_too_late_lets_no_other_pass(manager):
    runtime = open_desk(manager, deadline=3)
    await runtime.ask("ask")
    late = [runtime.answer(each) for each in ("one, ask, slow", "two")]
    await asyncio.sleep(4)
    waits = runtime.send_nowait("standard")
    await asyncio.sleep(2)
    assert [each.value.kind for each in late] == ["done", "timed_out"]
    assert (runtime.status, waits.value) == ("paused", None)


@virtual
async def test_a_pause_by_a_command_lets_no_answer_pass(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    runtime.send_nowait("urgent", priority=True)
    runtime.answer("answer")
    runtime.pause()
    await asyncio.sleep(10)
    assert (runtime.state, runtime.depth) == (("ask",), (2, 0))
    assert runtime.step() == 1
    await asyncio.sleep(10)
    assert (runtime.status, runtime.depth) == ("paused", (1, 0))


@virtual
async def test_an_answer_that_waits_passes_once_its_supervisor_has_stopped_it_and_it_is_recovered(manager):
    runtime = open_desk(manager, supervision=Supervision("stop", intensity=1))
    await runtime.ask("ask")
    failed, waits = runtime.answer("fail"), runtime.answer("answer")
    await failed.wait()
    await asyncio.sleep(10)
    runtime.recover()
    assert (await waits).state == ("ask", "answer")


@virtual
async def test_a_restart_does_not_end_a_pause_by_a_command(manager):
    runtime = open_desk(manager, supervision=Supervision("restart", intensity=1))
    runtime.pause()
    waits = runtime.send_nowait("standard")
    await runtime.answer("fail").wait()
    await asyncio.sleep(10)
    assert (runtime.status, waits.value) == ("paused", None)


@virtual
async def test_a_resume_while_it_asks_does_not_end_the_pause(manager):
    runtime = open_desk(manager)
    receipt = runtime.send_nowait("ask")
    await asyncio.sleep(0.5)
    runtime.resume()
    await receipt
    assert runtime.status == "paused"


@virtual
async def test_an_answer_that_is_stopped_inside_and_fails_leaves_it_paused(manager):
    runtime = open_desk(manager)
    await runtime.ask("ask")
    waits = runtime.send_nowait("standard")
    runtime.breakpoints.add(error=True)
    failed = runtime.answer("fail")
    await asyncio.sleep(10)
    assert runtime.breakpoints.stop is not None
    runtime.resume()
    await failed.wait()
    await asyncio.sleep(10)
    assert (runtime.status, waits.value) == ("paused", None)
    assert pauses(manager) == ["paused"]


@virtual
async def test_one_that_ignores_its_timeout_pauses_nothing(manager):
    async def stubborn(activity, state, ctx):
        ctx.pause()
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(50)
        return state

    runtime = manager.create("stubborn", 0, stubborn, timeout=1, grace=1)
    await runtime.send_nowait(None).wait()
    assert (runtime.status, runtime.paused) == ("stuck", False)


def test_what_was_asked_inline_is_stored_with_the_state():
    log = MemoryLog()

    def ask(activity, state, ctx):
        ctx.pause()
        return (*state, activity.payload)

    async def first_life():
        async with RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            await manager.create("desk", (), ask).ask("ask")

    async def next_life():
        async with RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            runtime = manager.create("desk", (), ask)
            assert (runtime.status, runtime.state) == ("paused", ("ask",))

    run(first_life())
    run(next_life())


def test_a_resume_while_an_answer_runs_is_not_stored_as_the_end_of_the_pause():
    log = MemoryLog()

    async def first_life():
        async with RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            runtime = open_desk(manager)
            await runtime.ask("ask")
            await runtime.answer("slow").stored()
            await asyncio.sleep(0.5)
            runtime.resume()

    async def next_life():
        async with RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            runtime = open_desk(manager)
            assert (runtime.status, runtime.depth) == ("paused", (1, 0))

    run(first_life())
    run(next_life())
