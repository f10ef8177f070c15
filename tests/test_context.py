"""context.py: what reaches a workflow from outside, all of it replayable."""

import asyncio

import pytest

from agentrt import ActivityTimeoutError, ProcessingError, RuntimeManager
from agentrt.testing.virtual import run
from tests.support import add, virtual


def details(manager, kind):
    return [record.detail for record in manager.ring.since(0)[0] if record.kind == kind]


def workflow(body):
    """A workflow with a context out of an async function of the context alone; its result is the state."""

    async def made(activity, state, ctx):
        return await body(ctx)

    return made


@virtual
async def test_the_reply_is_what_ask_returns(manager):
    async def polite(activity, state, ctx):
        ctx.reply("first")
        ctx.reply(activity.payload)
        return state + 1

    runtime = manager.create("a", 0, polite)
    assert await runtime.ask(None) is None
    outcome = await runtime.send_nowait("hello")
    assert (outcome.value, outcome.state) == ("hello", 2)


@virtual
async def test_the_reply_of_a_retry_is_that_of_the_attempt_that_was_done(manager):
    attempts = []

    async def second_time(activity, state, ctx):
        attempts.append(1)
        if len(attempts) == 1:
            ctx.reply("from the first")
            raise OSError
        return state

    assert await manager.create("a", "state", second_time, retries=1).ask(1) == "state"


@virtual
async def test_it_knows_its_runtime_and_activity(manager):
    async def look(activity, state, ctx):
        return ctx.runtime, ctx.activity is activity

    assert await manager.create("a", None, look).ask(1) == ("a", True)


@virtual
async def test_a_workflow_pauses_its_runtime_after_its_activity(manager):
    async def pause_at(activity, state, ctx):
        if activity.payload == "pause":
            ctx.pause("to think")
            await ctx.sleep(1)
        return (*state, activity.payload)

    for id, first in (("asks", "ask"), ("sends", "send")):
        runtime = manager.create(id, (), pause_at)
        if first == "ask":
            assert await runtime.ask("pause") == ("pause",)
        else:
            runtime.send_nowait("pause")
        rest = [runtime.send_nowait(number) for number in (1, 2)]
        await asyncio.sleep(5)
        assert (runtime.status, runtime.state, runtime.depth) == ("paused", ("pause",), (0, 2))
        assert [each["why"] for each in details(manager, "paused")][-1:] == ["to think"]
        assert runtime.step() == 1
        assert (await rest[0]).state == ("pause", 1)
        assert runtime.depth == (0, 1)
        runtime.resume()
        assert (await rest[1]).state == ("pause", 1, 2)


@virtual
async def test_one_that_ends_when_all_is_done_is_not_paused(manager):
    async def pause(activity, state, ctx):
        ctx.pause()
        return state + 1

    runtime = manager.create("target", 0, pause)
    receipts = [runtime.send_nowait(None) for _ in range(3)]
    await runtime.terminate(drain=True)
    assert [(await each).state for each in receipts] == [1, 2, 3]


@virtual
async def test_send_and_ask_reach_others_by_id_and_by_handle(manager):
    other = manager.create("other", 0, add)

    async def both(ctx):
        return await ctx.ask("other", 1), (await (await ctx.send(other, 2))).state

    assert await manager.create("a", None, workflow(both)).ask(1) == (1, 3)


@virtual
async def test_an_unknown_id_is_the_failure_of_the_activity(manager):
    async def send(ctx):
        await ctx.send("nobody", 1)

    with pytest.raises(ProcessingError, match="no runtime has the id 'nobody'"):
        await manager.create("a", None, workflow(send)).ask(1)


@virtual
async def test_time_is_the_managers(manager):
    async def nap(ctx):
        before = ctx.now()
        await ctx.sleep(3600)
        return ctx.now() - before

    manager.speed = 60
    assert await manager.create("a", None, workflow(nap)).ask(1) == pytest.approx(3600)
    assert asyncio.get_running_loop().time() == pytest.approx(60)


@virtual
async def test_a_sleep_that_is_cancelled_leaves_no_timer(manager):
    async def nap(ctx):
        await ctx.sleep(3600)

    runtime = manager.create("a", None, workflow(nap), timeout=5)
    with pytest.raises(TimeoutError):
        await runtime.ask(1)
    await asyncio.sleep(10)
    assert len(manager._timers) == 0


def chances(seed):
    async def dice(activity, state, ctx):
        return (*state, ctx.random.random(), ctx.random.random())

    async def main():
        async with RuntimeManager(loop="current", seed=seed) as manager:
            runtime = manager.create("a", (), dice)
            await runtime.ask(1)
            return await runtime.ask(2)

    return run(main())


def test_chance_is_the_seeds_and_differs_from_activity_to_activity():
    assert chances(1) == chances(1)
    assert chances(1) != chances(2)
    assert len(set(chances(1))) == 4


@virtual
async def test_an_effect_is_done_and_put_on_the_record(manager):
    async def fetch(page):
        await asyncio.sleep(1)
        return f"<{page}>"

    async def effects(ctx):
        return await ctx.effect("length", len, "four"), await ctx.effect("page", fetch, "home")

    assert await manager.create("a", None, workflow(effects)).ask(1) == (4, "<home>")
    assert [(d["name"], d["value"]) for d in details(manager, "effect")] == [("length", 4), ("page", "<home>")]


@virtual
async def test_an_effect_that_fails_is_the_workflows_to_handle(manager):
    async def effects(ctx):
        with pytest.raises(ZeroDivisionError):
            await ctx.effect("divide", divmod, 1, 0)
        return "handled"

    receipt = manager.create("a", None, workflow(effects)).send_nowait(1)
    assert (await receipt).state == "handled"
    (told,) = details(manager, "effect")
    assert (told["activity"], told["name"], told["failed"]) == (receipt.id, "divide", True)
    assert told["error"].startswith("ZeroDivisionError(")


@virtual
async def test_an_effect_that_is_cut_off_is_on_the_record(manager):
    async def effects(ctx):
        await ctx.effect("page", ctx.sleep, 60)

    with pytest.raises(ActivityTimeoutError):
        await manager.create("a", None, workflow(effects), timeout=1).ask(1)
    assert [(d["name"], d["error"]) for d in details(manager, "effect")] == [("page", "CancelledError()")]


@virtual
async def test_steps_nest_and_say_how_long_they_took(manager):
    seen = []

    async def steps(ctx):
        with ctx.step("outer"):
            seen.append(manager["a"].snapshot().spans)
            with ctx.step("inner"):
                seen.append(manager["a"].snapshot().spans)
                await ctx.sleep(5)
        seen.append(manager["a"].snapshot().spans)

    await manager.create("a", None, workflow(steps)).ask(1)
    assert seen == [("outer",), ("outer", "inner"), ()]
    spans = [(d["name"], d["depth"], d["started"], d["failed"]) for d in details(manager, "step")]
    assert spans == [("inner", 1, 0, False), ("outer", 0, 0, False)]
    assert [r.at for r in manager.ring.since(0)[0] if r.kind == "step"] == [5, 5]


@virtual
async def test_steps_side_by_side_know_what_they_are_in_and_end_each_for_itself(manager):
    def now():
        return manager["a"].snapshot().spans

    seen = []

    async def fetch(ctx, page, seconds):
        with ctx.step(page):
            await ctx.sleep(seconds)
            with ctx.step("parse"):
                seen.append(now())
                await ctx.sleep(10)
        seen.append(now())

    async def pages(ctx):
        with ctx.step("all"):
            await asyncio.gather(fetch(ctx, "one", 1), fetch(ctx, "two", 2))
            seen.append(now())
        seen.append(now())

    await manager.create("a", None, workflow(pages)).ask(1)
    assert seen == [("all", "one", "parse"), ("all", "two", "parse"), ("all", "two", "parse"), ("all",), ("all",), ()]
    spans = [(d["name"], d["depth"], d["started"]) for d in details(manager, "step")]
    assert spans == [("parse", 2, 1), ("one", 1, 0), ("parse", 2, 2), ("two", 1, 0), ("all", 0, 0)]


@virtual
async def test_a_step_left_open_in_the_background_is_not_that_of_the_next_activity(manager):
    tasks = []

    async def background(ctx):
        with ctx.step("long"):
            await ctx.sleep(100)

    async def leaves(activity, state, ctx):
        if activity.payload == "leave":
            tasks.append(asyncio.create_task(background(ctx)))
            await asyncio.sleep(0)
            return state
        before = manager["a"].snapshot().spans
        with ctx.step("own"):
            await ctx.sleep(200)
            return (*state, before, manager["a"].snapshot().spans)

    runtime = manager.create("a", (), leaves)
    await runtime.ask("leave")
    assert runtime.snapshot().spans == ()
    assert await runtime.ask("look") == ((), ("own",))


@virtual
async def test_a_step_leaves_nothing_in_the_context_that_costs_a_new_task(manager):
    tasks = set()

    async def steps(ctx):
        with ctx.step("one"):
            await ctx.sleep(1)
        tasks.add(asyncio.current_task())

    runtime = manager.create("a", None, workflow(steps))
    await runtime.ask(1)
    await runtime.ask(2)
    assert len(tasks) == 1


@virtual
async def test_a_step_that_raises_is_closed_and_marked(manager):
    async def steps(ctx):
        with ctx.step("bad"):
            raise ValueError("no")

    runtime = manager.create("a", None, workflow(steps))
    with pytest.raises(ProcessingError):
        await runtime.ask(1)
    assert runtime.snapshot().spans == ()
    assert details(manager, "step")[0]["failed"] is True


@virtual
async def test_a_step_that_is_timed_out_does_not_stay_open(manager):
    async def steps(ctx):
        with ctx.step("long"):
            await ctx.sleep(100)

    runtime = manager.create("a", None, workflow(steps), timeout=1)
    with pytest.raises(TimeoutError):
        await runtime.ask(1)
    assert runtime.snapshot().spans == ()


@virtual
async def test_numbers_and_lines_go_on_the_record_with_their_activity(manager):
    async def notes(ctx):
        ctx.metric("temperature", 21.5)
        ctx.log("warm")

    receipt = manager.create("a", None, workflow(notes)).send_nowait(1)
    await receipt
    assert details(manager, "metric") == [{"activity": receipt.id, "name": "temperature", "value": 21.5}]
    assert details(manager, "log") == [{"activity": receipt.id, "message": "warm"}]
