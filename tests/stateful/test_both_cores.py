"""The compiled core does what the core in Python does: the same random commands on both, and everything compared.

One process runs both, one after the other, on virtual time.
"""

import asyncio
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt import Activity, AgentError, Event, Outcome, RuntimeManager
from agentrt.engine.core import PURE
from agentrt.testing.virtual import run
from tests.cores import core, needs_core
from tests.support import add

pytestmark = needs_core


# ---- what is done


async def work(activity: Any, state: int, ctx: Any) -> Any:
    """Do what the payload says."""
    match activity.payload:
        case int(number):
            return state + number
        case ("suspend", turns):
            for _ in range(turns):
                await asyncio.sleep(0)
        case ("sleep", seconds):
            await ctx.sleep(seconds)
        case ("wait", seconds):
            await asyncio.sleep(seconds)
        case ("reply", value):
            ctx.reply(value)
        case ("raise", error):
            raise error("no")
        case ("ask", other):
            return state + await ctx.ask(other, 1)
        case ("send", other):
            await ctx.send(other, 2)
        case ("wrong",):
            return None
        case ("cancel",):
            asyncio.current_task().cancel()  # type: ignore[union-attr]
    return state + 1


def add_at_once(activity: Any, state: int) -> int:
    return state + activity.payload


async def add_after_a_turn(activity: Any, state: int) -> int:
    await asyncio.sleep(0)
    return state + activity.payload


WORKFLOWS = (work, add, add_at_once, add_after_a_turn)
IDS = ("a", "b")
seconds = st.sampled_from([0.5, 1.0, 3.0])
ids = st.sampled_from(IDS)
errors = st.sampled_from(
    [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError, StopIteration, GeneratorExit]
)
payloads = st.one_of(
    st.integers(-3, 3),
    st.tuples(st.just("suspend"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["sleep", "wait"]), seconds),
    st.tuples(st.just("reply"), st.integers()),
    st.tuples(st.just("raise"), errors),
    st.tuples(st.sampled_from(["ask", "send"]), ids),
    st.sampled_from([("wrong",), ("cancel",), 1.5, None, True]),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.booleans(),
        "timeout": seconds,
        "delay": seconds,
        "key": st.sampled_from(["k", "l"]),
    },
)
commands = st.one_of(
    st.tuples(st.just("send_nowait"), ids, payloads, st.just({})),
    st.tuples(st.just("send_nowait"), ids, st.integers(1, 3), st.just({})),
    st.tuples(st.sampled_from(["send_nowait", "send", "ask"]), ids, payloads, options),
    st.tuples(st.just("ask"), ids, st.integers(1, 3), st.just({})),
    st.tuples(st.sampled_from(["pause", "resume", "recover", "terminate", "step"]), ids),
    st.tuples(st.sampled_from(["drop", "promote", "demote"]), ids, st.integers(1, 12)),
    st.tuples(st.just("swap"), ids, st.sampled_from(WORKFLOWS)),
    st.tuples(st.just("turns"), st.integers(1, 40)),
    st.tuples(st.just("pass"), seconds),
)
limits = st.fixed_dictionaries(
    {},
    optional={
        "standard_capacity": st.integers(1, 4),
        "priority_capacity": st.integers(1, 2),
        "overflow": st.sampled_from(["wait", "drop_oldest", "drop_newest"]),
        "fairness": st.sampled_from([1, 2, None]),
        "timeout": st.just(2.0),
        "retries": st.just(1),
        "accepts": st.just(int),
        "rate": st.just(2.0),
    },
)


# ---- what has come of it


def seen(thing: Any) -> Any:
    """What can be compared of a result: an error by its class and words, a record by its fields."""
    if isinstance(thing, BaseException):
        return type(thing).__name__, str(thing), seen(thing.__cause__)
    if isinstance(thing, Activity):
        told = [seen(getattr(thing, name)) for name in thing.__struct_fields__ if name != "receipt"]
        return "activity", type(thing).__name__, told
    if isinstance(thing, Outcome | Event):
        return type(thing).__name__, [seen(getattr(thing, name)) for name in thing.__struct_fields__]
    if isinstance(thing, int | float | str | None):
        return thing
    if isinstance(thing, dict):
        return {key: seen(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [seen(each) for each in thing]
    return type(thing).__name__


class Scenario:
    """Two runtimes, and what is done with them one after the other."""

    def __init__(self, manager: RuntimeManager, settings: Any) -> None:
        self.manager = manager
        self.receipts: list[Any] = []
        self.asks: list[Any] = []
        for id, (workflow, limits) in zip(IDS, settings, strict=True):
            manager.create(id, 0, workflow, **limits)

    async def do(self, name: str, *arguments: Any) -> Any:
        if name == "turns":
            for _ in range(arguments[0]):
                await asyncio.sleep(0)
        elif name == "pass":
            await asyncio.sleep(arguments[0])
        else:
            return await self.command(name, self.manager[arguments[0]], *arguments[1:])

    async def command(self, name: str, runtime: Any, *arguments: Any) -> Any:
        if name in ("send_nowait", "send"):
            payload, options = arguments
            found = getattr(runtime, name)(payload, **options, **({"wait": 0.5} if name == "send" else {}))
            receipt = await found if name == "send" else found
            self.receipts.append(receipt)
            return receipt.id
        if name == "ask":
            asking = asyncio.ensure_future(runtime.ask(arguments[0], **arguments[1]))
            self.asks.append(asking)
            for _ in range(3):
                await asyncio.sleep(0)
            return asking.done()
        if name == "terminate":
            return await asyncio.wait_for(runtime.terminate(), 30)
        return seen(getattr(runtime, name)(*arguments))

    def looked_at(self) -> Any:
        """How the runtimes are now, books included."""
        found: list[Any] = []
        for runtime in [self.manager[id] for id in self.manager]:
            entry, mailbox = runtime.entry, runtime.entry.mailbox
            assert runtime.fates().adds_up
            found += [runtime.id, seen(runtime.state), runtime.status.value, runtime.depth, str(runtime.fates())]
            found += [str(runtime.metrics), seen(runtime.error), seen(runtime.mailbox_items()), seen(entry.current)]
            found += [entry.scheduled, entry.held, entry.in_error, entry.deadline, entry.driver is None]
            found += [str(entry.exact), mailbox.streak, mailbox.fast_limit_standard]
        return found


async def play(settings: Any, script: Any) -> list[Any]:
    """What is seen after each command, and at the end."""
    log: list[Any] = []
    async with RuntimeManager(loop="current", seed=1, offer=False) as manager:
        scenario = Scenario(manager, settings)
        for name, *arguments in script:
            try:
                log.append(seen(await scenario.do(name, *arguments)))
            except (AgentError, TimeoutError) as error:
                log.append(seen(error))
            log.append(scenario.looked_at())
        for runtime in [manager[id] for id in manager]:
            runtime.resume()
            with suppress(AgentError):
                runtime.recover()
        await asyncio.sleep(100)
        log.append(scenario.looked_at())
        records, _, let_go = manager.ring.since(0)
        log += [[seen(each) for each in records], let_go, str(manager.fates()), len(manager.busy)]
    log.append([seen(receipt.outcome) for receipt in scenario.receipts])
    asked = await asyncio.gather(*scenario.asks, return_exceptions=True)
    log.append(seen(asked))
    return log


def logs(settings: Any, script: Any, seed: int | None) -> tuple[list[Any], list[Any]]:
    """What is seen on the core in Python, and on the compiled one."""
    found = []
    for name in ("pure", "compiled"):
        with core(name), patch("agentrt.engine.failure.log_safely"):
            found.append(run(play(settings, script), seed=seed, timeout=1e6))
    return found[0], found[1]


@settings(max_examples=150, deadline=None)
@given(
    kinds=st.tuples(*[st.tuples(st.sampled_from(WORKFLOWS), limits)] * len(IDS)),
    script=st.lists(commands, min_size=1, max_size=25),
    seed=st.sampled_from([None, 1, 2]),
)
def test_both_cores_do_the_same(kinds: Any, script: Any, seed: int | None) -> None:
    pure, compiled = logs(kinds, script, seed)
    for ours, theirs in zip(pure, compiled, strict=True):
        assert theirs == ours


def test_a_difference_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees a core that forgets to count."""
    send = PURE["send_nowait"]

    def forgets(self: Any, *arguments: Any, **options: Any) -> Any:
        receipt = send(self, *arguments, **options)
        self.in_error = True
        return receipt

    monkeypatch.setitem(PURE, "send_nowait", forgets)
    script = [("send_nowait", "a", 1, {}), ("turns", 5)]
    pure, compiled = logs([(add, {}), (add, {})], script, None)
    assert pure != compiled
