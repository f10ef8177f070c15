"""runtime.py: the handle; knobs drive the running entry, readouts follow it, watchers are really told."""

import asyncio
import gc
import logging
import threading
import weakref

import panel as pn
import param
import pytest

from agentrt import (
    ConfigurationError,
    Fate,
    MailboxFullError,
    Overflow,
    ProcessingError,
    RuntimeManager,
    RuntimeTerminatedError,
    Status,
)
from tests.support import Gate, add, collect, fail, turns, virtual

TIMEOUT = 10


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


class Told:
    """A watcher that a test can wait for."""

    def __init__(self, enough=lambda values: True):
        self.values = []
        self.enough = enough
        self.event = threading.Event()

    def __call__(self, value):
        self.values.append(getattr(value, "new", value))
        if self.enough(self.values):
            self.event.set()

    def wait(self):
        assert self.event.wait(TIMEOUT), self.values


# --- readouts


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


# --- watchers


def test_a_watcher_is_told_what_the_runtime_does(manager):
    runtime = manager.create("a", 0, add)
    told = Told(lambda values: values[-1] == 3)
    runtime.param.watch(told, "state")
    for _ in range(3):
        runtime.send_nowait(1)
    told.wait()
    assert told.values == sorted(set(told.values))


def test_a_watcher_of_several_is_told_of_those_that_changed(manager):
    runtime = manager.create("a", 0, add)
    done, events = threading.Event(), {}

    def watch(*changes):
        events.update({change.name: (change.old, change.new) for change in changes})
        if "processed" in events and events["processed"][1] == 1:
            done.set()

    runtime.param.watch(watch, ["processed", "state", "error"])
    runtime.send_nowait(5)
    assert done.wait(TIMEOUT)
    assert events == {"processed": (0, 1), "state": (0, 5)}


def test_a_status_is_watched_through_pause_and_end(manager):
    runtime = manager.create("a", 0, add)
    paused, ended = Told(lambda v: Status.PAUSED in v), Told(lambda v: Status.TERMINATED in v)
    runtime.param.watch(paused, "status")
    runtime.param.watch(ended, "status")
    runtime.pause()
    paused.wait()
    runtime.terminate()
    ended.wait()


def test_a_watcher_hears_of_the_end_with_the_manager():
    manager = RuntimeManager(loop="thread")
    runtime = manager.create("a", 0, add)
    told = Told(lambda values: values[-1] is Status.TERMINATED)
    runtime.param.watch(told, "status")
    manager.close()
    told.wait()


def test_a_knob_tells_its_watchers_whoever_turns_it(manager):
    runtime = manager.create("a", 0, add)
    here = Told()
    runtime.param.watch(here, "timeout")
    runtime.timeout = 5
    assert here.values == [5]
    there = Told()
    runtime.param.watch(there, "paused")
    runtime.pause()
    there.wait()
    assert there.values == [True]


def test_panel_binds_to_a_readout(manager):
    runtime = manager.create("a", 0, add)
    told = Told(lambda values: values[-1] == 3)
    bound = pn.bind(told, runtime.param.priority_depth, watch=True)
    runtime.pause()
    for _ in range(3):
        runtime.send_nowait(1, priority=True)
    told.wait()
    assert bound is not None
    shown = pn.bind(lambda depth: f"{depth} wait", runtime.param.priority_depth)
    assert shown() == "3 wait"


def test_a_class_depends_on_a_runtime(manager):
    told = Told(lambda values: Status.PAUSED in values)

    class Board(param.Parameterized):
        rt = param.Parameter()

        @param.depends("rt.status", watch=True)
        def changed(self):
            told(self.rt.status)

    board = Board(rt=manager.create("a", 0, add))
    board.rt.pause()
    told.wait()


def test_a_watcher_that_raises_is_logged_and_removed_and_the_others_go_on(manager, caplog):
    runtime = manager.create("a", 0, add)
    broken = []

    def breaks(event):
        broken.append(event.new)
        raise RuntimeError("a broken watcher")

    runtime.param.watch(breaks, "state")
    first = Told()
    runtime.param.watch(first, "state")
    told = Told(lambda values: values[-1] == 2)
    runtime.param.watch(told, "state")
    other = Told(lambda values: values[-1] == 2)
    runtime.param.watch(other, "processed")
    with caplog.at_level(logging.ERROR, "agentrt"):
        runtime.send_nowait(1)
        first.wait()
        runtime.send_nowait(1)
        told.wait()
        other.wait()
    assert len(broken) == 1
    assert [str(record.exc_info[1]) for record in caplog.records] == ["a broken watcher"]
    assert runtime.send_nowait(1).result(TIMEOUT).state == 3


def test_a_watcher_may_turn_a_knob(manager):
    runtime = manager.create("a", 0, add)
    done = threading.Event()

    def brake(event):
        if event.new >= 3:
            runtime.paused = True
            runtime.standard_capacity = 5
            done.set()

    runtime.param.watch(brake, "processed")
    for _ in range(3):
        runtime.send_nowait(1)
    assert done.wait(TIMEOUT)
    assert (runtime.paused, runtime.entry.held, runtime.entry.mailbox.standard_capacity) == (True, True, 5)


def test_a_watcher_may_send_and_unwatch(manager):
    runtime = manager.create("a", 0, add)
    done = threading.Event()

    def once(event):
        runtime.param.unwatch(watcher)
        runtime.send_nowait(10)
        done.set()

    watcher = runtime.param.watch(once, "state")
    runtime.send_nowait(1)
    assert done.wait(TIMEOUT)
    assert runtime.send_nowait(0).result(TIMEOUT).state == 11


def test_a_state_that_can_not_be_compared_can_be_watched(manager):
    class Odd:
        def __eq__(self, other):
            raise TypeError("never compare")

        __hash__ = None

    runtime = manager.create("a", None, lambda activity, state: Odd(), copy_state=False)
    told = Told(lambda values: values[-1] is not None)
    runtime.param.watch(told, "state")
    runtime.send_nowait(1)
    told.wait()


def test_watchers_on_a_loop_are_called_on_its_thread(manager):
    runtime = manager.create("a", 0, add)

    async def main():
        called = asyncio.Event()
        threads = []

        def watch(event):
            threads.append(threading.get_ident())
            called.set()

        runtime.param.watch(watch, "state")
        runtime.send_nowait(1)
        await asyncio.wait_for(called.wait(), TIMEOUT)
        return threads

    assert set(asyncio.run(main())) == {threading.get_ident()}


def test_an_async_watcher_is_awaited_on_its_loop(manager):
    runtime = manager.create("a", 0, add)

    async def main():
        called = asyncio.Event()

        async def watch(event):
            await asyncio.sleep(0)
            called.set()

        runtime.param.watch(watch, "state")
        runtime.send_nowait(1)
        await asyncio.wait_for(called.wait(), TIMEOUT)

    asyncio.run(main())


def test_nothing_runs_while_nobody_watches(manager):
    runtime = manager.create("a", 0, add)
    runtime.send_nowait(1).result(TIMEOUT)
    assert not manager.hub.running
    runtime.param.watch(Told(), "state")
    assert manager.hub.running


def test_a_handle_that_is_watched_is_kept_and_one_that_is_not_goes(manager):
    told = Told()
    manager.create("watched", 0, add).param.watch(told, "state")
    dropped = weakref.ref(manager.create("dropped", 0, add))
    gc.collect()
    assert dropped() is None
    manager.send_nowait("watched", 1)
    told.wait()


def test_a_manager_that_was_watched_can_be_forgotten():
    manager = RuntimeManager(loop="thread")
    runtime = manager.create("a", 0, add)
    told = Told(lambda values: Status.TERMINATED in values)
    runtime.param.watch(told, "status")
    manager.close()
    told.wait()
    for thread in threading.enumerate():
        if thread.name == "agentrt-hub":
            thread.join(TIMEOUT)
    reference = weakref.ref(manager)
    del manager, runtime, told
    gc.collect()
    assert reference() is None


# --- the rest


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
