"""Tasks that a workflow starts: a failure that nobody takes is told at once; one that somebody takes is not."""

import asyncio
import gc

import pytest

from agentrt import RuntimeManager
from agentrt.testing import Recorder, run, run_until_idle, virtual_manager

SEEDS = pytest.mark.parametrize("seed", [None, 1, 2, 3])


async def boom():
    raise LookupError("gone")


def told(seed, workflow):
    """The background failures of one activity."""
    with virtual_manager(seed=seed) as manager, Recorder(manager) as seen:
        manager.create("starter", 0, workflow).send_nowait(None)
        run_until_idle(manager)
        gc.collect()
        return [record for record in seen.of("starter") if record.kind == "background"]


@SEEDS
def test_a_failure_that_nobody_takes_is_told_at_once(seed, caplog):
    kept = []

    async def start(activity, state):
        kept.append(asyncio.create_task(boom(), name="careless"))
        return state + 1

    [event] = told(seed, start)
    assert (event.detail["task"], event.detail["activity"]) == ("careless", 2)
    assert isinstance(event.detail["error"], LookupError)
    [line] = caplog.records
    assert line.getMessage() == "task 'careless', started by 'starter', failed and nobody awaits it"
    assert line.exc_info[0] is LookupError
    # Not told a second time when it is collected.
    kept.clear()
    gc.collect()
    assert len(caplog.records) == 1


@SEEDS
def test_a_task_that_a_task_has_started(seed):
    async def outer():
        asyncio.create_task(boom(), name="inner")  # noqa: RUF006

    async def start(activity, state):
        await asyncio.create_task(outer())
        return state + 1

    [event] = told(seed, start)
    assert event.detail["task"] == "inner"


async def awaits():
    await asyncio.create_task(boom())


async def gathers():
    await asyncio.gather(boom(), boom())


async def gathers_in_gathers():
    await asyncio.gather(asyncio.gather(boom()), asyncio.sleep(1))


async def groups():
    async with asyncio.TaskGroup() as group:
        group.create_task(boom())


async def waits():
    done, _ = await asyncio.wait([asyncio.create_task(boom())])
    done.pop().result()


async def limits():
    await asyncio.wait_for(boom(), 1)


@SEEDS
@pytest.mark.parametrize("take", [awaits, gathers, gathers_in_gathers, groups, waits, limits])
def test_a_failure_that_somebody_takes_is_not_told(seed, take, caplog):
    async def start(activity, state):
        with pytest.raises((LookupError, ExceptionGroup)):
            await take()
        return state + 1

    assert told(seed, start) == []
    assert caplog.records == []


def test_a_task_that_is_cancelled_or_goes_well_is_not_told(caplog):
    async def start(activity, state):
        asyncio.create_task(asyncio.sleep(1)).cancel()
        asyncio.create_task(asyncio.sleep(1))  # noqa: RUF006
        return state + 1

    assert told(1, start) == []
    assert caplog.records == []


def test_tasks_of_others_pass_by(caplog):
    """On a loop that is not only ours: whoever else starts tasks there is not looked after."""
    with virtual_manager() as manager, Recorder(manager) as seen:
        task = manager.loop.create_task(boom())
        run_until_idle(manager)
        assert seen.records == []
        assert isinstance(task.exception(), LookupError)
    assert caplog.records == []


def test_a_task_factory_that_is_there_is_kept():
    made = []

    def factory(loop, coro, **options):
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **options)

    async def start(activity, state):
        asyncio.create_task(boom(), name="careless")  # noqa: RUF006
        return state + 1

    async def main():
        asyncio.get_running_loop().set_task_factory(factory)
        async with RuntimeManager(loop="current") as first, RuntimeManager(loop="current"):
            with Recorder(first) as seen:
                await first.create("starter", 0, start).ask(None)
                await seen.until(lambda: "background" in seen.kinds())
                return seen.kinds().count("background")

    assert run(main()) == 1
    assert made
