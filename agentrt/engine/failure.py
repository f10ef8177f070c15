"""When an activity did not go well: retry, time out, fail, and what the supervisor says to it.

Functions over a `RuntimeEntry`; the loop's thread only. The state stays what it was before the activity.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from typing import TYPE_CHECKING, Any

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
from ..receipt import settle_receipt
from ..snapshot import read_initial
from ..supervision import Policy, decide
from .state_check import checked

if TYPE_CHECKING:
    from .entry import RuntimeEntry

    Entry = RuntimeEntry[Any, Any]

__all__ = ["Late", "expire", "fail", "fault", "interrupt", "refuse_senders", "resolve", "restart", "trouble"]


logger = logging.getLogger(__name__)


class Late(Exception):
    """A workflow came back after its deadline without ever having been interrupted."""


_COUNTS = {
    Fate.DONE: "done",
    Fate.FAILED: "failed_count",
    Fate.TIMED_OUT: "timed_out",
    Fate.DROPPED: "dropped",
    Fate.TERMINATED: "terminated",
    Fate.DEAD: "dead",
}


async def trouble(entry: Entry, activity: Activity[Any], error: BaseException, started: float) -> None:
    """Retry, or give the activity the fate it earned and tell the supervisor. The state stays what it was."""
    attempts = 1
    while True:
        owed = entry.expired is not None and not isinstance(error, asyncio.CancelledError)
        failure = _failure(entry, activity, error)
        if owed:
            await _take_cancellation(entry)
        if failure is None:
            return
        if attempts > entry.limits.retries:
            break
        try:
            await _back_off(entry, attempts, failure)
            attempts += 1
            new, reply = await _again(entry, activity)
        except BaseException as another:
            error = another
            continue
        entry.state = new
        entry.troubled = False
        resolve(entry, activity, Fate.DONE, started, attempts=attempts, reply=reply)
        return
    fate = Fate.TIMED_OUT if isinstance(failure, ActivityTimeoutError) else Fate.FAILED
    outcome = judge(entry, activity, fate, started, error=failure, attempts=attempts)
    failed_with(entry, failure)
    settle_receipt(activity, outcome)


def _failure(entry: Entry, activity: Activity[Any], error: BaseException) -> AgentError | None:
    """The tagged error for what happened; None if its fate was decided meanwhile (a late result is fenced)."""
    task = entry.task
    if isinstance(error, GeneratorExit) and asyncio.current_task(entry.host.loop) is not task:
        raise error  # the coroutine is being thrown away, not run
    expired, entry.expired = entry.expired, None
    if expired is not None and task is not None:
        expired.cancel()
        task.uncancel()
    if activity.receipt.decided is not None:
        _unstick(entry)
        return None
    if expired is not None or isinstance(error, Late):
        return timeout_error(entry, activity)
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0:
        # Not ours and not the workflow's own: whoever runs the loop is shutting it down.
        raise error
    failure = ProcessingError(
        f"{entry.workflow.name} failed in {entry.id!r} on activity {activity.id}: {describe_error(error)}",
        runtime=entry.id,
        activity=activity.id,
    )
    failure.__cause__ = error
    return failure


async def _take_cancellation(entry: Entry) -> None:
    """Take the cancellation of an activity that came to its end before it: it must not reach the next one."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if entry.task is None or entry.task.cancelling():  # and another: whoever runs the loop is shutting it down
            raise


def timeout_error(entry: Entry, activity: Activity[Any]) -> ActivityTimeoutError:
    """The error of an activity whose deadline passed."""
    limit = activity.timeout or entry.timeout
    return ActivityTimeoutError(
        f"activity {activity.id} of {entry.id!r} took longer than {limit} s; its state is unchanged",
        runtime=entry.id,
        activity=activity.id,
    )


async def _back_off(entry: Entry, retry: int, failure: AgentError) -> None:
    entry.deadline = math.inf
    entry.note("retry", {"activity": failure.activity, "retry": retry, "error": failure})
    await entry.host.sleep(entry.limits.backoff.before(retry, entry.host.chance))


async def _again(entry: Entry, activity: Activity[Any]) -> tuple[Any, Any]:
    """Another attempt at the same activity: what `_process` does inline for the first one."""
    host = entry.host
    limit = activity.timeout or entry.timeout
    entry.deadline = math.inf if limit is None else host.clock.now() + limit
    host.deadlines.arm(entry.deadline)
    context = Context(entry, activity)
    workflow = entry.workflow
    given = (activity, entry.state, context) if workflow.takes_context else (activity, entry.state)
    new = workflow.call(*given)
    if workflow.is_async:
        entry.running = new
        new = await new
    new = await checked(entry, new, workflow)
    if host.clock.now() > entry.deadline:
        raise Late
    return new, context.replied


def resolve(entry: Entry, activity: Activity[Any], fate: Fate, started: float | None, **options: Any) -> None:
    """Give an activity its fate, once: the count, the record, the receipt. The loop's thread, or under the lock."""
    if activity.receipt.decided is None:
        settle_receipt(activity, judge(entry, activity, fate, started, **options))


def judge(
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
    host = entry.host
    finished = host.clock.now()
    if activity is entry.current:
        entry.current = None
    setattr(entry, _COUNTS[fate], getattr(entry, _COUNTS[fate]) + 1)
    outcome = Outcome(
        host.number(),
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
    host.ring.append(outcome)
    if started is not None:
        adders = entry.adders()
        add_wait, add_service = adders[:2] if activity.lane is Lane.PRIORITY else adders[2:]
        add_wait(started - activity.created)
        add_service(finished - started)
    return outcome


def failed_with(entry: Entry, failure: AgentError) -> None:
    """Remember a failure and do what the supervisor decides."""
    now = entry.host.clock.now()
    entry.error, entry.error_at, entry.troubled = failure, now, True
    supervision = entry.limits.supervision
    if entry.failures is None or entry.failures.maxlen != supervision.intensity:
        entry.failures = deque(entry.failures or (), maxlen=supervision.intensity)
    entry.failures.append(now)
    policy = decide(supervision, entry.failures, now)
    if policy is Policy.RESTART:
        restart(entry)
    elif policy is Policy.STOP:
        fail(entry)
    elif policy is Policy.ESCALATE:
        entry.host.escalate(entry)


def fault(entry: Entry, error: BaseException) -> None:
    """The last resort, for what is not the workflow's fault: the activity fails; where none ran, the runtime is FAILED.

    Nothing that waits is lost: it goes on with the next activity, or after `recover()`.
    """
    logger.error("%r met an error that is not its workflow's", entry.id, exc_info=error)
    activity, entry.current = entry.current, None
    failure = ProcessingError(
        f"agentrt itself failed in {entry.id!r}, please report it: {describe_error(error)}",
        runtime=entry.id,
        activity=None if activity is None else activity.id,
    )
    failure.__cause__ = error
    expired, entry.expired = entry.expired, None
    if expired is not None:
        expired.cancel()
    if activity is not None and activity.receipt.decided is None:
        resolve(entry, activity, Fate.FAILED, entry.started, error=failure)
        failed_with(entry, failure)
    elif activity is None and not entry.closed:
        entry.error, entry.error_at = failure, entry.host.clock.now()
        fail(entry)


def restart(entry: Entry, cause: AgentError | None = None) -> None:
    """Begin again from the initial state. The mailbox and its receipts are kept."""
    entry.state = read_initial(entry)
    entry.failures = None
    entry.troubled = False
    entry.note("restarted", cause or entry.error)


def fail(entry: Entry) -> None:
    """Stop taking activities: status FAILED. The mailbox and its receipts are kept for `recover()`."""
    with entry.host.lock:
        entry.failed = entry.held = True
        entry.mailbox.shut()
        entry.note("failed", entry.error)
        refuse_senders(entry)
    if entry.draining:  # it will not come to the end of what waits; soon, not now: a fate is being given
        entry.host.loop.call_soon(entry.host.leave, entry)


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
    for senders in (entry.mailbox.senders or {}).values():
        while senders:
            senders.popleft().decide(refusal(entry))


def expire(entry: Entry, now: float) -> None:
    """Cancel the activity that is past its deadline. One that ignores it past the grace leaves the runtime STUCK."""
    activity = entry.current
    if activity is None or entry.task is None or entry.expired is not None or entry.deadline > now:
        return
    entry.expired = entry.host.at(now + entry.limits.grace, lambda: _stick(entry, activity))
    entry.deadline = -math.inf
    entry.task.cancel()


def interrupt(entry: Entry, failure: AgentError) -> None:
    """End the activity that runs, if one does: it has failed with this; what still comes of it is fenced."""
    activity = entry.current
    if activity is None or entry.task is None or entry.expired is not None or activity.receipt.decided is not None:
        return
    now = entry.host.clock.now()
    entry.expired = entry.host.at(now + entry.limits.grace, lambda: _stick(entry, activity))
    entry.deadline = -math.inf
    outcome = judge(entry, activity, Fate.FAILED, entry.started, error=failure)
    entry.current = activity  # it still runs: nothing may be started beside it
    entry.task.cancel()
    settle_receipt(activity, outcome)


def _stick(entry: Entry, activity: Activity[Any]) -> None:
    if entry.current is not activity or entry.closed:
        return
    entry.stuck = True
    entry.note("stuck", {"activity": activity.id})
    if activity.receipt.decided is None:
        failure = timeout_error(entry, activity)
        outcome = judge(entry, activity, Fate.TIMED_OUT, entry.started, error=failure)
        entry.current = activity  # it still runs: nothing may be started beside it
        failed_with(entry, failure)
        settle_receipt(activity, outcome)
    entry.host.notify()


def _unstick(entry: Entry) -> None:
    entry.current = None
    if entry.stuck:
        entry.stuck = False
        entry.note("unstuck")
