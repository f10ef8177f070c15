"""state_edit.py: another state by a command."""

from typing import Any

import pytest

import agentrt
from agentrt.feed.source import ACTOR
from agentrt.journal import MemoryJournal, MemoryLog
from agentrt.testing.virtual import run
from tests.support import Gate, add, turns, virtual


@virtual
async def test_it_is_the_state_from_then_on_and_recorded_with_who(manager: Any) -> None:
    runtime = manager.create("x", 1, add)
    token = ACTOR.set("ann")
    assert runtime.edit_state(10) == 1
    ACTOR.reset(token)
    assert await runtime.ask(1) == 11
    found = next(record for record in manager.ring.since(0)[0] if record.kind == "state_edited")
    assert (found.who, found.detail) == ("ann", {"from": 1, "to": 10})


@virtual
async def test_a_state_that_does_not_fit_is_refused(manager: Any) -> None:
    runtime = manager.create("x", 1, add)
    for wrong in ("text", None):
        with pytest.raises(agentrt.AgentError, match="left as it is"):
            runtime.edit_state(wrong)
    assert runtime.state == 1


@virtual
async def test_a_state_that_would_be_overwritten_is_refused(manager: Any) -> None:
    gate = Gate()
    runtime = manager.create("x", 1, gate)
    receipt = runtime.send_nowait(1)
    await gate.entered.wait()
    with pytest.raises(agentrt.AgentError, match=f"activity {receipt.id} of 'x' runs"):
        runtime.edit_state(2)
    gate.open.set()
    await receipt
    await runtime.terminate()
    with pytest.raises(agentrt.RuntimeTerminatedError):
        runtime.edit_state(2)


async def sends(activity: Any, state: int, ctx: Any) -> int:
    await ctx.send("other", activity.payload)
    with ctx.step("sent"):
        return state + int(activity.payload)


def test_it_survives_a_restart_and_a_retry_sends_once() -> None:
    async def main() -> None:
        log = MemoryLog()
        async with agentrt.RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            runtime = manager.create("x", 1, sends)
            other = manager.create("other", 0, add)
            runtime.breakpoints.add(step="sent")
            receipt = runtime.send_nowait(5)
            while runtime.breakpoints.stop is None:
                await turns()
            runtime.edit_state(100)
            runtime.breakpoints.clear()
            runtime.breakpoints.retry(payload=7)
            runtime.resume()
            assert (await receipt).state == 107
            assert await other.ask(0) == 7
            runtime.edit_state(50)
        async with agentrt.RuntimeManager(loop="current", journal=MemoryJournal(log)) as manager:
            assert manager.create("x", 1, sends).state == 50

    run(main(), timeout=1000)
