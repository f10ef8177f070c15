"""The semantics table of the design, row by row: every test bears the name of its row."""

import asyncio
import contextvars
import itertools
import threading
from collections import Counter

import pytest

from agentrt import (
    ActivityTimeoutError,
    Backoff,
    DeadlockError,
    Fate,
    Lane,
    MailboxFullError,
    Outcome,
    ProcessingError,
    RuntimeFailedError,
    RuntimeManager,
    RuntimeTerminatedError,
    Status,
    Supervision,
)
from tests.support import Gate, add, collect, fail, forever, turns, virtual

TIMEOUT = 60


# --- order


@virtual
async def test_order_is_first_in_first_out_per_lane(manager):
    runtime = manager.create("a", (), collect)
    runtime.pause()
    for n in range(20):
        runtime.send_nowait(n, priority=n % 3 == 0)
    runtime.fairness = None
    runtime.resume()
    await runtime.ask("end")
    urgent = [n for n in range(20) if n % 3 == 0]
    assert runtime.state == (*urgent, *(n for n in range(20) if n % 3), "end")


def test_order_holds_for_each_of_eight_sending_threads():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", (), collect, standard_capacity=10_000)

        def send(sender):
            for n in range(200):
                runtime.send_nowait((sender, n))

        threads = [threading.Thread(target=send, args=[name]) for name in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = runtime.send_nowait(("z", 0)).result(TIMEOUT).state
    assert Counter(sender for sender, _ in seen) == dict.fromkeys("abcdefgh", 200) | {"z": 1}
    for name in "abcdefgh":
        assert [n for sender, n in seen if sender == name] == list(range(200))


@virtual
async def test_order_is_one_activity_at_a_time_per_runtime(manager):
    inside = most = 0

    async def workflow(activity, state):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(1)
        inside -= 1
        return state + 1

    runtime = manager.create("a", 0, workflow)
    await asyncio.gather(*(runtime.ask(n, priority=n % 2 == 0) for n in range(10)))
    assert (most, runtime.state) == (1, 10)


@virtual
async def test_order_leaves_runtimes_independent(manager):
    slow = manager.create("slow", None, Gate())
    quick = manager.create("quick", 0, add)
    receipt = slow.send_nowait(1)
    assert await quick.ask(1) == 1
    assert receipt.outcome is None


# --- starvation


@virtual
async def test_starvation_is_kept_off_by_one_standard_after_eight_priority(manager):
    runtime = manager.create("a", (), collect)
    runtime.pause()
    for _ in range(3):
        runtime.send_nowait("standard")
    for _ in range(20):
        runtime.send_nowait("priority", priority=True)
    runtime.resume()
    state = await runtime.ask("end")
    assert [i for i, lane in enumerate(state) if lane == "standard"] == [8, 17, 22]


@virtual
async def test_starvation_is_allowed_by_strict_priority(manager):
    runtime = manager.create("a", (), collect, fairness=None)
    runtime.pause()
    runtime.send_nowait("standard")
    for _ in range(50):
        runtime.send_nowait("priority", priority=True)
    runtime.resume()
    assert (await runtime.ask("end"))[-2:] == ("standard", "end")


# --- full lane


@virtual
async def test_full_lane_of_standard_never_blocks_priority(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1, priority_capacity=1)
    runtime.pause()
    runtime.send_nowait(1)
    with pytest.raises(MailboxFullError, match="standard lane of 'a' is full"):
        runtime.send_nowait(2)
    runtime.send_nowait(3, priority=True)
    assert runtime.depth == (1, 1)


@virtual
async def test_full_lane_makes_send_wait_in_order(manager):
    runtime = manager.create("a", (), collect, standard_capacity=2)
    runtime.pause()
    sends = [asyncio.create_task(runtime.send(n)) for n in range(6)]
    await turns()
    assert [task.done() for task in sends] == [True, True, False, False, False, False]
    with pytest.raises(MailboxFullError):
        runtime.send_nowait("overtaking")
    runtime.step()
    await turns()
    assert [task.done() for task in sends] == [True, True, True, False, False, False]
    assert runtime.depth == (0, 2)
    runtime.resume()
    for task in sends:
        await (await task)
    assert runtime.state == (0, 1, 2, 3, 4, 5)


@virtual
async def test_full_lane_is_waited_for_no_longer_than_said(manager):
    runtime = manager.create("a", 0, add, standard_capacity=1)
    runtime.pause()
    runtime.send_nowait(1)
    started = manager.clock.now()
    with pytest.raises(MailboxFullError, match="stayed full for 5 s"):
        await runtime.send(2, wait=5)
    assert manager.clock.now() - started == 5
    with pytest.raises(MailboxFullError):
        await runtime.send(2, wait=0)
    runtime.resume()
    assert await runtime.ask(4) == 5
    assert runtime.fates().accepted == 2


@virtual
async def test_full_lane_drops_the_oldest_when_told_to(manager):
    runtime = manager.create("a", (), collect, standard_capacity=2, overflow="drop_oldest")
    runtime.pause()
    receipts = [runtime.send_nowait(n) for n in range(4)]
    assert [r.outcome and r.outcome.fate for r in receipts] == [Fate.DROPPED, Fate.DROPPED, None, None]
    with pytest.raises(MailboxFullError, match="was dropped"):
        await receipts[0]
    runtime.resume()
    await receipts[3]
    assert runtime.state == (2, 3)
    assert runtime.fates().dropped == 2


@virtual
async def test_full_lane_drops_the_newest_when_told_to(manager):
    runtime = manager.create("a", (), collect, standard_capacity=2, overflow="drop_newest")
    runtime.pause()
    receipts = [runtime.send_nowait(n) for n in range(4)]
    assert [r.outcome and r.outcome.fate for r in receipts] == [None, None, Fate.DROPPED, Fate.DROPPED]
    runtime.resume()
    await receipts[1]
    assert runtime.state == (0, 1)
    assert runtime.fates().dropped == 2


# --- workflow raises


@virtual
async def test_workflow_raises_and_the_runtime_goes_on(manager):
    async def divide(activity, state):
        return state + 10 // activity.payload

    runtime = manager.create("a", 1, divide)
    with pytest.raises(ProcessingError, match="ZeroDivisionError") as caught:
        await runtime.ask(0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert (caught.value.runtime, caught.value.activity) == ("a", runtime.error.activity)
    assert (runtime.state, runtime.status, runtime.failed) == (1, Status.ERROR, 1)
    assert isinstance(runtime.error, ProcessingError)
    assert await runtime.ask(5) == 3
    assert (runtime.status, runtime.failed, runtime.processed) == (Status.IDLE, 1, 2)


# --- retries


@virtual
async def test_retries_follow_their_backoff(manager):
    times = []

    async def third_time(activity, state):
        times.append(manager.clock.now())
        if len(times) < 3:
            raise OSError("not yet")
        return state + 1

    runtime = manager.create("a", 0, third_time, retries=2, backoff=Backoff(first=10, factor=3, jitter=0))
    outcome = await runtime.send_nowait(1)
    assert (outcome.state, outcome.attempts) == (1, 3)
    assert [b - a for a, b in itertools.pairwise(times)] == [10, 30]
    assert runtime.fates().done == 1
    assert runtime.failed == 0


@virtual
async def test_retries_come_to_an_end(manager):
    runtime = manager.create("a", 0, fail, retries=2, backoff=1)
    receipt = runtime.send_nowait(1)
    with pytest.raises(ProcessingError, match="no 1"):
        await receipt
    assert receipt.outcome.attempts == 3
    assert runtime.fates().failed == 1


@virtual
async def test_retries_are_none_by_default(manager):
    receipt = manager.create("a", 0, fail).send_nowait(1)
    with pytest.raises(ProcessingError):
        await receipt
    assert receipt.outcome.attempts == 1


# --- restart limit


async def failing(runtime, times=1):
    for _ in range(times):
        with pytest.raises(ProcessingError):
            await runtime.ask("bad")


async def sensitive(activity, state):
    if activity.payload == "bad":
        raise ValueError("bad")
    return state + activity.payload


@virtual
async def test_restart_limit_continue_only_counts(manager):
    runtime = manager.create("a", 1, sensitive)
    await runtime.ask(1)
    await failing(runtime, 20)
    assert (runtime.state, runtime.status) == (2, Status.ERROR)


@virtual
async def test_restart_limit_restart_takes_the_initial_state(manager):
    runtime = manager.create("a", 1, sensitive, supervision=Supervision("restart", intensity=3, period=60))
    await runtime.ask(1)
    await failing(runtime, 2)
    assert runtime.state == 2
    await failing(runtime)
    assert runtime.state == 1
    assert await runtime.ask(5) == 6


@virtual
async def test_restart_limit_stop_keeps_the_mailbox(manager):
    runtime = manager.create("a", 1, sensitive, supervision=Supervision("stop", intensity=2, period=60))
    runtime.pause()
    receipts = [runtime.send_nowait(payload) for payload in ("bad", "bad", 5)]
    runtime.resume()
    for receipt in receipts[:2]:
        with pytest.raises(ProcessingError):
            await receipt
    await turns()
    assert (runtime.status, runtime.depth, receipts[2].outcome) == (Status.FAILED, (0, 1), None)
    with pytest.raises(RuntimeFailedError, match="recover"):
        runtime.send_nowait(1)
    runtime.recover()
    assert (await receipts[2]).state == 6
    assert runtime.status is Status.IDLE


@virtual
async def test_restart_limit_counts_within_its_period(manager):
    runtime = manager.create("a", 1, sensitive, supervision=Supervision("stop", intensity=2, period=60))
    await failing(runtime)
    await asyncio.sleep(61)
    await failing(runtime)
    assert runtime.status is Status.ERROR
    await failing(runtime)
    assert runtime.status is Status.FAILED


@virtual
async def test_restart_limit_escalate_without_a_group_is_stop(manager):
    runtime = manager.create("a", 1, sensitive, supervision=Supervision("escalate", intensity=1))
    await failing(runtime)
    assert runtime.status is Status.FAILED


# --- timeout


@virtual
async def test_timeout_cancels_and_leaves_the_state(manager):
    ended = []

    async def slow(activity, state):
        try:
            await asyncio.sleep(activity.payload)
        except asyncio.CancelledError:
            ended.append(manager.clock.now())
            raise
        return state + 1

    runtime = manager.create("a", 0, slow, timeout=10)
    receipts = [runtime.send_nowait(100), runtime.send_nowait(5), runtime.send_nowait(100, timeout=200)]
    with pytest.raises(ActivityTimeoutError, match="took longer than 10"):
        await receipts[0]
    assert (ended, receipts[0].outcome.service) == ([10], 10)
    assert (await receipts[1]).state == 1
    assert (await receipts[2]).state == 2
    assert (runtime.fates().timed_out, runtime.failed) == (1, 1)


@virtual
async def test_timeout_fences_a_late_result(manager):
    async def deaf(activity, state):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return state + 1000
        return state

    runtime = manager.create("a", 0, deaf, timeout=10)
    receipt = runtime.send_nowait(1)
    with pytest.raises(ActivityTimeoutError):
        await receipt
    assert (runtime.state, runtime.fates().timed_out, runtime.fates().done) == (0, 1, 0)


@virtual
async def test_timeout_of_one_that_ignores_it_is_stuck_and_nothing_runs_beside_it(manager):
    release = asyncio.Event()

    async def deaf(activity, state):
        if activity.payload == "quick":
            return state + 1
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return state + 1000

    runtime = manager.create("a", 0, deaf, timeout=10, grace=2)
    stuck, waiting = runtime.send_nowait("deaf"), runtime.send_nowait("quick")
    with pytest.raises(ActivityTimeoutError):
        await stuck
    assert manager.clock.now() == 12
    assert (runtime.status, runtime.fates().timed_out) == (Status.STUCK, 1)
    await asyncio.sleep(1000)
    assert (runtime.status, waiting.outcome) == (Status.STUCK, None)
    release.set()
    assert (await waiting).state == 1
    assert (runtime.status, runtime.fates().done, runtime.fates().timed_out) == (Status.IDLE, 1, 1)


@virtual
async def test_timeout_of_one_that_never_suspends_is_found_afterwards(manager):
    async def busy(activity, state):
        asyncio.get_running_loop()._now += activity.payload
        return state + 1

    runtime = manager.create("a", 0, busy, timeout=10)
    with pytest.raises(ActivityTimeoutError):
        await runtime.ask(11)
    assert await runtime.ask(9) == 1


# --- terminate


@virtual
async def test_terminate_resolves_what_is_open(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    running, waiting, delayed = runtime.send_nowait(1), runtime.send_nowait(2), runtime.send_nowait(3, delay=60)
    await gate.entered.wait()
    await runtime.terminate()
    for receipt in (running, waiting, delayed):
        with pytest.raises(RuntimeTerminatedError):
            await receipt
    fates = runtime.fates()
    assert (fates.terminated, fates.dead, fates.pending) == (1, 2, 0)
    assert [letter.activity.payload for letter in manager.dead_letters] == [2, 3]
    assert runtime.status is Status.TERMINATED
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait(4)
    assert "a" not in manager


@virtual
async def test_terminate_with_drain_does_what_waits_first(manager):
    runtime = manager.create("a", (), collect)
    receipts = [runtime.send_nowait(n) for n in range(100)]
    ending = runtime.terminate(drain=True)
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait("late")
    await ending
    assert [receipt.outcome.fate for receipt in receipts] == [Fate.DONE] * 100
    assert runtime.fates().done == 100
    assert runtime.state == tuple(range(100))


@virtual
async def test_terminate_with_drain_wakes_a_paused_runtime(manager):
    runtime = manager.create("a", (), collect)
    runtime.pause()
    receipt = runtime.send_nowait(1)
    await turns()
    await runtime.terminate(drain=True)
    assert receipt.outcome.ok


@virtual
async def test_terminate_while_paused(manager):
    runtime = manager.create("a", (), collect)
    runtime.pause()
    receipt = runtime.send_nowait(1)
    await turns()
    await runtime.terminate()
    assert receipt.outcome.fate is Fate.DEAD


@virtual
async def test_terminate_of_an_idle_runtime_drained_or_not(manager):
    for drain in (True, False):
        runtime = manager.create("a", 0, add)
        assert await runtime.ask(1) == 1
        assert await runtime.terminate(drain)
        assert runtime.status is Status.TERMINATED


@virtual
async def test_terminate_while_stuck(manager):
    release = asyncio.Event()

    async def deaf(activity, state):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return state

    runtime = manager.create("a", 0, deaf, timeout=1)
    stuck, waiting = runtime.send_nowait(1), runtime.send_nowait(2)
    with pytest.raises(ActivityTimeoutError):
        await stuck
    await runtime.terminate()
    assert waiting.outcome.fate is Fate.DEAD
    fates = runtime.fates()
    assert (fates.timed_out, fates.dead, fates.terminated) == (1, 1, 0)
    release.set()


@virtual
async def test_terminate_from_inside_of_its_own_workflow(manager):
    async def end(activity, state):
        await runtime.terminate()
        return state + 1

    runtime = manager.create("a", 0, end)
    receipt, waiting = runtime.send_nowait(1), runtime.send_nowait(2)
    with pytest.raises(RuntimeTerminatedError):
        await receipt
    await turns()
    assert (receipt.outcome.fate, waiting.outcome.fate, runtime.state) == (Fate.TERMINATED, Fate.DEAD, 0)


@virtual
async def test_terminate_from_inside_of_a_workflow_that_never_suspends(manager):
    def end(activity, state):
        runtime.terminate()
        return state + 1

    runtime = manager.create("a", 0, end)
    receipt = runtime.send_nowait(1)
    with pytest.raises(RuntimeTerminatedError):
        await receipt
    await turns()
    fates = runtime.fates()
    assert (runtime.state, fates.terminated, fates.done, fates.pending) == (0, 1, 0, 0)


@virtual
async def test_terminate_ends_every_wait_for_room(manager):
    runtime = manager.create("a", 0, add, standard_capacity=1)
    runtime.pause()
    runtime.send_nowait(1)
    waiting = asyncio.create_task(runtime.send(2))
    await turns()
    await runtime.terminate()
    with pytest.raises(RuntimeTerminatedError):
        await waiting


@virtual
async def test_terminate_during_a_retry(manager):
    runtime = manager.create("a", 0, fail, retries=9, backoff=100)
    receipt = runtime.send_nowait(1)
    await turns()
    await runtime.terminate()
    assert receipt.outcome.fate is Fate.TERMINATED
    assert runtime.fates().pending == 0


# --- ask to self, or a cycle of asks


@virtual
async def test_ask_to_self_is_a_deadlock_error_at_once(manager):
    async def ask_self(activity, state, ctx):
        return await ctx.ask("a", 1)

    runtime = manager.create("a", 0, ask_self)
    with pytest.raises(ProcessingError) as caught:
        await runtime.ask(0)
    assert isinstance(caught.value.__cause__, DeadlockError)
    assert caught.value.__cause__.chain == ("a", "a")
    await runtime.terminate()


@virtual
async def test_a_cycle_of_asks_is_a_deadlock_error_at_once(manager):
    def asks(other):
        async def workflow(activity, state, ctx):
            return await ctx.ask(other, activity.payload)

        return workflow

    for name, other in ("ab", "bc", "ca"):
        manager.create(name, 0, asks(other))
    error = None
    try:
        await manager.ask("a", 1)
    except ProcessingError as caught:
        error = caught
    while isinstance(error, ProcessingError):
        error = error.__cause__
    assert isinstance(error, DeadlockError)
    assert error.chain == ("c", "a", "b", "c")
    assert "c -> a -> b -> c" in str(error)
    assert manager.clock.now() == 0
    await manager.terminate("a")


@virtual
async def test_asks_without_a_cycle_are_no_deadlock(manager):
    async def twice(activity, state, ctx):
        return sum(await asyncio.gather(ctx.ask("b", 1), ctx.ask("b", 2), ctx.ask("c", 3)))

    async def through_b(activity, state, ctx):
        return await ctx.ask("b", activity.payload)

    manager.create("b", 0, add)
    manager.create("c", 0, through_b)
    assert await manager.create("a", 0, twice).ask(0) == 1 + 3 + 6


@virtual
async def test_a_full_lane_in_a_circle_of_sends_is_a_deadlock_error(manager):
    async def flood_itself(activity, state, ctx):
        for n in range(3):
            await ctx.send("a", n)
        return state

    runtime = manager.create("a", 0, flood_itself, standard_capacity=2)
    with pytest.raises(ProcessingError) as caught:
        await runtime.ask(0)
    assert isinstance(caught.value.__cause__, DeadlockError)
    await runtime.terminate()


# --- BaseException


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, BaseException])
@virtual
async def test_base_exception_is_turned_into_a_processing_error(manager, kind):
    async def interrupted(activity, state):
        await asyncio.sleep(0)
        raise kind("stop")

    def at_once(activity, state):
        raise kind("stop")

    for name, workflow in {"a": interrupted, "b": at_once}.items():
        with pytest.raises(ProcessingError) as caught:
            await manager.create(name, 0, workflow).ask(1)
        assert type(caught.value.__cause__) is kind


@virtual
async def test_cancelled_error_raised_by_the_workflow_is_its_failure(manager):
    async def cancelled(activity, state):
        if activity.payload == "raise":
            raise asyncio.CancelledError
        task = asyncio.create_task(asyncio.sleep(60))
        asyncio.get_running_loop().call_later(1, task.cancel)
        await task

    runtime = manager.create("a", 0, cancelled)
    for payload in ("raise", "await"):
        with pytest.raises(ProcessingError) as caught:
            await runtime.ask(payload)
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert runtime.status is Status.ERROR


def test_cancelled_error_of_a_shutdown_ends_the_runtime():
    async def main():
        manager = RuntimeManager(loop="current")
        gate = Gate()
        runtime = manager.create("a", (), gate)
        receipts = [runtime.send_nowait(1), runtime.send_nowait(2)]
        await gate.entered.wait()
        return manager, runtime, receipts

    manager, runtime, receipts = asyncio.run(main())
    assert [receipt.outcome.fate for receipt in receipts] == [Fate.TERMINATED, Fate.DEAD]
    assert runtime.status is Status.TERMINATED
    assert manager.fates().adds_up
    manager.close()


# --- context

LEFT = contextvars.ContextVar("left", default="nothing")


@virtual
async def test_context_never_leaks_from_one_activity_to_the_next(manager):
    async def leave(activity, state):
        found = LEFT.get()
        LEFT.set(f"left by {activity.payload}")
        if activity.payload % 2:
            await asyncio.sleep(1)
        return (*state, found)

    runtime = manager.create("a", (), leave)
    receipts = [runtime.send_nowait(n) for n in range(10)]
    await receipts[-1]
    assert await runtime.ask(10) == ("nothing",) * 11


@virtual
async def test_context_of_the_sender_stays_with_the_sender(manager):
    async def look(activity, state):
        return LEFT.get()

    LEFT.set("the sender's")
    runtime = manager.create("a", "", look)
    assert await runtime.ask(1) == "nothing"
    runtime.pause()
    receipts = [runtime.send_nowait(1), runtime.send_nowait(2)]
    runtime.resume()
    assert {(await receipt).state for receipt in receipts} == {"nothing"}


@virtual
async def test_context_left_by_a_failure_is_gone_as_well(manager):
    async def leave(activity, state):
        found = LEFT.get()
        LEFT.set("left")
        if activity.payload == "fail":
            raise ValueError
        return found

    runtime = manager.create("a", "", leave)
    receipts = [runtime.send_nowait("fail"), runtime.send_nowait("look")]
    assert (await receipts[1]).state == "nothing"
    with pytest.raises(ProcessingError):
        await receipts[0]


# --- blocking workflow


def test_blocking_workflow_runs_in_a_thread_beside_the_loop():
    release = threading.Event()

    def block(activity, state):
        assert release.wait(TIMEOUT)
        return threading.current_thread().name

    with RuntimeManager(loop="thread", name="m") as manager:
        blocked = manager.create("blocked", "", block, blocking=True)
        receipt = blocked.send_nowait(1)
        assert manager.create("free", 0, add).send_nowait(1).result(TIMEOUT).state == 1
        assert blocked.status is Status.PROCESSING
        release.set()
        assert receipt.result(TIMEOUT).state.startswith("m-blocking")


@virtual
async def test_blocking_workflow_that_is_late_is_timed_out_and_stuck_until_its_thread_is_done(manager):
    release = threading.Event()

    def block(activity, state):
        if activity.payload == "block":
            assert release.wait(TIMEOUT)
        return state + 1

    runtime = manager.create("a", 0, block, blocking=True, timeout=0.1, grace=0.1)
    receipt, waiting = runtime.send_nowait("block"), runtime.send_nowait("quick")
    with pytest.raises(ActivityTimeoutError):
        await receipt
    assert runtime.status is Status.STUCK
    assert waiting.outcome is None
    release.set()
    assert (await waiting).state == 1
    assert runtime.fates().timed_out == 1


# --- observers


@virtual
async def test_observers_that_raise_are_removed_and_break_nothing(manager):
    def broken(frame):
        raise RuntimeError("a view that fails")

    manager.hub.attach(broken, schedule=lambda draw: draw())
    hub = [thread for thread in threading.enumerate() if thread.name == "agentrt-hub"]
    for thread in hub:  # it ends once nobody is attached
        thread.join(TIMEOUT)
    assert await manager.create("a", 0, add).ask(1) == 1
    assert not manager.hub.running


# --- no silent loss


@virtual
async def test_no_silent_loss_every_activity_has_exactly_one_fate(manager):
    async def moody(activity, state):
        what = activity.payload
        if what == "fail":
            raise ValueError
        if what == "hang":
            await asyncio.Event().wait()
        if what == "rest":
            await asyncio.sleep(1)
        return state + 1

    runtime = manager.create("a", 0, moody, timeout=5, standard_capacity=6, overflow="drop_oldest")
    moods = ["ok", "fail", "hang", "rest"]
    receipts = []
    for n in range(200):
        receipts.append(runtime.send_nowait(moods[n * 7 % 4], priority=n % 5 == 0, delay=n % 3 or None))
        await asyncio.sleep(0.5)
        fates = runtime.fates()
        assert fates.adds_up
        assert fates.accepted == n + 1
        assert fates.decided == sum(r.outcome is not None for r in receipts)
        assert fates.pending == sum(runtime.depth) + (runtime.snapshot().current is not None)
    await runtime.terminate()
    by_fate = Counter(receipt.outcome.fate.value for receipt in receipts)
    fates = runtime.fates()
    assert {name: getattr(fates, name) for name in by_fate} == by_fate
    assert fates.decided == 200
    assert set(by_fate) >= {"done", "failed", "timed_out", "dropped", "dead"}
    records = manager.ring.since(0)[0]
    assert Counter(r.id for r in records if isinstance(r, Outcome)) == {r.id: 1 for r in receipts}
    assert Lane.PRIORITY in {r.lane for r in records if r.kind == "done"}


@virtual
async def test_no_silent_loss_when_forever_busy_runtimes_are_closed(manager):
    runtimes = [manager.create(f"r{n}", 0, forever) for n in range(10)]
    receipts = [runtime.send_nowait(n) for runtime in runtimes for n in range(5)]
    await turns()
    await manager.aclose()
    assert Counter(r.outcome.fate for r in receipts) == {Fate.TERMINATED: 10, Fate.DEAD: 40}
    assert manager.fates().pending == 0
