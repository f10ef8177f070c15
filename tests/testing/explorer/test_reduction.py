"""The oracle: what every order of all steps can lead to, the reduced exploration finds as well."""

import asyncio
import random

import pytest

import agentrt
from agentrt.testing import explore

IDS = ("a", "b")
IN_WORKFLOWS = ("send", "ask", "urgent", "look", "yield", "sleep", "fail", "reply", "bump", "lock")
IN_TASKS = (
    "send", "ask", "urgent", "look", "depth", "yield", "sleep", "pause", "resume", "terminate", "delay", "cancel",
    "timeout", "two", "first", "again", "bump", "lock", "group",
)  # fmt: skip
MOST = 300  # orders that are tried without reduction; a larger scenario is left out


def program(chance, depth, kinds):
    return tuple(operation(chance, depth, kinds) for _ in range(chance.randint(1, 2)))


def operation(chance, depth, kinds):
    kind, runtime = chance.choice(kinds), chance.choice(IDS)
    sends = kind in ("send", "ask", "urgent")
    return kind, runtime, program(chance, depth - 1, IN_WORKFLOWS) if sends and depth and chance.random() < 0.5 else ()


async def cancel(task):
    await asyncio.sleep(0)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return "cancelled"


async def with_timeout(runtime):
    try:
        async with asyncio.timeout(1):
            return await runtime.ask((("sleep", "a", ()),))
    except TimeoutError:
        return "timeout"


async def wait_for_first(runtime):
    task = asyncio.create_task(runtime.ask(()))
    await asyncio.sleep(0)
    was_done = task.done()
    done, _ = await asyncio.wait({task, asyncio.create_task(asyncio.sleep(0))}, return_when="FIRST_COMPLETED")
    return was_done, len(done), await task


async def bump(shared):
    before = shared["n"]
    await asyncio.sleep(0)
    shared["n"] = before + 1
    return before


async def in_group(manager, id):
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(manager.ask(id, ()))
        await asyncio.sleep(0)
        await manager.send(id, ())
    return await asked


async def perform(manager, ctx, step, log, shared):
    """Do one operation of a program, in a workflow or, where `ctx` is None, in a task of the scenario."""
    kind, id, more = step
    to = id if ctx else manager[id] if kind != "again" else id
    if kind in ("send", "urgent"):
        await (ctx.send(to, more, priority=kind == "urgent") if ctx else to.send(more, priority=kind == "urgent"))
    elif kind == "ask":
        log.append(await (ctx.ask(to, more) if ctx else to.ask(more)))
    elif kind in ("look", "depth"):
        log.append(manager[id].state if kind == "look" else to.depth)
    elif kind in ("yield", "sleep"):
        await asyncio.sleep(kind == "sleep")
    elif kind == "fail":
        raise ValueError
    elif kind == "reply":
        ctx.reply("reply")
    elif kind in ("pause", "resume"):
        getattr(to, kind)()
    elif kind == "terminate":
        await to.terminate()
    elif kind == "again":
        manager.create(id, (), workflow_of(manager, shared))
    elif kind == "bump":
        log.append(await bump(shared))
    elif kind == "lock":
        async with shared["lock"]:
            log.append(await bump(shared))
    elif kind == "group":
        log.append(await in_group(manager, id))
    elif kind == "delay":
        await to.send((), delay=1)
    elif kind == "cancel":
        log.append(await cancel(asyncio.create_task(to.ask(()))))
    elif kind == "timeout":
        log.append(await with_timeout(to))
    elif kind == "first":
        log.append(await wait_for_first(to))
    else:
        _, receipt = to.send_nowait(()), to.send_nowait(())
        await asyncio.sleep(0)
        log.append((await receipt).state)


async def perform_all(manager, ctx, steps, shared):
    log = []
    for step in steps:
        try:
            await perform(manager, ctx, step, log, shared)
        except agentrt.AgentError as error:
            log.append(type(error).__name__)
    return tuple(log)


def workflow_of(manager, shared):
    async def run(activity, state, ctx):
        log = await perform_all(manager, ctx, activity.payload, shared)
        return (*state, activity.source or "-", len(activity.payload), *log)[-8:]

    return run


def scenario_of(seed):
    chance = random.Random(seed)
    programs = [program(chance, 1, IN_TASKS)[: chance.choice((1, 1, 2))] for _ in range(2)]
    limits = {"standard_capacity": chance.choice((1000, 1000, 1)), "fairness": chance.choice((8, 1))}

    async def scenario(manager):
        shared = {"n": 0, "lock": asyncio.Lock()}
        for id in IDS:
            manager.create(id, (), workflow_of(manager, shared), **limits)
        logs = await asyncio.gather(*(perform_all(manager, None, steps, shared) for steps in programs))
        return tuple(logs), tuple(manager[id].state if id in manager else None for id in IDS)

    return scenario


def outcomes(found):
    """What the scenario has returned in all orders, and what has failed. The texts of deadlocks name the lines."""
    failures = {(each.kind, each.text if each.error else "") for each in found.failures}
    return set(found.results) | failures


@pytest.mark.slow
@pytest.mark.parametrize("early_timers", [False, True])
@pytest.mark.parametrize("seed", range(16))
def test_it_finds_what_every_order_can_lead_to(seed, early_timers):
    scenario = scenario_of(seed)
    every = explore(scenario, MOST, "all", early_timers=early_timers)
    if not every.complete:
        return
    reduced = explore(scenario, early_timers=early_timers)
    assert reduced.complete
    assert reduced.schedules <= every.schedules
    assert outcomes(reduced) == outcomes(every)


@pytest.mark.slow
def test_enough_of_them_are_small():
    assert sum(explore(scenario_of(seed), MOST, "all").complete for seed in range(16)) > 5
