"""branch.py: a new manager that goes on from a moment."""

import asyncio
import math
from typing import Any

import pytest

from agentrt import AgentError, ConfigurationError, RuntimeManager, Status
from agentrt.clock import Clock
from tests.harness.wait import wait_until
from tests.history.support import broken, slow
from tests.support import add, collect, virtual

OUTSIDE: list[str] = []


def call_out(text: str) -> str:
    OUTSIDE.append(text)
    return f"{text} {len(OUTSIDE)}"


async def ask_outside(activity: Any, state: tuple[str, ...], ctx: Any) -> tuple[str, ...]:
    return (*state, await ctx.effect("outside", call_out, activity.payload))


@pytest.fixture(autouse=True)
def outside():
    OUTSIDE.clear()
    return OUTSIDE


def test_it_goes_on_from_then_and_the_first_one_is_untouched():
    with RuntimeManager() as manager:
        runtime = manager.create("a", (), collect)
        first = runtime.send_nowait("x").result(60)
        runtime.pause()
        waiting = [runtime.send_nowait(text).id for text in ("y", "z")]
        moment = manager.at()
        runtime.resume()
        manager.run(runtime.ask("last"))
        before = runtime.history[-1], manager.ring.cursor
        with moment.fork() as branch:
            copy = branch["a"]
            assert (copy.state, copy.status, [each.id for each in copy.mailbox_items()]) == (
                ("x",), Status.PAUSED, waiting,
            )  # fmt: skip
            assert copy.fates() == moment["a"].fates()
            copy.resume()
            assert branch.run(copy.ask("other")) == ("x", "y", "z", "other")
            assert branch.fates().adds_up
            assert copy.history[-1].state == ("x", "y", "z", "other")
        assert (runtime.history[-1], manager.ring.cursor) == before
        with manager.at(first.sequence).fork() as branch:
            assert branch.run(branch["a"].ask("new")) == ("x", "new")


def test_what_was_running_begins_again_on_virtual_time():
    @virtual
    async def test(manager):
        runtime = manager.create("a", 0, slow)
        for n in (1, 2, 3):
            runtime.send_nowait(n)
        await asyncio.sleep(5)
        moment = manager.at()
        with moment.fork() as branch:
            assert branch.run(branch["a"].ask(10)) == 16
            assert branch.clock.now() - moment.time >= 80
        await asyncio.sleep(100)
        assert runtime.state == 6

    test()


@virtual
async def test_what_is_delayed_comes_when_it_is_due(manager):
    runtime = manager.create("a", (), collect)
    runtime.send_nowait("late", delay=60)
    runtime.send_nowait("later", delay=90)
    await asyncio.sleep(70)
    with manager.at().fork() as branch:
        branch.run(branch["a"].terminate(drain=True))
        assert branch.at().ended == ("a",)
        assert branch.snapshot("a").state == ("late", "later")
        assert branch.clock.now() - manager.clock.now() >= 20
    await asyncio.sleep(30)


def effects_of(mode: str) -> Any:
    with RuntimeManager() as manager:
        runtime = manager.create("a", (), ask_outside)
        early = runtime.send_nowait("one").result(60)
        for text in ("two", "three"):
            runtime.send_nowait(text).result(60)
        with manager.at(early.sequence).fork(effects=mode) as branch:
            copy = branch["a"]
            results = []
            for text in ("two", "three", "four"):
                try:
                    results.append(copy.send_nowait(text).result(60).state[-1])
                except AgentError as error:
                    results.append(str(error.__cause__))
            return results


def test_recorded_effects_are_served_while_they_last():
    assert effects_of("recorded")[:2] == ["two 2", "three 3"]
    assert len(OUTSIDE) == 3
    assert "the record has no more of it" in effects_of("recorded")[2]


def test_live_effects_are_done_and_forbidden_ones_are_not():
    assert effects_of("live") == ["two 4", "three 5", "four 6"]
    OUTSIDE.clear()
    assert all("effects are forbidden" in each for each in effects_of("forbidden"))
    assert len(OUTSIDE) == 3


def test_an_effect_that_failed_fails_in_the_branch():
    def fail_outside() -> None:
        raise ConnectionError("no line")

    async def call(activity: Any, state: Any, ctx: Any) -> Any:
        return await ctx.effect("call", fail_outside)

    with RuntimeManager() as manager:
        runtime = manager.create("a", None, call)
        begin = manager.at()
        with pytest.raises(AgentError):
            runtime.send_nowait(1).result(60)
        with begin.fork() as branch, pytest.raises(AgentError, match="ConnectionError: no line"):
            branch["a"].send_nowait(1).result(60)


def test_it_stands_with_errors_limits_and_counts():
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, broken, timeout=7.0, standard_capacity=50)
        with pytest.raises(AgentError):
            runtime.send_nowait(-1).result(60)
        runtime.retries = 2
        with manager.at().fork() as branch:
            copy = branch["a"]
            assert (copy.status, copy.timeout, copy.retries, copy.standard_capacity) == (Status.ERROR, 7.0, 2, 50)
            assert (str(copy.error), copy.fates()) == (str(runtime.error), runtime.fates())


def test_a_runtime_that_has_ended_is_there_again():
    with RuntimeManager() as manager:
        manager.create("a", 5, add)
        moment = manager.at()
        manager.run(manager["a"].terminate())
        assert "a" not in manager
        with moment.fork() as branch:
            assert branch.run(branch["a"].ask(1)) == 6


def test_chance_is_that_of_then():
    def roll(activity: Any, state: tuple[int, ...], ctx: Any) -> tuple[int, ...]:
        return (*state, ctx.random.randint(1, 1_000_000))

    with RuntimeManager() as manager:
        runtime = manager.create("a", (), roll)
        runtime.send_nowait(1).result(60)
        moment = manager.at()
        for _ in range(3):
            runtime.send_nowait(1).result(60)
        with moment.fork() as branch:
            for _ in range(3):
                branch["a"].send_nowait(1).result(60)
            assert branch["a"].state == runtime.state


def test_other_code_can_go_on():
    with RuntimeManager() as manager:
        manager.create("a", 5, add)
        moment = manager.at()
        with moment.fork(workflows={"a": lambda activity, state: state - activity.payload}, paused=True) as branch:
            assert branch["a"].status is Status.PAUSED
            branch["a"].resume()
            assert branch.run(branch["a"].ask(1)) == 4


def test_its_clock_is_virtual_real_or_given():
    with RuntimeManager() as manager:
        manager.create("a", 5, add)
        moment = manager.at()
        with moment.fork(clock="real") as branch:
            assert branch.speed == 1
            assert 0 <= branch.clock.now() - moment.time < 60
        with moment.fork(clock=Clock(2.0)) as branch:
            assert branch.speed == 2
        for wrong in ({"clock": "fast"}, {"effects": "some"}):
            with pytest.raises(ConfigurationError):
                moment.fork(**wrong)


@pytest.mark.filterwarnings("ignore:the state of")
def test_states_and_payloads_that_can_be_changed_are_copied():
    def grow(activity: Any, state: list[Any]) -> list[Any]:
        state.append(activity.payload.pop())
        return state

    with RuntimeManager() as manager:
        runtime = manager.create("a", [], grow)
        runtime.pause()
        runtime.send_nowait([1, 2])
        with manager.at().fork() as branch:
            branch["a"].resume()
            branch.run(branch["a"].ask([3]))
        assert (runtime.state, runtime.mailbox_items()[0].payload) == ([], [1, 2])


async def add_slowly(activity: Any, state: int, ctx: Any) -> int:
    await ctx.sleep(1)
    return state + activity.payload


async def ask_twice(activity: Any, state: tuple[int, ...], ctx: Any) -> tuple[int, ...]:
    answers = await asyncio.gather(ctx.ask("sum", 1), ctx.ask("sum", 10))
    await ctx.send("log", answers[0], priority=True)
    await ctx.sleep(1)
    receipt = await ctx.send("log", answers[1])
    await ctx.send("log", answers[1])
    await receipt
    return (*state, *answers)


def test_what_was_sent_before_is_not_sent_again():
    def states_of(manager: RuntimeManager) -> dict[str, Any]:
        wait_until(lambda: manager.fates().pending == 0)
        return {id: manager[id].state for id in manager}

    with RuntimeManager(clock=Clock(math.inf)) as manager:
        manager.create("sum", 0, add_slowly)
        manager.create("log", (), collect)
        runtime = manager.create("a", (), ask_twice)
        sent = [runtime.send_nowait(n).id for n in range(2)]
        expected = states_of(manager)
        assert expected == {"sum": 22, "log": (1, 11, 11, 12, 22, 22), "a": (1, 11, 12, 22)}
        last = manager.at().sequence
        for sequence in range(sent[-1], last + 1):
            with manager.at(sequence).fork() as branch:
                assert states_of(branch) == expected, sequence
                assert branch.replay().matches
                middle = min((sequence + branch.at().sequence) // 2, branch.at().sequence)
                with branch.at(middle).fork() as second:
                    assert states_of(second) == expected, (sequence, middle)


def test_each_attempt_has_its_own_effects():
    tries = []

    def connect() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"try {len(tries)}")
        return "connected"

    async def call(activity: Any, state: Any, ctx: Any) -> Any:
        return await ctx.effect("connect", connect)

    with RuntimeManager(clock=Clock(math.inf)) as manager:
        runtime = manager.create("a", "", call, retries=2, backoff=1.0)
        runtime.pause()
        receipt = runtime.send_nowait(1)
        begin = manager.at()
        runtime.resume()
        assert receipt.result(60).attempts == 3
        first = next(each for each in manager.ring.since(0)[0] if each.kind == "retry")
        for moment, attempts in ((begin, 3), (manager.at(first.sequence), 2)):
            with moment.fork() as branch:
                branch["a"].resume()
                wait_until(lambda branch=branch: branch.fates().pending == 0)
                assert (branch["a"].state, branch["a"].history[-1].record.attempts) == ("connected", attempts)
        assert len(tries) == 3


def test_a_branch_of_a_branch_has_the_effects_that_are_left():
    with RuntimeManager() as manager:
        runtime = manager.create("a", (), ask_outside)
        begin = manager.at()
        for text in ("one", "two", "three"):
            runtime.send_nowait(text).result(60)
        with begin.fork() as branch:
            assert branch["a"].send_nowait("one").result(60).state == ("one 1",)
            with branch.at().fork() as second:
                assert second["a"].send_nowait("two").result(60).state == ("one 1", "two 2")
                assert branch["a"].send_nowait("two").result(60).state == ("one 1", "two 2")


def test_the_result_of_an_effect_is_the_branch_s_own():
    async def take(activity: Any, state: int, ctx: Any) -> int:
        rows = await ctx.effect("load", lambda: [1, 2, 3])
        ctx.reply(len(rows))
        if activity.payload:
            rows.clear()
        return state

    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, take)
        begin = manager.at()
        manager.run(runtime.ask(False))
        for _ in range(2):
            with begin.fork() as branch:
                assert branch.run(branch["a"].ask(True)) == 3


def test_code_for_what_was_not_there_is_refused():
    with RuntimeManager() as manager:
        manager.create("a", 0, add)
        with pytest.raises(ConfigurationError, match="there was no runtime 'b' then"):
            manager.at().fork(workflows={"b": add})
