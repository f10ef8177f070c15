"""What a person writes, and the types that both checkers find: no error."""

import asyncio
from typing import Any, assert_type

import agentrt
from agentrt import Activity, Context, Outcome, Overflow, Receipt, Runtime, Status


class Alert(Activity[str], frozen=True, kw_only=True):
    severity: int = 0


async def counter(activity: Activity[int], state: int) -> int:
    return state + activity.payload


def plain(activity: Activity[int], state: int) -> int:
    return state + activity.payload


async def patient(activity: Activity[str], state: float, ctx: Context) -> float:
    await ctx.sleep(1)
    return state + len(activity.payload)


def last(activity: Activity[str], state: str | None) -> str | None:
    return activity.payload or state


def collect(activity: Activity[str], state: tuple[str, ...]) -> tuple[str, ...]:
    return (*state, activity.payload)


def tally(activity: Activity[str], state: dict[str, int]) -> dict[str, int]:
    return {**state, activity.payload: 1}


def alarm(activity: Alert, state: int) -> int:
    return state + activity.severity


class Adder:
    def __call__(self, activity: Activity[int], state: int) -> int:
        return state + activity.payload

    async def add(self, activity: Activity[int], state: int) -> int:
        return state + activity.payload


manager = agentrt.RuntimeManager()

assert_type(manager.create("a", 0, counter), Runtime[int, int])
assert_type(manager.create("b", 0, plain), Runtime[int, int])
assert_type(manager.create("c", 0.0, patient), Runtime[float, str])
assert_type(manager.create("d", None, last), Runtime[str | None, str])
assert_type(manager.create("e", (), collect), Runtime[tuple[str, ...], str])
assert_type(manager.create("f", {}, tally), Runtime[dict[str, int], str])
assert_type(manager.create("g", 0, alarm), Runtime[int, Any])
assert_type(manager.create("h", 0, Adder()), Runtime[int, int])
assert_type(manager.create("i", 0, Adder().add), Runtime[int, int])

# A lambda says nothing of its payload: anything may be sent.
manager.create("j", 0, lambda activity, state: state + activity.payload).send_nowait("anything")
manager.create("k", 0, lambda activity, state, ctx: state + activity.payload).send_nowait(1)

# Limits: each name is known, with its type, and its short form.
runtime = manager.create(
    "l", 0, counter, timeout=None, overflow="drop_oldest", backoff=0.5, supervision="stop", isolation=None, group="g"
)
manager.create("m", 0, counter, overflow=Overflow.WAIT, supervision=agentrt.Supervision("restart", intensity=3))
group = manager.group("g", "rest_for_one", policy="stop", intensity=2, period=10)
assert_type(group.create("n", 0, counter, retries=2), Runtime[int, int])


@manager.agent("o", state=0, retries=3)
async def decorated(activity: Activity[int], state: int) -> int:
    return state + activity.payload


@manager.agent("o")
def again(activity: Activity[int], state: int, ctx: Context) -> int:
    return state + activity.payload


assert_type(decorated, Runtime[int, int])
assert_type(again, Runtime[int, int])

# Readouts and knobs have the types of their values.
assert_type(runtime.id, str)
assert_type(runtime.status, Status)
assert_type(runtime.state, int)
assert_type(runtime.initial, int)
assert_type(runtime.priority_depth, int)
assert_type(runtime.processed, int)
assert_type(runtime.error, agentrt.AgentError | None)
assert_type(runtime.paused, bool)
assert_type(runtime.timeout, float | None)
assert_type(runtime.retries, int)
assert_type(runtime.fairness, int | None)
assert_type(runtime.overflow, Overflow)
runtime.timeout = 2
runtime.fairness = None
runtime.paused = True

# A grant has the types of its runtime.
grant = runtime.grant({"send", "observe"})
assert_type(grant, agentrt.Grant[int, int])
assert_type(grant.send_nowait(1), Receipt[int])
assert_type(grant.state, int)
assert_type(grant.status, Status)
assert_type(grant.fates(), agentrt.Fates)

assert_type(manager["a"], Runtime[Any, Any])
assert_type(manager.get("a"), Runtime[Any, Any] | None)
assert_type(manager.dead_letters[0].activity, Activity[Any])


async def use() -> None:
    receipt = await runtime.send(1, priority=True, wait=1, timeout=5, delay=0, key="k")
    assert_type(runtime.send_nowait(Activity(payload=1)), Receipt[int])
    assert_type(receipt, Receipt[int])
    assert_type(await receipt, Outcome[int])
    assert_type((await receipt).state, int)
    assert_type(receipt.outcome, Outcome[int] | None)
    assert_type(receipt.result(1).fate, agentrt.Fate)
    assert_type(await runtime.ask(1, timeout=2), Any)
    await manager.send("a", 1, wait=1)
    manager.send_nowait("a", 1, priority=True)


def bare(runtime: Runtime, receipt: Receipt, outcome: Outcome, activity: Activity) -> None:
    """Where nothing is said of a state or a payload, it may be anything."""
    assert_type(runtime, Runtime[Any, Any])
    assert_type(receipt, Receipt[Any])
    assert_type(outcome.state, Any)
    assert_type(activity.payload, Any)


asyncio.run(use())
