"""entry.py: the way of an activity, at speed, from any thread, with every turn of the loop shared."""

import asyncio
import gc
import itertools
import sys
import threading
from array import array

import pytest

from agentrt import ProcessingError, RuntimeManager, Status, stored_runtimes
from agentrt.engine.core import core_name
from agentrt.engine.entry import SLICE, RuntimeEntry
from agentrt.engine.handoff import COMPILED_SLICE, MOST_ASLEEP
from agentrt.events import Outcome
from agentrt.metrics import Distribution
from tests.support import Gate, add, collect, turns, virtual

TIMEOUT = 60


@virtual
async def test_plain_and_async_workflows_commit_what_they_return(manager):
    assert await manager.create("plain", 1, lambda activity, state: state + activity.payload).ask(2) == 3
    assert await manager.create("async", 1, add).ask(2) == 3


@virtual
async def test_every_payload_passes_unless_types_are_given(manager):
    runtime = manager.create("a", (), collect, copy_state=False)
    payloads = [None, 0, "", [1], {"a": 1}, object(), ValueError("x"), asyncio.Event()]
    for payload in payloads:
        await runtime.ask(payload)
    assert list(runtime.state) == payloads


@virtual
async def test_the_times_are_those_of_the_outcomes(manager):
    async def take(activity, state, ctx):
        if activity.payload:
            await ctx.sleep(activity.payload)
        return state + 1

    runtime = manager.create("a", 0, take, standard_capacity=2_000)
    for _ in range(2):  # more than are added up at once, with long and short ones
        for n in range(1_200):
            runtime.send_nowait((n % 37) ** 3 / 1_000)
        await runtime.ask(0)
    records = manager.ring.since(0)[0]
    done = [each for each in records if isinstance(each, Outcome)]
    assert len(done) == 2_402
    found = runtime.entry.times[1].distributions()
    for times, name in zip(found, ("wait", "service"), strict=True):
        expected = Distribution().plus(array("d", [getattr(each, name) for each in done]))
        assert (times.counts, times.top) == (expected.counts, expected.top)
        assert times.total == pytest.approx(expected.total)


@virtual
async def test_the_loop_gets_its_turn_between_slices(manager):
    runtime = manager.create("a", 0, add, standard_capacity=10_000)
    receipts = [runtime.send_nowait(1) for _ in range(10 * SLICE)]
    seen = []
    while receipts[-1].outcome is None:
        seen.append(runtime.state)
        await asyncio.sleep(0)
    assert len(seen) >= 10
    assert max(b - a for a, b in itertools.pairwise(seen)) <= SLICE


def test_the_loop_gets_its_turn_in_real_time_too():
    async def watch():
        async with RuntimeManager() as manager:
            runtime = manager.create("a", 0, add, standard_capacity=10_000)
            receipts = [runtime.send_nowait(1) for _ in range(10 * COMPILED_SLICE)]
            seen = []
            while receipts[-1].outcome is None:
                seen.append(runtime.state)
                await asyncio.sleep(0)
            return seen

    seen = asyncio.run(watch())
    most = SLICE if core_name() == "pure" else COMPILED_SLICE
    assert max(b - a for a, b in itertools.pairwise(seen)) <= most


@virtual
async def test_an_urgent_activity_overtakes_a_long_queue_within_a_slice(manager):
    runtime = manager.create("a", 0, add, standard_capacity=10_000)
    for _ in range(5_000):
        runtime.send_nowait(1)
    await asyncio.sleep(0)
    outcome = await runtime.send_nowait(1, priority=True)
    assert outcome.state < 3 * SLICE


@virtual
async def test_idle_runtimes_have_no_task_but_the_last_few(manager):
    fleet = [manager.create(f"a{n}", 0, add) for n in range(MOST_ASLEEP + 50)]
    assert all(runtime.entry.task is None for runtime in fleet)
    for receipt in [runtime.send_nowait(1) for runtime in fleet]:
        await receipt
    await turns()
    assert [runtime.entry.task is not None for runtime in fleet] == [False] * 50 + [True] * MOST_ASLEEP
    assert not manager.busy
    assert len(asyncio.all_tasks()) == MOST_ASLEEP + 1
    assert [await runtime.ask(1) for runtime in fleet] == [2] * len(fleet)


@virtual
async def test_a_paused_runtime_has_no_task_either(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    runtime.send_nowait(1)
    await turns()
    assert runtime.entry.task is None
    runtime.resume()
    assert await runtime.ask(1) == 2


@virtual
async def test_a_send_from_inside_of_the_own_workflow_is_done_next(manager):
    async def count_down(activity, state, ctx):
        if activity.payload:
            manager["a"].send_nowait(activity.payload - 1)
        return (*state, activity.payload)

    runtime = manager.create("a", (), count_down)
    runtime.send_nowait(3)
    await turns(50)
    assert runtime.state == (3, 2, 1, 0)


@virtual
async def test_all_state_is_committed_before_anyone_who_waits_goes_on(manager):
    runtime = manager.create("a", 0, add)
    for n in range(1, 50):
        outcome = await runtime.send_nowait(1)
        assert (runtime.state, runtime.processed, runtime.fates().pending) == (n, n, 0)
        assert any(each is outcome for each in manager.ring.since(0)[0][-5:])


@virtual
async def test_a_failure_is_fully_told_before_anyone_who_waits_goes_on(manager):
    async def broken(activity, state):
        raise ValueError

    runtime = manager.create("a", 0, broken)
    with pytest.raises(ProcessingError):
        await runtime.ask(1)
    assert (runtime.failed, runtime.status, runtime.error.runtime) == (1, Status.ERROR, "a")


@virtual
async def test_runtimes_share_the_loop_fairly(manager):
    busy = manager.create("busy", 0, add, standard_capacity=100_000)
    for _ in range(20_000):
        busy.send_nowait(1)
    quiet = manager.create("quiet", 0, add)
    for _ in range(10):
        await quiet.ask(1)
    assert busy.processed < 20_000


@virtual
async def test_a_failed_asker_leaves_no_trace(manager):
    gate = Gate()
    runtime = manager.create("a", None, gate)
    asking = asyncio.create_task(runtime.ask(1))
    await gate.entered.wait()
    asking.cancel()
    gate.open.set()
    assert await runtime.ask(2) == 2


@pytest.mark.slow
def test_a_million_would_not_pile_up():
    """What is done is let go of: neither receipts nor activities nor tasks stay."""
    with RuntimeManager(loop="thread", ring=1_000) as manager:
        runtime = manager.create("a", 0, add, standard_capacity=100_000)

        def burst():
            for _ in range(5_000):
                runtime.send_nowait(1)
            runtime.send_nowait(0).result(TIMEOUT)
            gc.collect()
            return sys.getallocatedblocks()

        burst()
        first = burst()
        assert burst() - first < 10_000  # the ring and the histograms breathe; 5,000 kept activities would be more


def test_sends_wake_a_sleeping_loop_every_time():
    with RuntimeManager(loop="thread") as manager:
        runtimes = [manager.create(f"r{n}", 0, add) for n in range(20)]
        for n in range(50):
            receipts = [runtime.send_nowait(1) for runtime in runtimes]
            assert {receipt.result(TIMEOUT).state for receipt in receipts} == {n + 1}


def test_a_drop_policy_under_fire_from_many_threads_loses_no_count():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add, standard_capacity=2, overflow="drop_oldest")
        receipts = [[] for _ in range(6)]

        def send(mine):
            for _ in range(500):
                mine.append(runtime.send_nowait(1))

        threads = [threading.Thread(target=send, args=[mine]) for mine in receipts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        manager.run(runtime.terminate(drain=True))
        fates = runtime.fates()
        outcomes = [receipt.outcome for mine in receipts for receipt in mine]
        assert (fates.accepted, fates.pending) == (3_000, 0)
        assert fates.done == sum(outcome.ok for outcome in outcomes) == runtime.state
        assert fates.dropped == 3_000 - fates.done


@virtual
async def test_an_ask_sends_and_runs_as_the_class_of_its_entry_does(manager, monkeypatch):
    calls = []

    class Watched(RuntimeEntry):
        __slots__ = ()

        def send_nowait(self, *args, **options):
            calls.append("send")
            return super().send_nowait(*args, **options)

        def run_inline(self, promise):
            calls.append("run")
            super().run_inline(promise)

    plain = manager.create("plain", 0, add)
    monkeypatch.setattr(stored_runtimes, "RuntimeEntry", Watched)
    watched = manager.create("watched", 0, add)
    for state in (1, 2):  # from the second on the type of the payload is known
        assert (await plain.ask(1), await watched.ask(1)) == (state, state)
    assert calls == ["send", "run"] * 2
