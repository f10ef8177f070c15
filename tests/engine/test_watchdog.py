"""The watchdog names who blocks the loop, and says where; it sleeps while nothing is busy."""

import asyncio
import math
import threading
import time
from types import SimpleNamespace

import pytest

import agentrt
from agentrt.engine.watchdog import Watchdog
from agentrt.interruptible import InterruptibleEvent
from agentrt.testing.virtual import VirtualLoop, run
from tests.harness.wait import wait_until

WAIT = 60


class Seen:
    """The "blocked" events of a manager, as the hub sends them."""

    def __init__(self, manager):
        self.events = []
        self._news = threading.Condition()
        manager.hub.attach(self._flush)

    def _flush(self, frame):
        with self._news:
            self.events += [record for record in frame.records if record.kind == "blocked"]
            self._news.notify_all()

    def wait(self, n=1):
        with self._news:
            return self._news.wait_for(lambda: len(self.events) >= n, WAIT)


@pytest.fixture
def manager():
    with agentrt.RuntimeManager() as manager:
        manager.watchdog.after = 0.05
        yield manager


def blocks_until(event):
    def deeper(flag):
        number = 42  # noqa: F841 - it is seen in the stack
        flag.wait(WAIT)

    async def workflow(activity, state):
        deeper(event)
        return state + 1

    return workflow


def test_who_blocks_the_loop_is_named_with_its_stack_once(manager):
    released = threading.Event()
    seen = Seen(manager)
    waiting = manager.create("waiting", 0, lambda activity, state: state)
    blocking = manager.create("blocking", 0, blocks_until(released))
    receipt = blocking.send_nowait(None)
    waiting.send_nowait(None)
    assert seen.wait()
    event = seen.events[0]
    assert event.runtime == "blocking"
    assert event.detail["seconds"] >= 0.05
    assert event.detail["activity"] == receipt.id
    functions = [frame.function.split(".")[-1] for frame in event.detail["stack"]]
    assert functions[:2] == ["workflow", "deeper"]
    deeper = event.detail["stack"][1]
    assert deeper.source == "flag.wait(WAIT)"
    assert deeper.locals["number"] == "42"
    assert deeper.file == __file__
    released.set()
    assert receipt.result(WAIT).state == 1
    assert [e.sequence for e in seen.events] == [event.sequence]


def test_the_next_incident_is_told_again(manager):
    seen = Seen(manager)
    for n in (1, 2):
        released = threading.Event()
        receipt = manager.create(f"blocking {n}", 0, blocks_until(released)).send_nowait(None)
        assert seen.wait(n)
        released.set()
        receipt.result(WAIT)
    assert [event.runtime for event in seen.events] == ["blocking 1", "blocking 2"]


def test_a_plain_function_is_found_too_and_where_says_the_same(manager):
    released = threading.Event()
    seen = Seen(manager)

    def blocks(activity, state):
        released.wait(WAIT)
        return state

    runtime = manager.create("plain", 0, blocks)
    receipt = runtime.send_nowait(None)
    assert seen.wait()
    assert runtime.where()[0].source == "released.wait(WAIT)"
    released.set()
    receipt.result(WAIT)
    assert runtime.where() == []


def test_who_only_waits_does_not_block(manager):
    async def patient(activity, state, ctx):
        await ctx.sleep(0.3)
        return state + 1

    runtime = manager.create("patient", 0, patient)
    runtime.send_nowait(None).result(WAIT)
    assert "blocked" not in {record.kind for record in manager.ring.since(0)[0]}


def test_it_sleeps_while_nothing_is_busy_and_wakes_for_work(manager):
    checks, waits = [], threading.Event()
    check_loop, has_work = manager.watchdog._check_loop, manager.watchdog._has_work

    def count():
        checks.append(None)
        check_loop()

    def note_waiting():
        working = has_work()
        if not working:
            waits.set()
        return working

    manager.watchdog._check_loop, manager.watchdog._has_work = count, note_waiting
    runtime = manager.create("x", 0, lambda activity, state: state + 1)
    assert manager.watchdog._thread is None
    for _ in range(3):
        waits.clear()
        runtime.send_nowait(None).result(WAIT)
        assert waits.wait(WAIT)
        assert manager.watchdog.is_waiting
        # It waits for an event that nothing sets until there is work.
        assert not manager.watchdog._work.is_set()
        assert manager.watchdog._thread.is_alive()


def test_close_ends_the_thread_even_while_the_loop_is_blocked():
    released = threading.Event()
    manager = agentrt.RuntimeManager()
    manager.watchdog.after = 0.01
    seen = Seen(manager)
    manager.create("blocking", 0, blocks_until(released)).send_nowait(None)
    assert seen.wait()
    thread = manager.watchdog._thread
    released.set()
    manager.close()
    assert not thread.is_alive()


def test_on_a_shared_loop_somebody_else_may_be_it():
    async def main():
        async with agentrt.RuntimeManager(loop="current") as manager:
            manager.watchdog.after = 0.05
            seen = Seen(manager)

            async def patient(activity, state):
                await asyncio.Event().wait()

            manager.create("patient", 0, patient).send_nowait(None)
            await asyncio.sleep(0)
            assert await asyncio.to_thread(lambda: manager.watchdog._thread is not None)
            seen.wait()  # the one who blocks is this test
            return seen.events[0]

    event = asyncio.run(main())
    assert event.runtime == ""
    assert event.detail["activity"] is None
    assert event.detail["stack"][0].function.endswith("main")


def test_virtual_time_is_not_watched():
    async def main():
        async with agentrt.RuntimeManager(loop="current") as manager:
            assert await manager.create("x", 0, lambda activity, state: 1).ask(None) == 1
            return manager.watchdog._thread

    assert run(main()) is None


def test_a_runtime_that_becomes_busy_while_it_starts_to_wait_is_not_missed():
    class Host:
        loop = asyncio.new_event_loop()
        name, thread = "x", 0

        @property
        def busy(self):
            return self.answers.pop(0)

    host = Host()
    watchdog = Watchdog(host)
    host.answers = [set(), {1}]
    assert watchdog._has_work()
    assert not watchdog.is_waiting
    host.answers = [set(), set()]
    assert not watchdog._has_work()
    assert watchdog.is_waiting
    host.loop.close()


def test_a_busy_loop_that_runs_its_callbacks_is_not_blocked(manager):
    checks = []
    # However long this machine takes: what counts is that the callback runs while the runtime is busy.
    manager.watchdog._sleep = lambda seconds: checks.append(manager.watchdog._callback_ran.wait(WAIT))
    runtime = manager.create("x", 0, lambda activity, state: state + 1, standard_capacity=100_000)
    while len(checks) < 3:
        [runtime.send_nowait(None) for _ in range(100)][-1].result(WAIT)
    assert all(checks)
    assert "blocked" not in {record.kind for record in manager.ring.since(0)[0]}


def test_a_busy_loop_yields_the_interpreter_when_it_is_due(manager):
    asked = []
    manager.watchdog.yield_interpreter = lambda: asked.append(manager.watchdog.due)
    runtime = manager.create("x", 0, lambda activity, state: state + 1)
    manager.watchdog.is_waiting, manager.watchdog.due = False, float("inf")
    runtime.pause()
    receipts = [runtime.send_nowait(None) for _ in range(100)]
    runtime.resume()
    receipts[-1].result(WAIT)
    assert asked == []
    manager.watchdog.due = 0.0
    runtime.pause()
    receipts = [runtime.send_nowait(None) for _ in range(100)]
    runtime.resume()
    receipts[-1].result(WAIT)
    assert asked


def test_yielding_waits_only_for_a_thread_that_is_due(manager):
    watchdog = manager.watchdog
    watchdog.due = 0.0
    watchdog.yield_interpreter()
    assert watchdog.due == float("inf")
    runtime = manager.create("x", 0, lambda activity, state: state + 1)
    runtime.send_nowait(None).result(WAIT)
    assert watchdog.due > time.monotonic()


class QuietHost:
    """A manager whose runtimes are idle."""

    name, thread = "x", 0

    def __init__(self, drawing=False):
        self.loop, self.busy = VirtualLoop(), set()
        self.hub = SimpleNamespace(running=drawing, drawing=drawing)


def test_a_thread_that_begins_to_watch_is_waited_for_until_it_sleeps():
    host = QuietHost()
    watchdog = Watchdog(host)
    begins = InterruptibleEvent()
    watchdog._run = lambda: begins.wait(WAIT)
    watchdog.start_watching()
    assert watchdog.due < math.inf
    for _ in range(2):  # it has not had the interpreter in time: again a little later
        watchdog._next_check = 0.0
        watchdog.yield_interpreter()
        assert time.monotonic() - 1 < watchdog.due < math.inf
    watchdog._end.set()
    watchdog._next_check = 0.0
    watchdog.yield_interpreter()
    assert watchdog.due == math.inf
    begins.set()
    host.loop.close()


def test_the_loop_pauses_for_those_who_draw_and_only_then():
    host = QuietHost(drawing=True)
    watchdog = Watchdog(host)
    watchdog.yield_interpreter()
    assert watchdog.due < math.inf
    host.hub.running = False
    watchdog.yield_interpreter()
    assert watchdog.due == math.inf
    host.loop.close()


class Pretended:
    """A module named as pdb is, whose function waits as its prompt does."""

    CODE = "def interaction(flag):\n    flag.wait(60)\n"

    def __init__(self):
        names = {}
        exec(compile(self.CODE, "/usr/lib/pdb.py", "exec"), names)
        self.interaction = names["interaction"]


def test_a_loop_that_a_debugger_keeps_stopped_is_not_reported(manager):
    released = threading.Event()
    seen = Seen(manager)
    prompt = Pretended().interaction

    async def workflow(activity, state):
        prompt(released)
        return state + 1

    runtime = manager.create("debugged", 0, workflow)
    receipt = runtime.send_nowait(None)
    wait_until(lambda: runtime.whereabouts().how == "stopped")
    there = runtime.whereabouts()
    assert (there.stop.at, [frame.function.split(".")[-1] for frame in there.frames]) == ("pdb", ["workflow"])
    asked = manager.watchdog._has_woken
    for _ in range(4):  # it has looked and found the loop stopped
        asked.clear()
        if not asked.wait(0.2):
            break
    released.set()
    assert receipt.result(WAIT).state == 1
    blocking = threading.Event()
    blocking.set()
    assert manager.create("after", 0, blocks_until(blocking)).send_nowait(None).result(WAIT).state == 1
    assert seen.events == []
