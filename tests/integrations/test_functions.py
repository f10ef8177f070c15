"""functions.py: functions and generators that know nothing of agents, as agents."""

import asyncio

import pytest

from agentrt import ActivityValidationError, ConfigurationError, ProcessingError, RuntimeManager
from agentrt.integrations.functions import function_workflow
from tests.harness.wait import PATIENCE, wait_until
from tests.support import still_picture, virtual


def double(n: int) -> int:
    return 2 * n


async def double_later(n: int) -> int:
    await asyncio.sleep(1)
    return 2 * n


def total(n: int, state: int) -> int:
    return state + n


def countdown(n: int):
    while n:
        yield n
        n -= 1
    return "liftoff"


async def countdown_later(n: int):
    while n:
        await asyncio.sleep(1)
        yield n
        n -= 1


def steps(manager):
    return [each.detail["name"] for each in manager.ring.records if each.kind == "step"]


def logs(manager):
    return [each.detail["message"] for each in manager.ring.records if each.kind == "log"]


@pytest.mark.parametrize("function", [double, double_later])
def test_a_function_of_the_payload(function):
    @virtual
    async def check(manager):
        runtime = manager.create("a", None, function_workflow(function))
        assert (await runtime.ask(4), runtime.state, runtime.workflow) == (8, 8, function.__name__)
        with pytest.raises(ActivityValidationError):
            runtime.send_nowait("four")

    check()


@virtual
async def test_a_function_of_payload_and_state(manager):
    runtime = manager.create("a", 0, function_workflow(total))
    assert [await runtime.ask(n) for n in (1, 2, 3)] == [1, 3, 6]


@virtual
async def test_each_part_of_a_generator_is_a_step(manager):
    runtime = manager.create("a", None, function_workflow(countdown))
    assert await runtime.ask(2) == "liftoff"
    assert (steps(manager), logs(manager)) == (["part 1", "part 2", "part 3"], ["2", "1"])


@virtual
async def test_the_last_value_of_an_async_generator_is_the_state(manager):
    runtime = manager.create("a", None, function_workflow(countdown_later))
    outcome = await runtime.send_nowait(3)
    assert (outcome.state, outcome.value, outcome.service) == (1, 1, pytest.approx(3))
    assert await runtime.ask(0) == 1, "a generator without a value changes nothing"


def test_a_generator_is_stopped_between_its_parts():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, function_workflow(countdown_now))
        runtime.breakpoints.add(step="part 2")
        receipt = runtime.send_nowait(2)
        wait_until(lambda: runtime.breakpoints.stop)
        assert (logs(manager), runtime.state, runtime.status) == (["2"], 0, "paused")
        runtime.resume()
        assert receipt.result(PATIENCE).state == 1


async def countdown_now(n: int):
    while n:
        yield n
        n -= 1


@virtual
async def test_a_function_that_raises_leaves_the_state_as_it_was(manager):
    runtime = manager.create("a", 5, function_workflow(lambda payload, state: state // payload))
    with pytest.raises(ProcessingError, match="ZeroDivisionError"):
        await runtime.ask(0)
    assert (runtime.state, await runtime.ask(2)) == (5, 2)


def test_a_function_that_blocks_runs_in_a_thread():
    import threading

    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, function_workflow(lambda payload: threading.get_ident()), blocking=True)
        assert manager.run(runtime.ask(1)) != manager.thread


def test_another_number_of_parameters_is_refused():
    for function in (lambda: 1, lambda a, b, c: 1):
        with pytest.raises(ConfigurationError, match=r"takes [03] parameters: it may take a payload"):
            function_workflow(function)


def test_it_is_seen_stepped_and_taken_back() -> None:
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("total", 0, function_workflow(total))
        assert runtime.send_nowait(2).result(PATIENCE).value == 2
        then = manager.ring.records[-1].sequence
        runtime.pause()
        waiting, after = runtime.send_nowait(30), runtime.send_nowait(500)
        assert runtime.step() == 1
        assert waiting.result(PATIENCE).value == 32
        assert (after.value, runtime.status) == (None, "paused")
        assert "32" in still_picture(runtime)
        runtime.edit_state(manager.at(then)["total"].state)
        runtime.resume()
        assert after.result(PATIENCE).value == 502
