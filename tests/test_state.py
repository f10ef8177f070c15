"""state.py: what a workflow may return as the new state."""

import msgspec
import pytest

from agentrt import ProcessingError

from .support import virtual


class Point(msgspec.Struct, frozen=True):
    x: int


@virtual
async def test_a_state_of_another_type_fails_the_activity_and_is_not_taken(manager):
    async def moves(activity, state: Point) -> Point:
        return activity.payload

    runtime = manager.create("a", Point(0), moves)
    for wrong in (1, None, "Point(1)"):
        with pytest.raises(ProcessingError, match="returned a wrong state"):
            await runtime.ask(wrong)
    assert await runtime.ask(Point(1)) == Point(1)
    assert runtime.failed == 3


@virtual
async def test_a_forgotten_return_is_named(manager):
    async def forgets(activity, state):
        state + 1

    with pytest.raises(ProcessingError, match="returned None"):
        await manager.create("a", 0, forgets).ask(1)


@virtual
async def test_a_plain_function_may_return_an_awaitable(manager):
    async def later(state):
        return state + 1

    assert await manager.create("a", 0, lambda activity, state: later(state)).ask(1) == 1


@virtual
async def test_a_state_that_is_too_large_fails_the_activity(manager):
    runtime = manager.create("a", "", lambda activity, state: "x" * activity.payload, max_state=1_000)
    with pytest.raises(ProcessingError, match="max_state"):
        await runtime.ask(5_000)
    assert len(await runtime.ask(500)) == 500
