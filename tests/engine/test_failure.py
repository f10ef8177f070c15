"""failure.py: retries, deadlines, late results, and what supervision decides."""

import asyncio
import threading
import warnings

import pytest

from agentrt import (
    ActivityTimeoutError,
    Backoff,
    Fate,
    ProcessingError,
    RuntimeFailedError,
    Status,
    Supervision,
)
from tests.support import Gate, fail, turns, virtual

SOON = Backoff(first=1, jitter=0)


class Script:
    """A workflow that does in turn what its script says; the last word stays."""

    def __init__(self, *script):
        self.script = list(script)
        self.attempts = 0

    async def __call__(self, activity, state, ctx):
        word = self.script[min(self.attempts, len(self.script) - 1)]
        self.attempts += 1
        ctx.reply(f"attempt {self.attempts}")
        if isinstance(word, BaseException):
            raise word
        await ctx.sleep(word)
        return state + 1


def kinds(manager, *wanted):
    return [record.kind for record in manager.ring.since(0)[0] if record.kind in wanted]


# --- retries


@virtual
async def test_a_retry_after_a_timeout_has_the_whole_time_again(manager):
    script = Script(100, 100, 9)
    runtime = manager.create("a", 0, script, timeout=10, retries=2, backoff=SOON)
    outcome = await runtime.send_nowait(1)
    assert (outcome.fate, outcome.attempts, outcome.reply) == (Fate.DONE, 3, "attempt 3")
    assert outcome.service == 10 + 1 + 10 + 2 + 9
    assert runtime.fates().timed_out == 0
    assert runtime.status is Status.IDLE


@virtual
async def test_the_last_attempt_decides_the_fate(manager):
    runtime = manager.create("a", 0, Script(ValueError("first"), 100), timeout=10, retries=1, backoff=SOON)
    receipt = runtime.send_nowait(1)
    with pytest.raises(ActivityTimeoutError):
        await receipt
    assert receipt.outcome.fate is Fate.TIMED_OUT
    runtime.swap(Script(100, ValueError("last")))
    receipt = runtime.send_nowait(1)
    with pytest.raises(ProcessingError, match="last"):
        await receipt
    assert receipt.outcome.fate is Fate.FAILED


@virtual
async def test_retries_are_on_the_record_and_count_as_one_activity(manager):
    runtime = manager.create("a", 0, Script(OSError(), OSError(), 0), retries=5, backoff=SOON)
    await runtime.ask(1)
    assert kinds(manager, "retry", "done", "failed") == ["retry", "retry", "done"]
    assert (runtime.fates().done, runtime.processed, runtime.failed) == (1, 1, 0)


@virtual
async def test_nothing_else_runs_while_a_retry_is_waited_for(manager):
    runtime = manager.create("a", 0, Script(OSError(), 0), retries=1, backoff=Backoff(first=100, most=100, jitter=0))
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    await asyncio.sleep(50)
    assert (runtime.status, first.outcome, second.outcome) == (Status.PROCESSING, None, None)
    await second
    assert first.outcome.finished == 100


@virtual
async def test_a_base_exception_is_retried_like_any_other(manager):
    runtime = manager.create("a", 0, Script(KeyboardInterrupt(), SystemExit(), 0), retries=2, backoff=SOON)
    assert (await runtime.send_nowait(1)).attempts == 3


@virtual
async def test_a_wrong_state_is_retried_like_any_failure(manager):
    answers = iter([None, None, 5])
    runtime = manager.create("a", 0, lambda activity, state: next(answers), retries=2, backoff=SOON)
    assert await runtime.ask(1) == 5


@virtual
async def test_the_grace_of_an_attempt_is_its_own(manager):
    """The grace of a first attempt, which ended in time, does not run out on the second."""
    attempts = []

    async def slow_to_end_twice(activity, state):
        attempts.append(manager.clock.now())
        try:
            await asyncio.sleep(100)
        finally:
            if len(attempts) == 2:
                await asyncio.sleep(0.8)

    runtime = manager.create(
        "a", 0, slow_to_end_twice, timeout=0.5, grace=1, retries=1, backoff=Backoff(first=0, jitter=0)
    )
    with pytest.raises(ActivityTimeoutError):
        await runtime.ask(1)
    assert attempts == [0, 0.5]
    assert manager.clock.now() == 1.8
    assert kinds(manager, "stuck") == []


# --- deadlines


@virtual
async def test_the_deadline_of_an_activity_goes_before_the_runtimes(manager):
    runtime = manager.create("a", 0, Script(20), timeout=10)
    assert (await runtime.send_nowait(1, timeout=30)).ok
    with pytest.raises(ActivityTimeoutError, match="longer than 5"):
        await runtime.ask(1, timeout=5)


@virtual
async def test_waiting_in_the_lane_is_not_working(manager):
    runtime = manager.create("a", 0, Script(8), timeout=10)
    receipts = [runtime.send_nowait(n) for n in range(5)]
    await receipts[-1]
    assert [receipt.outcome.fate for receipt in receipts] == [Fate.DONE] * 5


@virtual
async def test_many_deadlines_each_come_at_their_time(manager):
    runtimes = [manager.create(f"r{n}", 0, Script(1000), timeout=n) for n in (50, 10, 40, 20, 30)]
    receipts = [runtime.send_nowait(1) for runtime in runtimes]
    for receipt in receipts:
        with pytest.raises(ActivityTimeoutError):
            await receipt
    assert [receipt.outcome.finished for receipt in receipts] == [50, 10, 40, 20, 30]


@virtual
async def test_a_workflow_with_a_timeout_of_its_own_handles_it_itself(manager):
    async def patient(activity, state):
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(100)
        except TimeoutError:
            return state + 1

    runtime = manager.create("a", 0, patient, timeout=10)
    assert await runtime.ask(1) == 1


@virtual
async def test_a_clean_up_within_the_grace_is_waited_for(manager):
    cleaned = []

    async def careful(activity, state):
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.5)
            cleaned.append(manager.clock.now())

    runtime = manager.create("a", 0, careful, timeout=10, grace=1)
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    with pytest.raises(ActivityTimeoutError):
        await first
    assert cleaned == [10.5]
    assert "stuck" not in kinds(manager, "stuck")
    with pytest.raises(ActivityTimeoutError):
        await second


@virtual
async def test_an_error_raised_while_being_cancelled_is_still_a_timeout(manager):
    async def messy(activity, state):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            raise ValueError("messy") from None

    with pytest.raises(ActivityTimeoutError):
        await manager.create("a", 0, messy, timeout=10).ask(1)


@virtual
async def test_after_a_timeout_the_task_is_no_longer_cancelled(manager):
    """A later `asyncio.timeout` in the same task must not take the old cancellation for its own."""

    async def workflow(activity, state):
        if activity.payload == "hang":
            await asyncio.sleep(100)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.sleep(100)
        return asyncio.current_task().cancelling()

    runtime = manager.create("a", 0, workflow, timeout=10)
    first, second = runtime.send_nowait("hang"), runtime.send_nowait("go on")
    with pytest.raises(ActivityTimeoutError):
        await first
    assert (await second).state == 0


@virtual
async def test_stuck_and_unstuck_are_on_the_record(manager):
    gate = Gate()

    async def deaf(activity, state):
        while not gate.open.is_set():
            try:
                await gate.open.wait()
            except asyncio.CancelledError:
                continue
        raise ValueError("whatever it says now is too late")

    runtime = manager.create("a", 0, deaf, timeout=1, supervision=Supervision("stop", intensity=1))
    receipt = runtime.send_nowait(1)
    with pytest.raises(ActivityTimeoutError):
        await receipt
    error = runtime.error
    gate.open.set()
    await turns()
    assert kinds(manager, "stuck", "unstuck", "failed", "timed_out") == ["stuck", "timed_out", "failed", "unstuck"]
    assert (runtime.error, runtime.status, runtime.fates().decided) == (error, Status.FAILED, 1)


# --- what the supervisor says


@virtual
async def test_a_stopped_runtime_refuses_with_the_reason(manager):
    runtime = manager.create("a", 0, fail, supervision=Supervision("stop", intensity=1))
    with pytest.raises(ProcessingError):
        await runtime.ask("x")
    with pytest.raises(RuntimeFailedError, match="no x"):
        await runtime.send(1)


@virtual
async def test_a_stopped_runtime_can_be_terminated_and_its_mailbox_is_buried(manager):
    runtime = manager.create("a", 0, fail, supervision=Supervision("stop", intensity=1))
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    with pytest.raises(ProcessingError):
        await first
    await turns()
    assert second.outcome is None
    await runtime.terminate(drain=True)
    assert second.outcome.fate is Fate.DEAD


@virtual
async def test_recovering_forgets_the_failures(manager):
    runtime = manager.create("a", 0, fail, supervision=Supervision("stop", intensity=2))
    for _ in range(2):
        for _ in range(2):
            assert runtime.status is not Status.FAILED
            with pytest.raises(ProcessingError):
                await runtime.ask(1)
        assert runtime.status is Status.FAILED
        runtime.recover()


@virtual
async def test_those_who_wait_for_room_of_a_stopped_runtime_are_not_left_alone(manager):
    gate = Gate()

    async def then_fail(activity, state):
        await gate.open.wait()
        raise ValueError("no")

    runtime = manager.create("a", 0, then_fail, standard_capacity=1, supervision=Supervision("stop", intensity=1))
    runtime.send_nowait(1)
    await turns()
    runtime.send_nowait(2)
    waiting = asyncio.create_task(runtime.send(3))
    await turns()
    gate.open.set()
    with pytest.raises(RuntimeFailedError):
        await asyncio.wait_for(waiting, 60)


@pytest.mark.filterwarnings("ignore:the state of")
@virtual
async def test_a_restart_begins_with_what_was_given_also_if_that_was_changed_in_place(manager):
    def appends(activity, state):
        state["seen"].append(activity.payload)
        if activity.payload == "bad":
            raise ValueError
        return state

    given = {"seen": []}
    runtime = manager.create("a", given, appends, supervision=Supervision("restart", intensity=1))
    for _ in range(2):
        assert (await runtime.ask(1))["seen"] == [1]
        runtime.initial["seen"].append("from outside")
        with pytest.raises(ProcessingError):
            await runtime.ask("bad")
        assert runtime.state == runtime.initial == {"seen": []}


@pytest.mark.filterwarnings("ignore:the state of")
@virtual
async def test_a_state_that_can_not_be_copied_is_what_a_restart_goes_on_with_and_says_so(manager):
    state = {"lock": threading.Lock()}
    runtime = manager.create("a", state, fail, supervision=Supervision("restart", intensity=1))
    with pytest.warns(UserWarning, match="can't be copied"), pytest.raises(ProcessingError):
        await runtime.ask(1)
    assert runtime.entry.state is state


@pytest.mark.parametrize("policy", ["restart", "stop", "escalate", "continue"])
@pytest.mark.parametrize("in_group", [False, True])
@virtual
async def test_where_warnings_are_errors_the_receipt_is_decided_all_the_same(manager, policy, in_group):
    state = {"lock": threading.Lock()}
    supervision = Supervision(policy, intensity=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = manager.group("all", "one_for_all") if in_group else None
        runtime = manager.create("a", state, Script(ValueError(), 1), supervision=supervision, group=group)
        other = manager.create("b", state, Script(1), group=group)
        receipts = [runtime.send_nowait(n) for n in range(2)]
        warnings.simplefilter("error")
        with pytest.raises(ProcessingError):
            await receipts[0]
        stopped = policy == "stop" or (policy == "escalate" and not in_group)
        assert runtime.status == (Status.FAILED if stopped else Status.PROCESSING)
        if not stopped:
            with pytest.raises(ProcessingError):  # {...} + 1
                await receipts[1]
        assert runtime.entry.state is state
        assert other.status is Status.IDLE
        await runtime.terminate()
        assert "a" not in manager


@virtual
async def test_a_restart_keeps_the_mailbox_and_tells(manager):
    runtime = manager.create("a", 10, Script(0, ValueError(), 0), supervision=Supervision("restart", intensity=1))
    receipts = [runtime.send_nowait(n) for n in range(3)]
    assert (await receipts[0]).state == 11
    with pytest.raises(ProcessingError):
        await receipts[1]
    assert (await receipts[2]).state == 11
    assert kinds(manager, "restarted") == ["restarted"]


@virtual
async def test_a_timeout_is_a_failure_for_the_supervisor(manager):
    runtime = manager.create("a", 0, Script(100), timeout=1, supervision=Supervision("stop", intensity=2))
    for _ in range(2):
        with pytest.raises(ActivityTimeoutError):
            await runtime.ask(1)
    assert runtime.status is Status.FAILED


@pytest.mark.parametrize("how", ["fail", "stick"])
@virtual
async def test_a_runtime_that_is_stopped_while_it_drains_ends_all_the_same(manager, how):
    async def workflow(activity, state):
        if how == "fail":
            raise ValueError
        while not gate.open.is_set():
            try:
                await gate.open.wait()
            except asyncio.CancelledError:
                continue

    gate = Gate()
    runtime = manager.create("a", 0, workflow, timeout=1, supervision=Supervision("stop", intensity=1))
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    await asyncio.wait_for(runtime.terminate(drain=True), 60)
    assert first.outcome.fate is (Fate.FAILED if how == "fail" else Fate.TIMED_OUT)
    assert second.outcome.fate is Fate.DEAD
    assert runtime.fates().decided == 2
    gate.open.set()
    await turns()
    assert runtime.fates().decided == 2


@virtual
async def test_an_exception_that_can_not_say_what_it_is_is_a_failure_like_any_other(manager):
    class Mute(Exception):
        def __str__(self):
            return self.detail

    runtime = manager.create("a", 0, Script(Mute(), 0))
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    with pytest.raises(ProcessingError, match="Mute, whose message can't be read: its __str__ raises AttributeError"):
        await first
    assert (await second).state == 1
