"""What a person may get wrong: each line with the word "error" is one in both checkers, and no other line is."""

import agentrt
from agentrt import Activity, Context


async def counter(activity: Activity[int], state: int) -> int:
    return state + activity.payload


def plain(activity: Activity[int], state: int) -> int:
    return state + activity.payload


async def patient(activity: Activity[int], state: int, ctx: Context) -> int:
    return state + activity.payload


def alone(activity: Activity[int]) -> int:
    return activity.payload


manager = agentrt.RuntimeManager()
group = manager.group("g")

manager.create("a", 0, counter, timout=3)  # error: a misspelt limit
group.create("a", 0, counter, timout=3)  # error
manager.create("a", 0, counter, timeout="3")  # error: a mistyped limit
manager.create("a", 0, counter, overflow="explode")  # error: a word that is none of the three
manager.create("a", "zero", counter)  # error: the wrong type of state
manager.create("a", "zero", plain)  # error
manager.create("a", None, patient)  # error
group.create("a", "zero", plain)  # error
manager.create("a", 0, alone)  # error: too few parameters
manager.group("g", "one_for_none")  # error: no such strategy
agentrt.Supervision("explode")  # error: no such policy

runtime = manager.create("a", 0, counter)
runtime.send_nowait("x")  # error: the wrong type of payload
runtime.send_nowait(1, urgent=True)  # error: no such option
runtime.timeout = "3"  # error: a mistyped knob
runtime.paused = 3  # error
runtime.status = agentrt.Status.IDLE  # error: a readout can't be set
runtime.state = 5  # error
len(runtime.state)  # error: the state is an int
len(runtime.send_nowait(1).result().state)  # error
manager.send_nowait("a", 1, urgent=True)  # error
runtime.grant("send").send_nowait("x")  # error: the wrong type of payload
runtime.grant("send").send_nowait(1, urgent=True)  # error
manager.get("a").pause()  # error: there may be none


@manager.agent("o", state="zero")  # error: the wrong type of state
async def decorated(activity: Activity[int], state: int) -> int:
    return state + activity.payload


async def use() -> None:
    await runtime.ask("x")  # error: the wrong type of payload
    await runtime.send("x")  # error
    await runtime.ask(1, wait="soon")  # error
    await manager.ask("a", 1, timeouts=1)  # error


async def sends(activity: Activity[int], state: int, ctx: Context) -> int:
    await ctx.ask("b", 1, urgent=True)  # error
    return state
