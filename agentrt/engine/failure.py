"""When an activity fails: retries, timeouts, its fate, and what the supervisor decides.

Functions over an `EntryState`; the loop's thread only. The state stays what it was before the activity.
"""

from __future__ import annotations

import asyncio
import logging
import math
from types import TracebackType
from typing import Any

import msgspec

from ..activity import Activity, Lane
from ..context import Context
from ..errors import (
    ActivityTimeoutError,
    AgentError,
    ManagerClosedError,
    ProcessingError,
    RuntimeFailedError,
    RuntimeTerminatedError,
    describe_error,
)
from ..events import Fate, Outcome
from ..logs import log_safely
from ..receipt import DECIDED
from ..schema.immutability import copy_out_always
from ..supervision import Policy
from ..supervision import decide as decide_policy
from .completion import completely
from .entry_state import EntryState
from .state_check import check_state

__all__ = [
    "DeadlinePassed", "attempt", "commit", "decide_fate", "expire", "handle_failure", "handle_fault", "interrupt",
    "refusal", "refuse_senders", "restart", "stop",
]  # fmt: skip

Entry = EntryState[Any, Any]
CORE = f"{__package__}."
logger = logging.getLogger(__name__)


class DeadlinePassed(Exception):
    """A workflow came back after its deadline without ever having been interrupted."""


# ---- one activity that failed


async def handle_failure(entry: Entry, activity: Activity[Any], error: BaseException, started: float) -> None:
    """Retry, or give the activity its fate and ask the supervisor. The state stays what it was."""
    attempts = 1 + entry.count_attempts(activity)
    while not entry.finish_result(activity, started, attempts):
        must_absorb = entry.expired is not None and not isinstance(error, asyncio.CancelledError)
        failure = _tag_error(entry, activity, error)
        if must_absorb:
            await _absorb_cancellation(entry)
        if failure is None:
            return
        if attempts > entry.limits.retries:
            break
        attempts += 1  # first of all: whatever goes wrong from here on, the retries come to an end
        try:
            await _back_off(entry, activity, attempts - 1, failure)
            new, reply = await attempt(entry, activity)
        except BaseException as another:
            error = another
            continue
        commit(entry, activity, started, new, reply, attempts)
        return
    else:
        return
    fate = Fate.TIMED_OUT if isinstance(failure, ActivityTimeoutError) else Fate.FAILED
    _fail_activity(entry, activity, fate, failure, started, attempts)


def commit(entry: Entry, activity: Activity[Any], started: float, new: Any, reply: Any, attempts: int) -> None:
    """The success of a later attempt: all of it or nothing, whatever exception comes from outside."""

    def steps() -> None:
        entry.commit(new)
        decide_fate(entry, activity, Fate.DONE, started, attempts=attempts, reply=reply)

    completely(steps)


def _fail_activity(
    entry: Entry, activity: Activity[Any], fate: Fate, failure: AgentError, started: float | None, attempts: int = 1
) -> None:
    """Give a failed activity its fate and ask the supervisor. Whatever that raises, the receipt is decided."""
    outcome = record_fate(entry, activity, fate, started, error=failure, attempts=attempts)
    try:
        ask_supervisor(entry, failure, outcome.finished)
    finally:
        entry.decide(activity, outcome)


def _forget_request(entry: Entry) -> None:
    """What has failed pauses nothing."""
    if entry.question is not None:
        with entry.host.lock:
            entry.forget_request()


def _tag_error(entry: Entry, activity: Activity[Any], error: BaseException) -> AgentError | None:
    """The tagged error for what happened; None if its fate was decided meanwhile (a late result is fenced)."""
    task = entry.task
    if isinstance(error, GeneratorExit) and asyncio.current_task(entry.host.loop) is not task:
        raise error  # the coroutine is being thrown away, not run
    expired = entry.take_expired_timer()
    if expired is not None and task is not None:
        expired.cancel()
        task.uncancel()
    if activity.receipt.value is not None:
        if entry.unstick():
            entry.record_event("unstuck")
        return None
    if expired is not None or isinstance(error, DeadlinePassed):
        return timeout_error(entry, activity)
    if task is not None and isinstance(error, asyncio.CancelledError):
        if task.is_shut_down:
            raise error
        task.clear_cancellations()
    failure = ProcessingError(
        f"{entry.workflow.name} failed in {entry.id!r} on activity {activity.id}: {describe_error(error)}",
        runtime=entry.id,
        activity=activity.id,
    )
    error.__traceback__ = _skip_core(error.__traceback__)
    failure.__cause__ = error
    return failure


def _skip_core(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from its first frame outside of the core, where the workflow begins; all of it if there is none."""
    first = trace
    while first is not None and first.tb_frame.f_globals.get("__name__", "").startswith(CORE):
        first = first.tb_next
    return first or trace


async def _absorb_cancellation(entry: Entry) -> None:
    """Take the cancellation of an activity that came to its end before it: it must not reach the next one."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if entry.task is None or entry.task.is_shut_down:
            raise


def timeout_error(entry: Entry, activity: Activity[Any]) -> ActivityTimeoutError:
    """The error of an activity whose deadline passed."""
    limit = activity.timeout or entry.timeout
    return ActivityTimeoutError(
        f"activity {activity.id} of {entry.id!r} took longer than {limit:g} s; its state is unchanged",
        runtime=entry.id,
        activity=activity.id,
    )


async def _back_off(entry: Entry, activity: Activity[Any], retry: int, failure: AgentError) -> None:
    entry.set_deadline(math.inf)
    entry.record_event("retry", {"activity": failure.activity, "retry": retry, "error": failure})
    seconds = entry.limits.backoff.before(retry, entry.host.chance)
    entry.store_retry(activity, entry.host.clock.now() + seconds)
    await entry.host.sleep(seconds)


async def attempt(entry: Entry, activity: Activity[Any]) -> tuple[Any, Any]:
    """Another attempt at the same activity: what the loop of the entry does inline for the first one."""
    host = entry.host
    _forget_request(entry)  # of an attempt before
    limit = activity.timeout or entry.timeout
    if limit is not None:
        entry.set_deadline(host.clock.now() + limit)
        host.deadlines.arm(entry.deadline)
    workflow = entry.workflow
    context = Context(entry, activity) if workflow.takes_context else None
    call = workflow.call
    new = call(activity, entry.state) if context is None else call(activity, entry.state, context)
    if workflow.is_async:
        entry.run(new)
        new = await new
    if type(new) is not entry.exact_state:
        new = await check_state(entry, new, workflow)
    finished = host.clock.now()
    if finished > entry.deadline and host.deadlines.is_late(entry, finished):
        raise DeadlinePassed
    reply = msgspec.UNSET if context is None else context.replied
    await entry.store_result(activity, new, reply)
    return new, reply


# ---- fates


def decide_fate(entry: Entry, activity: Activity[Any], fate: Fate, started: float | None, **options: Any) -> None:
    """Give an activity its fate, once: the count, the record, the receipt. The loop's thread, or under the lock."""
    if activity.receipt.value is not None:
        return
    try:
        entry.decide(activity, record_fate(entry, activity, fate, started, **options))
    except BaseException:
        outcome = entry.host.ring.outcome_of(activity.id) or record_fate(entry, activity, fate, started, **options)
        entry.complete(activity, outcome)
        raise


def record_fate(
    entry: Entry,
    activity: Activity[Any],
    fate: Fate,
    started: float | None,
    *,
    error: AgentError | None = None,
    attempts: int = 1,
    reply: Any = msgspec.UNSET,
) -> Outcome:
    """The count and the record of a fate. The receipt comes after it: who waits for it finds everything in place."""
    finished = entry.host.clock.now()
    if fate is not Fate.DONE and started is not None:
        _forget_request(entry)
    entry.count(fate)  # first: by the count it is known whether an activity that is over is done
    if started is not None:
        entry.finish(activity)
    outcome = Outcome(
        entry.host.number(),
        activity.id,
        entry.id,
        activity.lane is Lane.PRIORITY,
        fate.value,
        activity.created,
        started,
        finished,
        entry.state,
        reply,
        error,
        attempts,
    )
    entry.host.ring.append(outcome)
    if started is not None:
        entry.record_times(activity, started, finished)
    return outcome


# ---- the supervisor


def ask_supervisor(entry: Entry, failure: AgentError, at: float) -> None:
    """Remember a failure and do what the supervisor decides."""
    entry.record_error(failure, in_error=True, at=at)
    supervision = entry.limits.supervision
    policy = decide_policy(supervision, entry.record_failure(supervision.intensity), entry.error_at or 0.0)
    if policy is Policy.RESTART:
        restart(entry)
    elif policy is Policy.STOP:
        stop(entry)
    elif policy is Policy.ESCALATE:
        entry.host.escalate(entry)


def restart(entry: Entry, cause: AgentError | None = None) -> None:
    """Begin again from the initial state. The mailbox and its receipts are kept."""
    entry.reset(copy_out_always(entry.initial, entry.limits.copy_state))
    entry.record_event("restarted", cause or entry.error)
    with entry.host.lock:
        if entry.withdraw_question():
            entry.store_pause()
            entry.record_event("resumed")


def stop(entry: Entry) -> None:
    """Stop taking activities: status FAILED. The mailbox and its receipts are kept for `recover()`."""
    with entry.host.lock:
        entry.stop()
        entry.record_event("failed", entry.error)
        refuse_senders(entry)
    if entry.draining:  # it will not come to the end of what waits; soon, not now: a fate is being given
        entry.host.loop.call_soon(entry.host.leave, entry)


def handle_fault(entry: Entry, error: BaseException) -> None:
    """The last resort, for what is not the workflow's fault: the activity fails; where none ran, the runtime goes on.

    One that meets such an error again before anything else got a fate is stopped: status FAILED. Nothing that waits is
    lost: it goes on with the next activity, or after `recover()`.
    """
    log_safely(logger, "%r met an error that is not its workflow's", entry.id, error=error)
    again = entry.fault_again()
    activity = _interrupted_activity(entry)
    failure = ProcessingError(
        f"agentrt itself failed in {entry.id!r}, please report it: {describe_error(error)}",
        runtime=entry.id,
        activity=None if activity is None else activity.id,
    )
    failure.__cause__ = error
    expired = entry.take_expired_timer()
    if expired is not None:
        expired.cancel()
    outcome = None if activity is None else activity.receipt.value or entry.host.ring.outcome_of(activity.id)
    if activity is not None and outcome is not None:
        entry.complete(activity, outcome)
    elif activity is not None:
        _fail_activity(entry, activity, Fate.FAILED, failure, entry.started)
        entry.recount_fate(Fate.FAILED)
    elif not entry.closed:
        entry.record_error(failure)
        if again:
            stop(entry)


def _interrupted_activity(entry: Entry) -> Activity[Any] | None:
    """The activity that has begun and is not over. One that was not yet taken out of its lane stays there."""
    activity = entry.abandon()
    if activity is None or activity.receipt is DECIDED:
        return None
    return None if any(item is activity for item in entry.mailbox) else activity


# ---- what is accepted no more


def refusal(entry: Entry) -> AgentError:
    """The error that says why nothing is accepted any more."""
    if entry.host.closed:
        return ManagerClosedError(f"the manager of {entry.id!r} is closed; make a new one", runtime=entry.id)
    if entry.failed and not entry.closed:
        return RuntimeFailedError(
            f"{entry.id!r} was stopped by its supervisor after: {entry.error}; `runtime.recover()` goes on",
            runtime=entry.id,
        )
    return RuntimeTerminatedError(
        f"{entry.id!r} was terminated; `manager.create({entry.id!r}, ...)` makes a new one", runtime=entry.id
    )


def refuse_senders(entry: Entry) -> None:
    """End every wait for room: nothing is accepted any more. The lock is held."""
    for lane in Lane:
        while (sender := entry.mailbox.first_sender(lane)) is not None:
            sender._decide(refusal(entry))
            entry.mailbox.remove_sender(lane, sender)  # last: what is interrupted before is done again


# ---- an activity that takes too long


def expire(entry: Entry, now: float) -> None:
    """Cancel the activity that is past its deadline. One that ignores it past the grace leaves the runtime STUCK."""
    activity = entry.current
    if activity is None or entry.task is None or entry.expired is not None or entry.deadline > now:
        return
    entry.expire(_stick_after_grace(entry, activity))
    entry.task.cancel()


def interrupt(entry: Entry, failure: AgentError) -> None:
    """End the activity that runs, if one does: it has failed with this; what still comes of it is fenced."""
    activity = entry.current
    if activity is None or entry.task is None or entry.expired is not None or activity.receipt.value is not None:
        return
    entry.expire(_stick_after_grace(entry, activity))
    outcome = record_fate(entry, activity, Fate.FAILED, entry.started, error=failure)
    entry.keep_running(activity)
    entry.task.cancel()
    entry.decide(activity, outcome)


def _stick_after_grace(entry: Entry, activity: Activity[Any]) -> Any:
    host = entry.host
    return host.call_at(host.clock.now() + entry.limits.grace, lambda: _stick(entry, activity))


def _stick(entry: Entry, activity: Activity[Any]) -> None:
    if entry.current is not activity or entry.closed:
        return
    entry.stick()
    entry.record_event("stuck", {"activity": activity.id})
    if activity.receipt.value is None:
        failure = timeout_error(entry, activity)
        outcome = record_fate(entry, activity, Fate.TIMED_OUT, entry.started, error=failure)
        entry.keep_running(activity)
        try:
            ask_supervisor(entry, failure, outcome.finished)
        finally:
            entry.decide(activity, outcome)
    entry.host.notify()
