"""readouts.py: the params of a handle; knobs drive the running entry, readouts follow it."""

import pytest

from agentrt import ConfigurationError, Fate, MailboxFullError, Overflow, ProcessingError, Status
from tests.support import Gate, add, collect, fail, virtual


@virtual
async def test_readouts_are_always_current(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    assert (runtime.id, runtime.status, runtime.state, runtime.depth) == ("a", Status.IDLE, (), (0, 0))
    receipts = [runtime.send_nowait(n, priority=n == 2) for n in range(3)]
    await gate.entered.wait()
    assert (runtime.status, runtime.priority_depth, runtime.standard_depth) == (Status.PROCESSING, 0, 2)
    gate.open.set()
    await receipts[1]
    assert (runtime.state, runtime.processed, runtime.failed, runtime.error) == ((2, 0, 1), 3, 0, None)


@pytest.mark.parametrize("name", ["id", "status", "state", "priority_depth", "standard_depth", "processed", "error"])
@virtual
async def test_a_readout_can_not_be_set(manager, name):
    runtime = manager.create("a", 0, add)
    with pytest.raises(ConfigurationError, match=f"{name} follows the runtime"):
        setattr(runtime, name, 5)
    assert runtime.id == "a"


@virtual
async def test_two_handles_do_not_share_their_params(manager):
    one, other = manager.create("a", 0, add), manager.create("b", 0, add, timeout=7)
    one.timeout = 3
    assert (one.timeout, other.timeout) == (3, 7)


# --- knobs drive the running entry

KNOBS = {
    "timeout": (2.5, None),
    "retries": (3, 0),
    "priority_capacity": (5, 1),
    "standard_capacity": (5, 1),
    "overflow": (Overflow.DROP_OLDEST, Overflow.WAIT),
    "fairness": (None, 2),
    "paused": (True, False),
}


@pytest.mark.parametrize(("name", "values"), KNOBS.items())
@virtual
async def test_every_knob_can_be_set_and_read(manager, name, values):
    runtime = manager.create("a", 0, add)
    for value in values:
        setattr(runtime, name, value)
        assert getattr(runtime, name) == value
        runtime.param.update(**{name: value})
        assert getattr(manager["a"], name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", "2"),
        ("retries", -1),
        ("standard_capacity", 0),
        ("priority_capacity", 1.5),
        ("overflow", "explode"),
        ("fairness", 0),
        ("paused", "yes"),
        ("paused", 1),
    ],
)
@virtual
async def test_a_value_that_can_not_be_leaves_the_knob(manager, name, value):
    runtime = manager.create("a", 0, add)
    before = getattr(runtime, name)
    with pytest.raises(ConfigurationError, match=name):
        setattr(runtime, name, value)
    assert getattr(runtime, name) == before
    assert await runtime.ask(1) == 1


@virtual
async def test_a_knob_given_to_create_shows(manager):
    runtime = manager.create("a", 0, add, timeout=2, fairness=None, standard_capacity=7)
    assert (runtime.timeout, runtime.fairness, runtime.standard_capacity) == (2, None, 7)


@virtual
async def test_the_timeout_knob_holds_from_the_next_activity_on(manager):
    async def slow(activity, state, ctx):
        await ctx.sleep(10)
        return state + 1

    runtime = manager.create("a", 0, slow)
    await runtime.ask(1)
    runtime.timeout = 5
    with pytest.raises(TimeoutError):
        await runtime.ask(1)
    runtime.timeout = None
    assert await runtime.ask(1) == 2


@virtual
async def test_the_retries_knob_drives(manager):
    runtime = manager.create("a", 0, fail, backoff=1)
    runtime.retries = 2
    receipt = runtime.send_nowait(1)
    with pytest.raises(ProcessingError):
        await receipt
    assert receipt.outcome.attempts == 3


@virtual
async def test_the_capacity_and_overflow_knobs_drive(manager):
    runtime = manager.create("a", (), collect)
    runtime.paused = True
    runtime.standard_capacity = 1
    first = runtime.send_nowait(1)
    with pytest.raises(MailboxFullError):
        runtime.send_nowait(2)
    runtime.overflow = "drop_oldest"
    third = runtime.send_nowait(3)
    assert first.outcome.fate is Fate.DROPPED
    runtime.paused = False
    assert (await third).state == (3,)


@virtual
async def test_the_fairness_knob_drives(manager):
    runtime = manager.create("a", (), collect)
    runtime.paused = True
    runtime.fairness = 1
    for n in range(3):
        runtime.send_nowait(f"s{n}")
        runtime.send_nowait(f"p{n}", priority=True)
    runtime.paused = False
    assert await runtime.ask("end") == ("p0", "s0", "p1", "s1", "p2", "s2", "end")


@virtual
async def test_the_paused_knob_is_pause_and_resume(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    assert runtime.paused is True
    runtime.paused = False
    assert await runtime.ask(1) == 1
