"""state.py: what a workflow may return as the new state."""

import msgspec
import pytest

from agentrt import ProcessingError
from tests.support import virtual


class Point(msgspec.Struct, frozen=True):
    x: int


class Holder(msgspec.Struct, frozen=True):
    item: object


class Odd(msgspec.Struct, frozen=True, eq=False):
    item: object


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


@pytest.mark.parametrize(
    "kind", [lambda item: (item,), lambda item: frozenset((Odd(item),)), Holder], ids=["tuple", "frozenset", "struct"]
)
@virtual
async def test_a_state_read_is_a_copy_from_the_first_part_on_that_can_be_changed(manager, kind):
    runtime = manager.create("a", kind(1), lambda activity, state: kind(activity.payload))
    for payload in (2, [3], [4]):
        await runtime.ask(payload)
    (read,) = [part for part in parts(runtime.state) if isinstance(part, list)]
    read.append("from outside")
    assert [part for part in parts(runtime.state) if isinstance(part, list)] == [[4]]


def parts(state):
    """What such a state holds."""
    found = list(state) if isinstance(state, tuple | frozenset) else [state]
    return [part.item if isinstance(part, Holder | Odd) else part for part in found]


@virtual
async def test_a_state_that_is_too_large_fails_the_activity(manager):
    runtime = manager.create("a", "", lambda activity, state: "x" * activity.payload, max_state=1_000)
    with pytest.raises(ProcessingError, match="max_state"):
        await runtime.ask(5_000)
    assert len(await runtime.ask(500)) == 500
