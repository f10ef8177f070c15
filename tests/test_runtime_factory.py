"""runtime_factory.py: the decorator for cells, which may run again."""

import pytest

from agentrt import ConfigurationError, Runtime
from tests.support import add, fail, virtual


@virtual
async def test_the_decorator_creates_and_then_swaps(manager):
    @manager.agent("a", state=0)
    async def counter(activity, state):
        return state + activity.payload

    first = counter
    assert isinstance(first, Runtime)
    assert await first.ask(2) == 2

    @manager.agent("a", state=0)
    async def counter(activity, state):
        return state + 10 * activity.payload

    assert counter is first
    assert await counter.ask(2) == 22


@virtual
async def test_the_decorator_takes_limits_each_time(manager):
    def cell(**limits):
        return manager.agent("a", state=0, **limits)(lambda activity, state: state)

    assert cell(timeout=2).timeout == 2
    assert cell(timeout=5, grace=3).timeout == 5
    assert manager["a"].entry.limits.grace == 3
    for wrong in ({"time_out": 5}, {"rate": 5}, {"timeout": 9, "retries": -1}):
        with pytest.raises(ConfigurationError):
            cell(**wrong)
    assert manager["a"].timeout == 5
    cell(accepts=int)
    with pytest.raises(ValueError, match="expected int"):
        manager["a"].send_nowait("x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 9, "rate": 5},
        {"timeout": 9, "deadline": 5},
        {"timeout": 9, "blocking": True},
        {"timeout": 9, "memory": 10**9},
        {"timeout": 9, "accepts": "int"},
    ],
    ids=str,
)
@virtual
async def test_a_cell_that_can_not_be_changes_nothing(manager, wrong):
    runtime = manager.agent("a", state=0, timeout=5, rate=3)(add)
    before, seen = runtime.entry.limits, len(manager.ring.since(0)[0])
    with pytest.raises(ConfigurationError):
        manager.agent("a", state=0, **wrong)(fail)
    assert runtime.entry.limits is before
    assert len(manager.ring.since(0)[0]) == seen
    assert await runtime.ask(1) == 1


@virtual
async def test_a_cell_may_give_again_what_stays(manager):
    runtime = manager.agent("a", state=0, rate=3)(add)
    manager.agent("a", state=0, rate=3, timeout=5)(fail)
    assert (runtime.timeout, runtime.workflow) == (5, "fail")


@virtual
async def test_the_decorator_needs_a_state_the_first_time(manager):
    with pytest.raises(ConfigurationError, match="give its initial state"):
        manager.agent("a")(add)
    manager.agent("a", state=None)(add)
    manager.agent("a")(fail)
    assert manager["a"].workflow == "fail"
