"""publisher.py: whoever watches a param of a handle is called with what changed, as long as somebody watches."""

import asyncio
import gc
import logging
import threading
import warnings
import weakref

import numpy as np
import pandas as pd
import panel as pn
import param
import pytest

from agentrt import RuntimeManager, Status
from tests.support import add

TIMEOUT = 60


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


class Watcher:
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


def test_a_watcher_is_called_with_what_the_runtime_does(manager):
    runtime = manager.create("a", 0, add)
    watcher = Watcher(lambda values: values[-1] == 3)
    runtime.param.watch(watcher, "state")
    for _ in range(3):
        runtime.send_nowait(1)
    watcher.wait()
    assert watcher.values == sorted(set(watcher.values))


def test_a_watcher_of_several_is_called_with_those_that_changed(manager):
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
    paused, ended = Watcher(lambda v: Status.PAUSED in v), Watcher(lambda v: Status.TERMINATED in v)
    runtime.param.watch(paused, "status")
    runtime.param.watch(ended, "status")
    runtime.pause()
    paused.wait()
    runtime.terminate()
    ended.wait()


def test_a_watcher_hears_of_the_end_with_the_manager():
    manager = RuntimeManager(loop="thread")
    runtime = manager.create("a", 0, add)
    watcher = Watcher(lambda values: values[-1] is Status.TERMINATED)
    runtime.param.watch(watcher, "status")
    manager.close()
    watcher.wait()


def test_a_knob_tells_its_watchers_whoever_turns_it(manager):
    runtime = manager.create("a", 0, add)
    here = Watcher()
    runtime.param.watch(here, "timeout")
    runtime.timeout = 5
    assert here.values == [5]
    there = Watcher()
    runtime.param.watch(there, "paused")
    runtime.pause()
    there.wait()
    assert there.values == [True]


def test_panel_binds_to_a_readout(manager):
    runtime = manager.create("a", 0, add)
    watcher = Watcher(lambda values: values[-1] == 3)
    bound = pn.bind(watcher, runtime.param.priority_depth, watch=True)
    runtime.pause()
    for _ in range(3):
        runtime.send_nowait(1, priority=True)
    watcher.wait()
    assert bound is not None
    shown = pn.bind(lambda depth: f"{depth} wait", runtime.param.priority_depth)
    assert shown() == "3 wait"


def test_a_class_depends_on_a_runtime(manager):
    watcher = Watcher(lambda values: Status.PAUSED in values)

    class Board(param.Parameterized):
        rt = param.Parameter()

        @param.depends("rt.status", watch=True)
        def changed(self):
            watcher(self.rt.status)

    board = Board(rt=manager.create("a", 0, add))
    board.rt.pause()
    watcher.wait()


def test_a_watcher_that_raises_is_logged_and_removed_and_the_others_go_on(manager, caplog):
    runtime = manager.create("a", 0, add)
    broken = []

    def breaks(event):
        broken.append(event.new)
        raise RuntimeError("a broken watcher")

    runtime.param.watch(breaks, "state")
    first = Watcher()
    runtime.param.watch(first, "state")
    watcher = Watcher(lambda values: values[-1] == 2)
    runtime.param.watch(watcher, "state")
    other = Watcher(lambda values: values[-1] == 2)
    runtime.param.watch(other, "processed")
    with caplog.at_level(logging.ERROR, "agentrt"):
        runtime.send_nowait(1)
        first.wait()
        runtime.send_nowait(1)
        watcher.wait()
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
    watcher = Watcher(lambda values: values[-1] is not None)
    runtime.param.watch(watcher, "state")
    runtime.send_nowait(1)
    watcher.wait()


class Copied(list):
    """A state that counts how often it is copied."""

    copies = 0

    def __deepcopy__(self, memo):
        Copied.copies += 1
        return Copied(self)


def test_watching_goes_on_where_warnings_are_errors(manager):
    """That a state can't be copied is a warning. Nobody is there to whom it could be raised."""

    def locks(activity, state):
        return {"n": activity.payload, "lock": threading.Lock()}

    runtime = manager.create("a", 0, locks)
    watcher = Watcher(lambda values: isinstance(values[-1], dict) and values[-1]["n"] == 2)
    runtime.param.watch(watcher, "state")
    first = Watcher()
    other = Watcher(lambda values: values[-1] == 2)
    runtime.param.watch(first, "processed")
    runtime.param.watch(other, "processed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runtime.send_nowait(1)
        first.wait()
        runtime.send_nowait(2)
        watcher.wait()
        other.wait()


@pytest.mark.filterwarnings("ignore:the state of")
@pytest.mark.parametrize("state", [lambda: np.arange(5), lambda: {"a": np.arange(5)}, lambda: pd.DataFrame({"a": [1]})])
def test_a_state_that_did_not_change_is_published_once(manager, state):
    runtime = manager.create("a", state(), lambda activity, old: state())
    seen, other = Watcher(), Watcher(lambda values: values[-1] == 3)
    runtime.param.watch(seen, "state")
    runtime.param.watch(other, "processed")
    for n in range(1, 4):
        there = Watcher(lambda values, n=n: values[-1] == n)
        watcher = runtime.param.watch(there, "processed")
        runtime.send_nowait(n)
        there.wait()
        runtime.param.unwatch(watcher)
    other.wait()
    assert len(seen.values) == 0


@pytest.mark.filterwarnings("ignore:the state of")
def test_a_state_is_not_copied_while_nothing_is_committed(manager):
    runtime = manager.create("a", Copied([1]), add)
    state = Watcher()
    runtime.param.watch(state, "state")
    before = Copied.copies
    for n in range(5):
        there = Watcher(lambda values, n=n: values[-1] == n + 1)
        watcher = runtime.param.watch(there, "timeout")
        runtime.timeout = n + 1
        there.wait()
        runtime.param.unwatch(watcher)
        frames = manager.hub.frames
        while manager.hub.frames == frames:
            runtime.entry.record_event("test")
    assert Copied.copies == before


@pytest.mark.filterwarnings("ignore:the state of")
def test_a_state_that_is_changed_in_place_is_published(manager):
    def change(activity, state):
        state.append(activity.payload)
        return state

    runtime = manager.create("a", [], change)
    watcher = Watcher(lambda values: values[-1] == [1])
    runtime.param.watch(watcher, "state")
    runtime.send_nowait(1)
    watcher.wait()


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
    runtime.param.watch(Watcher(), "state")
    assert manager.hub.running


def test_a_handle_that_is_watched_is_kept_and_one_that_is_not_goes(manager):
    watcher = Watcher()
    manager.create("watched", 0, add).param.watch(watcher, "state")
    dropped = weakref.ref(manager.create("dropped", 0, add))
    gc.collect()
    assert dropped() is None
    manager.send_nowait("watched", 1)
    watcher.wait()


def test_a_manager_that_was_watched_can_be_forgotten():
    manager = RuntimeManager(loop="thread")
    runtime = manager.create("a", 0, add)
    watcher = Watcher(lambda values: Status.TERMINATED in values)
    runtime.param.watch(watcher, "status")
    manager.close()
    watcher.wait()
    for thread in threading.enumerate():
        if thread.name == "agentrt-hub":
            thread.join(TIMEOUT)
    reference = weakref.ref(manager)
    del manager, runtime, watcher
    gc.collect()
    assert reference() is None
