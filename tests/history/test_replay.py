"""replay.py: what was recorded, run again."""

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import Any

import pytest

import agentrt
from agentrt import Activity, ConfigurationError, RuntimeManager
from agentrt.demo import load_day, towers
from agentrt.demo.towers import CancelledFlight
from tests.harness.wait import wait_until
from tests.history.clerk import sell
from tests.support import add, collect, fail, virtual


@virtual
async def test_nothing_is_found_where_nothing_changed(manager):
    await sell(manager)
    before = manager.fates(), manager.ring.cursor
    replay = manager.replay()
    assert replay.matches, replay
    assert (replay.dishonest, replay.skipped) == ((), ())
    assert replay.count == manager.fates().done + manager.fates().failed
    assert (manager.fates(), manager.ring.cursor) == before, "it changes nothing"


async def control_of_another_day(activity: Any, tower: Any, ctx: Any) -> Any:
    flight = activity.payload
    if flight.cancelled:
        raise CancelledFlight(flight)
    with ctx.step("line up"):
        await ctx.sleep(20)
    with ctx.step("take off"):
        await ctx.sleep(70)
    return tower.after(flight, agentrt.Lane.PRIORITY if flight.carrier == "UA" else activity.lane)


def test_the_day_of_three_towers_matches_and_one_line_does_not():
    day = load_day()
    with RuntimeManager(clock=day.clock(), ring=20_000) as manager:
        demo = towers(manager, day, speed=float("inf")).start()
        manager.run(demo.wait())
        replay = manager.replay()
        assert replay.matches, replay
        assert replay.count == len(day)
        assert (replay.dishonest, replay.skipped) == ((), ())
        changed = manager.replay({"JFK": control_of_another_day})
        first = next(
            each.activity for each in manager["JFK"].history[1:]
            if each.activity.payload.carrier == "UA" and each.activity.lane == "standard"
        )  # fmt: skip
    assert (changed.divergence.what, changed.divergence.runtime) == ("state", "JFK")
    assert [each.path for each in changed.divergence.changes] == ["priority"]
    assert changed.divergence.activity.id == first.id


@virtual
async def test_attempts_that_failed_are_run_again_too(manager):
    calls = []

    def send_mail(n: int) -> int:
        calls.append(n)
        if len(calls) < 3:
            raise ConnectionError("try later")
        return n

    async def mail(activity: Any, state: int, ctx: Any) -> int:
        return state + await ctx.effect("mail", send_mail, activity.payload)

    await manager.create("mail", 0, mail, retries=5).ask(4)
    assert len(calls) == 3
    assert manager.replay().matches
    assert len(calls) == 3

    async def other(activity: Any, state: int, ctx: Any) -> int:
        try:
            return state + await ctx.effect("mail", send_mail, activity.payload)
        except ConnectionError:
            return state

    divergence = manager.replay({"mail": other}).divergence
    assert (divergence.what, divergence.expected) == ("fate", "failed: ConnectionError: try later")


@virtual
async def test_other_results_of_an_effect_can_be_tried(manager):
    await sell(manager)
    divergence = manager.replay(effects={"price": lambda item: 4}).divergence
    assert (divergence.what, divergence.got.value) == ("metric", 4)


@virtual
async def test_a_part_of_the_record_is_replayed(manager):
    runtime = manager.create("a", 0, add)
    numbers = [(await runtime.send_nowait(1)).sequence for _ in range(10)]
    assert manager.replay(since=numbers[2]).count == 7
    assert manager.replay(until=numbers[2]).count == 3


@virtual
async def test_what_was_ended_from_outside_is_skipped(manager):
    async def hang(activity: Any, state: Any, ctx: Any) -> Any:
        await ctx.sleep(1_000)

    runtime = manager.create("a", 0, hang, timeout=1.0)
    await runtime.send_nowait(1).wait()
    replay = manager.replay()
    assert [each.why for each in replay.skipped] == ["it was ended from outside: timed_out"]
    assert replay.matches


@virtual
async def test_a_send_that_was_refused_is_refused_again(manager):
    async def careful(activity: Any, state: str, ctx: Any) -> str:
        try:
            await ctx.send("nobody", 1)
        except agentrt.RuntimeNotFoundError as error:
            return type(error).__name__
        return "sent"

    assert await manager.create("a", "", careful).ask(1) == "RuntimeNotFoundError"
    assert manager.replay().matches


@virtual
async def test_an_answer_that_failed_fails_again(manager):
    async def front(activity: Any, state: int, ctx: Any) -> int:
        try:
            return await ctx.ask("back", 1)
        except agentrt.ProcessingError:
            return -1

    manager.create("back", 0, fail)
    assert await manager.create("front", 0, front).ask(1) == -1
    assert manager.replay().matches


@virtual
async def test_what_was_swapped_is_run_as_it_was(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    runtime.swap(lambda activity, state: state - activity.payload)
    await runtime.ask(1)
    replay = manager.replay()
    assert (replay.matches, replay.count) == (True, 2)


def test_what_the_real_clock_gave_is_given_again():
    async def stamp(activity: Any, state: tuple[float, ...], ctx: Any) -> tuple[float, ...]:
        return (*state, ctx.now(), ctx.now())

    with RuntimeManager() as manager:
        runtime = manager.create("a", (), stamp)
        for n in range(3):
            runtime.send_nowait(n).result(60)
        replay = manager.replay()
        assert (replay.matches, replay.dishonest, replay.count) == (True, (), 3), replay


@virtual
async def test_sends_have_an_order(manager):
    async def forth(activity: Any, state: int, ctx: Any) -> int:
        await ctx.send("a", 1)
        await ctx.send("b", 2)
        return state

    async def back(activity: Any, state: int, ctx: Any) -> int:
        await ctx.send("b", 2)
        await ctx.send("a", 1)
        return state

    for id in "ab":
        manager.create(id, 0, add)
    await manager.create("first", 0, forth).ask(1)
    divergence = manager.replay({"first": back}).divergence
    assert (divergence.what, divergence.expected.name, divergence.got.name) == ("send", "a", "b")


def test_a_cell_shows_both_sides():
    with RuntimeManager() as manager:
        manager.create("a", (0, "<b>"), lambda activity, state: (state[0] + 1, state[1])).send_nowait(1).result(60)
        replay = manager.replay({"a": lambda activity, state: (state[0] + 2, state[1])})
        assert "<tr>" not in manager.replay()._repr_html_()
    html = replay._repr_html_()
    assert "<td>[0]</td><td>1</td><td>2</td>" in html
    assert "<b>" not in html


def test_what_was_swapped_meanwhile_is_run_as_it_began():
    may_end = threading.Event()

    async def old(activity: Any, state: tuple[str, ...]) -> tuple[str, ...]:
        while not may_end.is_set():
            await asyncio.sleep(0.001)
        return (*state, "old")

    with RuntimeManager() as manager:
        runtime = manager.create("a", (), old)
        receipt = runtime.send_nowait(1)
        wait_until(lambda: runtime.status == "processing")
        runtime.swap(lambda activity, state: (*state, "new"))
        may_end.set()
        receipt.result(60)
        assert runtime.send_nowait(2).result(60).state == ("old", "new")
        assert manager.replay().matches, manager.replay()


@pytest.mark.parametrize("breakpoint", [{"error": True}, {"step": "divide"}])
def test_what_a_command_has_broken_off_is_not_replayed(breakpoint, tmp_path):
    with RuntimeManager() as manager:
        manager.create("log", (), lambda activity, state: (*state, activity.payload))
        runtime = manager.create("a", 0, divide_in_steps)
        runtime.breakpoints.add(**breakpoint)
        receipt = runtime.send_nowait(0)
        wait_until(lambda: runtime.breakpoints.stop)
        runtime.breakpoints.clear()
        runtime.breakpoints.retry(payload=5)
        assert receipt.result(60).state == 2
        runtime.resume()
        assert manager.replay().matches, manager.replay()
        assert f"case.run({5})" in manager.record_test(tmp_path / "test_it.py", ids=["a"]).read_text().replace("\n", "")


async def divide_in_steps(activity: Any, state: int, ctx: Any) -> int:
    ctx.log(activity.payload)
    await ctx.send("log", activity.payload)
    with ctx.step("all"), ctx.step("divide"):
        return state + 10 // activity.payload


@virtual
async def test_what_is_done_in_parallel_keeps_its_order(manager):
    async def slow(activity: Any, state: int, ctx: Any) -> int:
        await ctx.sleep(activity.payload)
        return state

    async def sort_by_sleep(activity: Any, state: int, ctx: Any) -> int:
        async def send_after(seconds: float) -> None:
            await ctx.sleep(seconds)
            await ctx.send("log", seconds)

        async def send_after_answer(seconds: float) -> None:
            await ctx.ask(f"slow {seconds}", seconds)
            await ctx.send("log", seconds)

        await asyncio.gather(send_after(4), send_after(2), send_after_answer(3), send_after_answer(1))
        return state

    for seconds in (1, 3):
        manager.create(f"slow {seconds}", 0, slow)
    log = manager.create("log", (), lambda activity, state: (*state, activity.payload))
    await manager.create("a", 0, sort_by_sleep).ask(1)
    assert log.state == (1, 2, 3, 4)
    assert manager.replay().matches, manager.replay()


def test_a_timeout_inside_of_a_workflow_comes_again():
    async def hang(activity: Any, state: int, ctx: Any) -> int:
        await ctx.sleep(1_000)
        return state

    async def impatient(activity: Any, state: tuple[str, ...], ctx: Any) -> tuple[str, ...]:
        for wait in (ctx.sleep(1_000), ctx.ask("hang", 1)):
            try:
                await asyncio.wait_for(wait, 0.01)
            except TimeoutError:
                state = (*state, "late")
        return state

    with RuntimeManager() as manager:
        manager.create("hang", 0, hang)
        assert manager.create("a", (), impatient).send_nowait(1).result(60).state == ("late", "late")
        assert manager.replay().matches, manager.replay()


@virtual
async def test_a_receipt_is_that_of_then(manager):
    async def slow(activity: Any, state: int, ctx: Any) -> int:
        await ctx.sleep(1)
        return state + 1

    async def track(activity: Any, state: Any, ctx: Any) -> Any:
        receipt = await ctx.send("slow", 1, key="once")
        again = await ctx.send("slow", 1, key="once")
        before = receipt.outcome
        await receipt
        return (receipt.id, again.id, receipt.runtime, before, receipt.outcome.state)

    manager.create("slow", 0, slow)
    assert (await manager.create("a", (), track).ask(1))[2:] == ("slow", None, 1)
    replay = manager.replay()
    assert (replay.matches, replay.skipped) == (True, ()), replay


@virtual
async def test_a_key_that_an_earlier_activity_had_is_said(manager):
    async def pay(activity: Any, state: int, ctx: Any) -> int:
        await ctx.send("bank", 1, key="payment")
        return state + 1

    manager.create("bank", 0, add)
    runtime = manager.create("a", 0, pay)
    await runtime.ask(1)
    await runtime.ask(1)
    replay = manager.replay()
    assert replay.matches
    assert [each.why for each in replay.skipped] == [
        "it sends with the key 'payment', which an earlier activity had: see that one"
    ]


@virtual
async def test_each_attempt_has_its_own_time(manager):
    async def late(activity: Any, state: float, ctx: Any) -> float:
        now = ctx.now()
        if now - activity.created < 2:
            raise ConnectionError("try later")
        return now

    await manager.create("a", 0.0, late, retries=5, backoff=1.0).ask(1)
    assert manager.replay().matches, manager.replay()


@virtual
async def test_a_name_that_is_not_recorded_is_refused(manager):
    await sell(manager)
    with pytest.raises(ConfigurationError, match="nothing is recorded of the runtime 'tills'"):
        manager.replay({"tills": add})
    with pytest.raises(ConfigurationError, match=r"no effect 'prise' is recorded; there are \['price'\]"):
        manager.replay(effects={"prise": lambda item: 4})


class Arrays:
    """Compares as arrays do: no truth value comes of it."""

    def __eq__(self, other: object) -> Any:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


@virtual
async def test_values_that_can_not_be_compared_are_told_apart_by_their_place(manager):
    async def load(activity: Any, state: int, ctx: Any) -> int:
        await ctx.effect("load", Arrays, *activity.payload)
        await ctx.effect("load", Arrays)
        return state

    await manager.create("a", 0, load).ask(())
    assert manager.replay().matches, manager.replay()


@virtual
async def test_what_tasks_do_that_are_left_behind_is_not_missed(manager):
    async def leave_behind(activity: Any, state: int, ctx: Any) -> int:
        async def log_late() -> None:
            with ctx.step("late"):
                await ctx.sleep(5)
            ctx.log("late")

        async def fail_soon() -> None:
            await ctx.sleep(1)
            raise ValueError

        with contextlib.suppress(ValueError):
            await asyncio.gather(log_late(), fail_soon())
        return state + 1

    async def less(activity: Any, state: int, ctx: Any) -> int:
        return state + 1

    runtime = manager.create("a", 0, leave_behind)
    await runtime.ask(1)
    await asyncio.sleep(10)
    assert "log" in [record.kind for record in manager.ring.since(0)[0]]
    assert manager.replay().matches, manager.replay()
    assert manager.replay({"a": less}).matches


def test_an_answer_that_came_at_once_comes_at_once():
    async def ask_beside(activity: Any, state: int, ctx: Any) -> int:
        async def ask_and_send() -> None:
            await ctx.ask("sum", 1)
            await ctx.send("log", "first")

        async def send() -> None:
            await ctx.send("log", "second")

        await asyncio.gather(ask_and_send(), send())
        return state

    with RuntimeManager() as manager:
        manager.create("sum", 0, add)
        log = manager.create("log", (), collect)
        runtime = manager.create("a", 0, ask_beside)
        runtime.send_nowait(1).result(60)
        wait_until(lambda: len(log.state) == 2)
        assert manager.replay().matches, manager.replay()


def test_a_workflow_that_waits_for_ever_after_a_timeout_is_skipped():
    async def wait_outside(activity: Any, state: int, ctx: Any) -> int:
        async with asyncio.timeout(1_000):
            await asyncio.sleep(0)
        await asyncio.wrap_future(outside)
        return state + 1

    outside: Future[int] = Future()
    with RuntimeManager() as manager:
        receipt = manager.create("a", 0, wait_outside).send_nowait(1)
        outside.set_result(1)
        receipt.result(60)
        outside = Future()
        replay = manager.replay()
    assert [each.why for each in replay.skipped] == ["it waits for something that is not on the record"]


class Alert(Activity[str], frozen=True, kw_only=True):
    severity: int


@virtual
async def test_the_own_fields_of_what_is_sent_are_compared(manager):
    async def warn(activity: Any, state: int, ctx: Any) -> int:
        await ctx.send("log", Alert(payload="fire", severity=3))
        return state

    async def warn_louder(activity: Any, state: int, ctx: Any) -> int:
        await ctx.send("log", Alert(payload="fire", severity=4))
        return state

    manager.create("log", (), collect)
    await manager.create("a", 0, warn).ask(1)
    assert manager.replay().matches
    divergence = manager.replay({"a": warn_louder}).divergence
    assert divergence.what == "send"
    assert [(each.path, each.old, each.new) for each in divergence.changes] == [("severity", 3, 4)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"delay": 2.0}, {"delay": 60.0}), ({"delay": 2.0}, {}), ({"timeout": 5.0}, {"timeout": 6.0}),
        ({}, {"timeout": 6.0}), ({"key": "a"}, {"key": "b"}),
    ],
)  # fmt: skip
@virtual
async def test_the_options_of_what_is_sent_are_compared(manager, old, new):
    def sender(options: dict[str, Any]) -> Any:
        async def send(activity: Any, state: int, ctx: Any) -> int:
            await ctx.send("log", "x", **options)
            return state

        return send

    manager.create("log", (), collect)
    await manager.create("a", 0, sender(old)).ask(1)
    assert manager.replay().matches, manager.replay()
    divergence = manager.replay({"a": sender(new)}).divergence
    assert (divergence.what, divergence.expected.options, divergence.got.options) == ("send", old, new)
    assert [each.path for each in divergence.changes] == [*(old or new)]
