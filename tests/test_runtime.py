"""runtime.py: the handle that a person holds."""

import inspect

import pytest

from agentrt import Runtime, RuntimeTerminatedError, Status
from agentrt.activity import SendNowaitOptions, SendOptions
from agentrt.runtime import BOUND
from tests.support import add, collect, turns, virtual


@virtual
async def test_its_repr_tells_how_it_is(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(7)
    expected = "<Runtime 'a' idle, waiting 0 priority 0 standard, processed 1, failed 0, state 7>"
    assert repr(runtime) == str(runtime) == expected


@virtual
async def test_a_handle_is_the_same_for_everybody(manager):
    runtime = manager.create("a", 0, add)
    assert manager["a"] is runtime
    assert manager.get("a") is runtime


@virtual
async def test_ask_takes_every_option_of_send(manager):
    runtime = manager.create("a", (), collect)
    assert await runtime.ask(1, priority=True, timeout=5, delay=10, key="k", wait=3) == (1,)
    assert manager.clock.now() == 10


@virtual
async def test_validate_says_what_a_send_would_say(manager):
    runtime = manager.create("a", 0, add, accepts=int)
    runtime.validate(1)
    with pytest.raises(ValueError, match="expected int"):
        runtime.validate("x")
    assert runtime.accepts is int
    assert runtime.workflow == "add"


@virtual
async def test_a_handle_to_a_terminated_runtime_still_reads(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    await runtime.terminate()
    assert (runtime.state, runtime.status, runtime.processed) == (1, Status.TERMINATED, 1)
    with pytest.raises(RuntimeTerminatedError):
        await runtime.send(1)


@virtual
async def test_recover_of_a_healthy_runtime_does_nothing(manager):
    runtime = manager.create("a", 0, add)
    runtime.recover()
    await turns()
    assert await runtime.ask(1) == 1


@pytest.mark.parametrize("name", BOUND)
@virtual
async def test_what_a_handle_binds_has_the_documented_contract(manager, name):
    runtime = manager.create("a", 0, add)
    documented = vars(Runtime)[name]
    expected = inspect.signature(documented.__get__(runtime))
    assert inspect.signature(getattr(runtime, name)) == expected
    assert inspect.getdoc(getattr(runtime, name)) == inspect.getdoc(documented)
    options = SendNowaitOptions if name == "send_nowait" else SendOptions
    assert set(expected.parameters) - {"payload"} == options.__required_keys__ | options.__optional_keys__


@pytest.mark.parametrize("name", BOUND)
@virtual
async def test_the_documented_method_does_what_the_bound_one_does(manager, name):
    runtime = manager.create("a", 0, add)
    result = getattr(Runtime, name)(runtime, 3, priority=True, timeout=5, delay=1, key="k")
    result = result if name == "send_nowait" else await result
    assert (result if name == "ask" else (await result).state) == 3
    assert manager.clock.now() == 1
