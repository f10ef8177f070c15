"""isolation.py: plain functions that block, in worker threads."""

import asyncio
import contextvars
import threading

import pytest

from agentrt import AgentError, ConfigurationError, Fate, ProcessingError, RuntimeManager, Status
from agentrt.engine.isolation import THREADS
from tests.harness.wait import wait_until
from tests.support import add, virtual

TIMEOUT = 60
LEFT = contextvars.ContextVar("left", default="nothing")


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


def test_an_async_workflow_can_not_be_blocking(manager):
    with pytest.raises(ConfigurationError, match="write a plain `def`"):
        manager.create("a", 0, add, blocking=True)
    runtime = manager.create("a", 0, lambda activity, state: state, blocking=True)
    with pytest.raises(ConfigurationError):
        runtime.swap(add)


def test_one_at_a_time_per_runtime_and_many_beside_each_other(manager):
    barrier = threading.Barrier(5)

    def meet(activity, state):
        barrier.wait(TIMEOUT)
        return state + 1

    runtimes = [manager.create(f"r{n}", 0, meet, blocking=True) for n in range(5)]
    receipts = [runtime.send_nowait(n) for n in range(3) for runtime in runtimes]
    assert [receipt.result(TIMEOUT).state for receipt in receipts] == [1] * 5 + [2] * 5 + [3] * 5


def test_errors_replies_and_notes_come_through(manager):
    def workflow(activity, state, ctx):
        ctx.log("in a thread")
        ctx.reply(activity.payload * 2)
        if activity.payload == "bad":
            raise KeyboardInterrupt
        return state + 1

    runtime = manager.create("a", 0, workflow, blocking=True)
    assert runtime.send_nowait("x").result(TIMEOUT).value == "xx"
    with pytest.raises(ProcessingError, match="KeyboardInterrupt"):
        runtime.send_nowait("bad").result(TIMEOUT)
    assert runtime.state == 1
    assert "log" in [record.kind for record in manager.ring.since(0)[0]]


def test_context_variables_do_not_leak_through_the_threads(manager):
    def leave(activity, state):
        found = LEFT.get()
        LEFT.set("left")
        return (*state, found)

    runtime = manager.create("a", (), leave, blocking=True)
    receipts = [runtime.send_nowait(n) for n in range(10)]
    assert receipts[-1].result(TIMEOUT).state == ("nothing",) * 10


def test_a_blocking_workflow_may_wait_for_others(manager):
    manager.create("other", 0, add)
    asks = manager.create(
        "a", 0, lambda activity, state: manager.send_nowait("other", 5).result(TIMEOUT).state, blocking=True
    )
    assert asks.send_nowait(1).result(TIMEOUT).state == 5
    runs = manager.create("b", 0, lambda activity, state: manager.run(manager.ask("other", 1)), blocking=True)
    assert runs.send_nowait(1).result(TIMEOUT).state == 6


def test_a_late_thread_is_fenced_and_nothing_is_started_beside_it(manager):
    release, inside = threading.Event(), []

    def work(activity, state):
        inside.append("in")
        assert len(inside) == 1
        if activity.payload == "late":
            assert release.wait(TIMEOUT)
        inside.pop()
        return state + 1

    runtime = manager.create("a", 0, work, blocking=True, timeout=0.02, grace=0.02)
    late = runtime.send_nowait("late")
    with pytest.raises(TimeoutError):
        late.result(TIMEOUT)
    assert runtime.status is Status.STUCK
    waiting = runtime.send_nowait("next", timeout=TIMEOUT)
    release.set()
    assert waiting.result(TIMEOUT).state == 1
    assert runtime.fates().timed_out == 1


def test_a_thread_that_ends_within_the_grace_is_a_plain_timeout(manager):
    runtime = manager.create("a", 0, lambda activity, state: gone.wait(0.1), blocking=True, timeout=0.02, grace=TIMEOUT)
    gone = threading.Event()
    with pytest.raises(TimeoutError):
        runtime.send_nowait(1).result(TIMEOUT)
    assert "stuck" not in [record.kind for record in manager.ring.since(0)[0]]


@pytest.mark.parametrize("end", ["timeout", "terminate"])
def test_what_ended_before_a_thread_was_free_is_not_begun_later(manager, end):
    release, ran = threading.Event(), []
    threads = manager.workers.threads()
    busy = [threads.submit(release.wait, TIMEOUT) for _ in range(THREADS)]
    runtime = manager.create("a", 0, lambda activity, state: ran.append(1), blocking=True, timeout=0.05)
    receipt = runtime.send_nowait(1, timeout=0.05 if end == "timeout" else TIMEOUT)
    if end == "terminate":
        wait_until(lambda: runtime.status is Status.PROCESSING)
        manager.run(runtime.terminate())
    with pytest.raises(AgentError):
        receipt.result(TIMEOUT)
    wait_until(lambda: runtime.status is not Status.PROCESSING)
    assert runtime.status is not Status.STUCK
    release.set()
    for each in busy:
        each.result(TIMEOUT)
    threads.submit(int).result(TIMEOUT)
    assert ran == []


@virtual
async def test_on_a_virtual_loop_threads_are_waited_for(manager):
    runtime = manager.create("a", 0, lambda activity, state: state + sum(range(100_000)), blocking=True, timeout=60)
    assert await runtime.ask(1) == sum(range(100_000))
    assert manager.clock.now() == 0


def test_terminating_while_a_thread_works_waits_for_it_no_longer_than_the_grace(manager):
    release, started = threading.Event(), threading.Event()

    def work(activity, state):
        started.set()
        release.wait(TIMEOUT)
        return state + 1

    runtime = manager.create("a", 0, work, blocking=True, grace=0.02)
    receipt = runtime.send_nowait(1)
    assert started.wait(TIMEOUT)
    manager.run(runtime.terminate())
    assert receipt.outcome.fate is Fate.TERMINATED
    release.set()
    assert (runtime.state, runtime.fates().done) == (0, 0)


def test_no_thread_is_made_for_others(manager):
    before = set(threading.enumerate())  # one that another test has let go may be about to end
    manager.create("a", 0, add).send_nowait(1).result(TIMEOUT)
    assert not [thread for thread in set(threading.enumerate()) - before if "blocking" in thread.name]


def test_a_blocking_workflow_may_make_a_loop_of_its_own(manager):
    runtime = manager.create("a", 0, lambda activity, state: asyncio.run(asyncio.sleep(0, 7)), blocking=True)
    assert runtime.send_nowait(1).result(TIMEOUT).state == 7
