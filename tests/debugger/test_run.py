"""Activities that are stopped inside of their workflow: at steps, at errors, before the commit."""

import asyncio
import contextlib
import contextvars
import threading
from typing import Any

import pytest

import agentrt
from agentrt.debugger import How, StopKind
from tests.harness.wait import wait_until
from tests.support import PATIENCE, add, fail, turns, virtual

VARIABLE = contextvars.ContextVar("VARIABLE", default="none")


async def land(activity: Any, state: int, ctx: Any) -> int:
    """Two steps, one of them with two steps inside."""
    seen = []
    with ctx.step("descend"):
        seen.append("descend")
        with ctx.step("flaps"):
            await ctx.sleep(1)
        with ctx.step("gear"):
            seen.append("gear")
    with ctx.step("park"):
        seen.append("park")
        await ctx.sleep(1)
    ctx.reply(seen)
    return state + activity.payload


async def stop_of(runtime: Any) -> Any:
    """Where it is stopped, once it is."""
    for _ in range(1000):
        if runtime.breakpoints.stop is not None:
            return runtime.breakpoints.stop
        await asyncio.sleep(0.1)
    raise AssertionError("it was never stopped")


def place(stop: Any) -> tuple[str, tuple[str, ...]]:
    return stop.kind.value, stop.steps


# ---- steps


@virtual
async def test_it_stops_where_a_step_begins_and_nothing_of_the_step_has_run(manager: Any) -> None:
    runtime = manager.create("JFK", 0, land)
    runtime.breakpoints.add(step="descend")
    receipt = runtime.send_nowait(1)
    stop = await stop_of(runtime)
    assert (stop.at, place(stop), runtime.status) == ("step descend", ("step", ("descend",)), "paused")
    found = runtime.whereabouts()
    assert (found.how, found.stop) == (How.STOPPED, stop)
    assert [frame.function for frame in found.frames] == ["land"]
    assert found.frames[0].source == 'with ctx.step("descend"):'
    assert found.frames[0].locals["seen"] == "[]"
    runtime.resume()
    assert (await receipt).value == ["descend", "gear", "park"]
    assert runtime.status == "idle"


@virtual
async def test_others_go_on_and_no_deadline_passes_while_it_is_stopped(manager: Any) -> None:
    runtime = manager.create("JFK", 0, land, timeout=3)
    other = manager.create("LGA", 0, add)
    runtime.breakpoints.add(step="park")
    receipt = runtime.send_nowait(1)
    await stop_of(runtime)
    for _ in range(100):
        assert await other.ask(1)
        await asyncio.sleep(1)
    runtime.resume()
    assert (await receipt).fate == "done"


@virtual
async def test_over_into_and_out_follow_the_steps(manager: Any) -> None:
    runtime = manager.create("JFK", 0, land)
    points = runtime.breakpoints
    points.add(step="descend")
    runtime.send_nowait(1)
    for go, where in (
        (None, ("step", ("descend",))),
        (points.step_into, ("step", ("descend", "flaps"))),
        (points.step_over, ("step", ("descend", "gear"))),
        (points.step_into, ("step_end", ("descend",))),
        (points.step_over, ("step", ("park",))),
        (points.step_out, ("done", ())),
    ):
        if go is not None:
            go()
        assert place(await stop_of(runtime)) == where
    assert (runtime.state, points.stop.new) == (0, "1")
    runtime.resume()
    await turns()
    second = runtime.send_nowait(1)
    await stop_of(runtime)
    points.step_over()
    assert place(await stop_of(runtime)) == ("step", ("park",))
    points.clear()
    runtime.resume()
    assert (await second).state == 2


@virtual
async def test_step_goes_on_to_the_end_of_the_activity_and_no_further(manager: Any) -> None:
    runtime = manager.create("JFK", 0, land)
    runtime.breakpoints.add(step="descend")
    receipts = [runtime.send_nowait(1) for _ in range(2)]
    await stop_of(runtime)
    assert runtime.step() == 1
    assert (await receipts[0]).state == 1
    await turns()
    assert (runtime.status, runtime.depth) == ("paused", (0, 1))
    runtime.breakpoints.clear()
    runtime.resume()
    await receipts[1]


@virtual
async def test_a_paused_runtime_is_stepped_into(manager: Any) -> None:
    runtime = manager.create("JFK", 0, land)
    runtime.pause()
    receipts = [runtime.send_nowait(1) for _ in range(2)]
    runtime.breakpoints.step_into()
    assert place(await stop_of(runtime)) == ("step", ("descend",))
    runtime.resume()
    await receipts[1]
    assert runtime.breakpoints.stop is None


@virtual
async def test_hits_and_conditions(manager: Any) -> None:
    runtime = manager.create("JFK", 0, land)
    runtime.breakpoints.add(step="park", hits=3)
    runtime.breakpoints.add(step="gear", when="activity.payload == 7 and seen")
    runtime.breakpoints.add(step="flaps", when=lambda activity: activity.payload == 8)
    assert runtime.breakpoints.names == (
        "step park, from hit 3 on", "step gear if activity.payload == 7 and seen",
        "step flaps if test_hits_and_conditions.<locals>.<lambda>",
    )  # fmt: skip
    await runtime.ask(1)
    sevens = [runtime.send_nowait(n) for n in (7, 8)]
    assert (await stop_of(runtime)).steps[-1] == "gear"
    runtime.resume()
    for step in ("flaps", "park"):
        await turns()
        assert (await stop_of(runtime)).steps[-1] == step
        runtime.resume()
    assert [(await each).state for each in sevens] == [8, 16]


@virtual
async def test_a_condition_that_raises_is_taken_out(manager: Any) -> None:
    runtime = manager.create("JFK", 0, land)
    runtime.breakpoints.add(step="park", when="no_such_name")
    await runtime.ask(1)
    assert len(runtime.breakpoints) == 0


@pytest.mark.parametrize("blocking", [False, True])
def test_plain_functions_stop_as_well_on_the_loop_and_in_a_thread(blocking: bool) -> None:
    def plain(activity: Any, state: int, ctx: Any) -> int:
        with ctx.step("first"):
            state += 1
        return state

    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("x", 0, plain, blocking=blocking)
        other = manager.create("y", 0, add)
        runtime.breakpoints.add(step="first")
        receipt = runtime.send_nowait(1)
        wait_until(lambda: runtime.breakpoints.stop is not None)
        assert other.send_nowait(1).result(PATIENCE).state == 1
        found = runtime.whereabouts()
        assert (found.how, [frame.function.split(".")[-1] for frame in found.frames]) == (How.STOPPED, ["plain"])
        runtime.breakpoints.step_over()
        wait_until(lambda: runtime.breakpoints.stop is not None and runtime.breakpoints.stop.kind is StopKind.DONE)
        runtime.resume()
        assert receipt.result(PATIENCE).state == 1
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if name.endswith("with breakpoints")]


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("drain", [False, True])
def test_a_runtime_that_is_stopped_can_be_terminated(blocking: bool, drain: bool) -> None:
    def plain(activity: Any, state: int, ctx: Any) -> int:
        with ctx.step("first"):
            return state + 1

    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("x", 0, plain, blocking=blocking)
        runtime.breakpoints.add(step="first")
        receipts = [runtime.send_nowait(1) for _ in range(2)]
        wait_until(lambda: runtime.breakpoints.stop is not None)
        runtime.terminate(drain=drain)
        fates = [_fate(each) for each in receipts]
        assert fates == (["done"] * 2 if drain else ["terminated", "dead"])


def _fate(receipt: Any) -> str:
    with contextlib.suppress(agentrt.AgentError):
        receipt.result(PATIENCE)
    return str(receipt.outcome.fate.value)


def test_a_manager_is_closed_while_an_activity_is_stopped() -> None:
    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("JFK", 0, land)
        runtime.breakpoints.add(step="descend")
        runtime.send_nowait(1)
        wait_until(lambda: runtime.breakpoints.stop is not None)


@virtual
async def test_a_workflow_finds_everything_as_on_the_loop(manager: Any) -> None:
    seen: list[Any] = []

    async def looks(activity: Any, state: Any, ctx: Any) -> Any:
        VARIABLE.set("mine")
        with ctx.step("look"):
            seen.append((asyncio.get_running_loop() is manager.loop, asyncio.current_task() is runtime.entry.task))
            async with asyncio.timeout(5):
                await asyncio.gather(ctx.sleep(1), ctx.sleep(2))
            seen.append(await ctx.ask("other", 5))
            seen.append(VARIABLE.get())
            runtime.first(waiting.id) if waiting is not None else None
        return state

    runtime = manager.create("x", 0, looks)
    manager.create("other", 0, add)
    waiting = None
    runtime.breakpoints.add(step="none of it")
    await runtime.ask(1)
    assert seen == [(True, True), 5, "mine"]


async def beside(ctx: Any, name: str, seen: list[str]) -> None:
    await ctx.sleep(1)
    with ctx.step(name):
        seen.append(name)
        await ctx.sleep(1)


def gathers(seen: list[str]) -> Any:
    async def workflow(activity: Any, state: int, ctx: Any) -> int:
        await asyncio.gather(*(beside(ctx, name, seen) for name in "abc"))
        return state + 1

    return workflow


@virtual
async def test_tasks_of_a_workflow_stop_at_their_steps_one_after_the_other(manager: Any) -> None:
    seen: list[str] = []
    runtime = manager.create("x", 0, gathers(seen))
    runtime.breakpoints.add(step="*")
    receipt = runtime.send_nowait(1)
    stops = []
    for n in range(3):
        stop = await stop_of(runtime)
        stops.append(stop.steps)
        assert len(seen) == n
        assert runtime.where()[-1].function == "beside"
        assert runtime.breakpoints.evaluate("name") == stop.steps[-1]
        runtime.resume()
        await turns()
    assert sorted(stops) == [("a",), ("b",), ("c",)]
    assert (await receipt).state == 1
    assert not [each.name for each in threading.enumerate() if each.name.endswith("with breakpoints")]


@virtual
async def test_tasks_of_a_stopped_workflow_are_cancelled_when_it_runs_again_or_ends(manager: Any) -> None:
    seen: list[str] = []
    runtime = manager.create("x", 0, gathers(seen))
    runtime.breakpoints.add(step="b")
    receipt = runtime.send_nowait(1)
    await stop_of(runtime)
    runtime.breakpoints.retry()
    await turns()
    await stop_of(runtime)
    seen.clear()
    runtime.breakpoints.clear()
    runtime.resume()
    assert (await receipt).state == 1
    assert sorted(seen) == ["b"]
    runtime.breakpoints.add(step="b")
    last = runtime.send_nowait(1)
    await stop_of(runtime)
    await runtime.terminate()
    assert last.outcome.fate == "terminated"


@virtual
async def test_a_task_that_is_cancelled_before_it_begins(manager: Any) -> None:
    async def never(activity: Any, state: int, ctx: Any) -> int:
        task = asyncio.create_task(ctx.sleep(5))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return state + 1

    runtime = manager.create("x", 0, never)
    runtime.breakpoints.add(step="b")
    assert await runtime.ask(1) == 1


# ---- states and errors


@virtual
async def test_a_watchpoint_stops_before_the_new_state_is_the_state(manager: Any) -> None:
    runtime = manager.create("x", 0, add)
    runtime.breakpoints.add(after=lambda old, new: new > 10 >= old)
    receipts = [runtime.send_nowait(n) for n in (5, 6, 7)]
    stop = await stop_of(runtime)
    assert (place(stop), stop.new, runtime.state) == (("done", ()), "11", 5)
    assert runtime.breakpoints.evaluate("new - old") == 6
    runtime.resume()
    assert [(await receipt).state for receipt in receipts] == [5, 11, 18]


@virtual
async def test_an_error_stops_where_it_was_raised(manager: Any) -> None:
    async def divides(activity: Any, state: int) -> int:
        divisor = activity.payload
        return 100 // divisor

    runtime = manager.create("x", 0, divides)
    runtime.breakpoints.add(error=True)
    receipt = runtime.send_nowait(0)
    stop = await stop_of(runtime)
    assert (stop.kind, stop.error) == (StopKind.ERROR, "ZeroDivisionError: integer division or modulo by zero")
    frame = runtime.where()[-1]
    assert (frame.source, frame.locals["divisor"]) == ("return 100 // divisor", "0")
    assert runtime.fates().failed == 0
    runtime.resume()
    with pytest.raises(agentrt.ProcessingError):
        await receipt


@virtual
async def test_it_stops_at_each_retry_of_the_runtime(manager: Any) -> None:
    runtime = manager.create("x", 0, fail, retries=1, backoff=1)
    runtime.breakpoints.add(error=True)
    receipt = runtime.send_nowait(0)
    for _ in range(2):
        await stop_of(runtime)
        runtime.resume()
        await turns()
    await receipt.wait()
    assert receipt.outcome.attempts == 2


# ---- another try


@virtual
async def test_a_stopped_activity_runs_again_with_another_payload_code_and_state(manager: Any) -> None:
    began: list[Any] = []

    async def divides(activity: Any, state: int, ctx: Any) -> int:
        began.append((activity.payload, state))
        ctx.reply("first")
        with ctx.step("divide"):
            return 100 // activity.payload

    async def mended(activity: Any, state: int, ctx: Any) -> int:
        began.append(("mended", activity.payload, state))
        return 100 // activity.payload + state

    runtime = manager.create("x", 0, divides)
    runtime.breakpoints.add(error=True)
    receipt = runtime.send_nowait(0)
    await stop_of(runtime)
    runtime.breakpoints.retry(payload=0.0)
    await turns()
    await stop_of(runtime)
    runtime.edit_state(7)
    runtime.swap(mended)
    runtime.breakpoints.retry(payload=5)
    assert (runtime.paused, runtime.breakpoints.stop) == (True, None)
    assert (await receipt).value == 27
    assert began == [(0, 0), (0.0, 0), ("mended", 5, 7)]
    assert runtime.entry.current is None
    kinds = [record.kind for record in manager.ring.since(0)[0]]
    assert (kinds.count("retried"), kinds.count("edited"), kinds.count("state_edited")) == (2, 2, 1)


@virtual
async def test_an_activity_that_is_stopped_at_a_step_runs_again(manager: Any) -> None:
    closed: list[str] = []

    async def tidy(activity: Any, state: int, ctx: Any) -> int:
        try:
            with ctx.step("one"):
                return state + int(activity.payload)
        except BaseException:
            closed.append("closed")
            raise

    runtime = manager.create("x", 0, tidy)
    runtime.breakpoints.add(step="one", hits=1)
    receipt = runtime.send_nowait(1)
    await stop_of(runtime)
    runtime.breakpoints.retry(payload=5)
    await turns()
    assert (await stop_of(runtime)).activity == receipt.id
    assert closed == ["closed"]
    runtime.breakpoints.clear()
    runtime.resume()
    assert (await receipt).state == 5


@virtual
async def test_what_is_not_stopped_can_not_be_run_again_or_stepped(manager: Any) -> None:
    runtime = manager.create("x", 0, land)
    with pytest.raises(agentrt.AgentError, match="no activity of 'x' is stopped"):
        runtime.breakpoints.retry()
    runtime.send_nowait(1)
    await asyncio.sleep(0.5)
    with pytest.raises(agentrt.AgentError, match="not stopped inside"):
        runtime.breakpoints.step_over()
    with pytest.raises(agentrt.AgentError, match="pause it"):
        runtime.edit_state(5)
    await asyncio.sleep(5)


# ---- expressions


@virtual
async def test_expressions_see_the_frame_and_its_module(manager: Any) -> None:
    runtime = manager.create("JFK", 10, land)
    runtime.breakpoints.add(step="park")
    runtime.send_nowait(1)
    await stop_of(runtime)
    evaluate = runtime.breakpoints.evaluate
    assert evaluate("[state + n for n in (1, 2)]") == [11, 12]
    assert evaluate("(lambda: (seen, place.__name__))()") == (["descend", "gear"], "place")
    with pytest.raises(agentrt.AgentError, match="ZeroDivisionError"):
        evaluate("1 / 0")
    with pytest.raises(agentrt.ConfigurationError, match="no expression"):
        evaluate("x = 1")
    with pytest.raises(agentrt.AgentError, match="no frame 9"):
        evaluate("1", frame=9)
    runtime.resume()
    await asyncio.sleep(0.5)
    assert evaluate("seconds", frame=1) == 1
    await asyncio.sleep(5)
    evaluated = [record for record in manager.ring.since(0)[0] if record.kind == "evaluated"]
    assert evaluated[0].detail["expression"] == "[state + n for n in (1, 2)]"
    with pytest.raises(agentrt.AgentError, match="no activity of 'JFK' is at a place"):
        evaluate("1")
