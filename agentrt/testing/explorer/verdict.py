"""What was wrong at the end of a run: an assertion, an error that nobody handles, a deadlock, a reply that was lost."""

from __future__ import annotations

import asyncio
import math
import os
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

import agentrt

from ...errors import DeadlockError, describe_error
from ...events import Event
from ...frames import suspended_stack
from .observer import Observer

__all__ = ["Verdict", "judge"]

PACKAGE = os.path.dirname(agentrt.__file__)
ASYNCIO = os.path.dirname(asyncio.__file__)
FAILED = ("failed", "timed_out")


class Verdict(NamedTuple):
    """What was wrong. `step` is the last step that it needs; -1 for all of them."""

    kind: str
    text: str
    error: BaseException | None
    step: int
    place: tuple[object, ...]  # what makes it the same failure as another


def judge(run: Observer) -> Verdict | None:
    """What was wrong with a run; None if nothing was."""
    return _judge_workflows(run) or _judge_scenario(run) or _judge_errors(run) or _judge_waits(run)


def _judge_workflows(run: Observer) -> Verdict | None:
    """An assertion of a workflow is a failure, whoever handles the error."""
    for outcome in run.outcomes:
        cause = outcome.error and outcome.error.__cause__
        if isinstance(cause, AssertionError):
            return _from_error("assertion", cause, run.decided[outcome.id])
    return None


def _judge_scenario(run: Observer) -> Verdict | None:
    main: Any = run.main
    last = run.processes[run.main_pid].last
    if not asyncio.Task.done(main):
        lines = _waiting_lines(run)
        text = "nothing is left to do, but " + "; ".join(f"{name} waits at {line}" for name, line in lines.items())
        return Verdict(_kind_of_wait(run), text, None, -1, tuple(lines.items()))
    if asyncio.Task.cancelled(main):
        return Verdict("error", "the scenario was cancelled", None, last, ())
    error = asyncio.Task.exception(main)
    if error is None:
        return None
    if any(isinstance(each, DeadlockError) for each in _causes(error)):
        return _from_error("deadlock", error, last)
    return _from_error("assertion" if isinstance(error, AssertionError) else "error", error, last)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _judge_errors(run: Observer) -> Verdict | None:
    for outcome in run.outcomes:
        if outcome.kind in FAILED and outcome.id not in run.opened and outcome.error is not None:
            return _from_error("unhandled error", outcome.error.__cause__ or outcome.error, run.decided[outcome.id])
    for process in run.processes.values():
        if getattr(process.task, "_log_traceback", False):  # it has failed, and nobody has read how
            failed: Any = asyncio.Task.exception(process.task)
            return _from_error("unhandled error", failed, process.last)
    for text, error in run.errors:
        return Verdict("unhandled error", text if error is None else describe_error(error), error, -1, (text,))
    for record in run.manager.ring.records:
        if isinstance(record, Event) and record.kind == "background":
            return _from_error("unhandled error", record.detail["error"], -1)
    return None


def _judge_waits(run: Observer) -> Verdict | None:
    """Somebody waits for a reply that will never come, after the scenario has come to its end."""
    if not run.waiting or run.loop.next_timer() < math.inf:
        return None
    lines = [f"nobody will decide activity {id} of {receipt.runtime!r}" for id, receipt in run.waiting.items()]
    return Verdict("lost reply", "; ".join(lines), None, -1, tuple(run.waiting[id].runtime for id in run.waiting))


def _kind_of_wait(run: Observer) -> str:
    """A reply is lost if its runtime does nothing that could bring it; else they wait for each other."""
    idle = [run.manager._entries.get(receipt.runtime) for receipt in run.waiting.values()]
    return "lost reply" if any(entry is None or entry.current is None for entry in idle) else "deadlock"


def _from_error(kind: str, error: BaseException, step: int) -> Verdict:
    frames = traceback.extract_tb(error.__traceback__)
    place = (frames[-1].filename, frames[-1].lineno) if frames else (str(error),)
    text = describe_error(error).split("\n")[0]
    if isinstance(error, AssertionError) and not str(error) and frames:
        text = f"AssertionError: {frames[-1].line}"
    return Verdict(kind, text, error, step, (kind, type(error).__name__, *place))


def _waiting_lines(run: Observer) -> dict[str, str]:
    """Where each process waits that is not done."""
    labels, lines = run.ground.names.labels, {}
    for process in run.processes.values():
        if isinstance(process.task, asyncio.Task) and not asyncio.Task.done(process.task):
            lines[labels[process.pid]] = _line_of(process.task)
    for task, entry in run.processing.items():
        if entry.current is not None and entry.task is task:
            lines[entry.id] = _line_of(entry.running)
    return lines


def _line_of(awaitable: Any) -> str:
    """The innermost line of the user's own in which somebody waits."""
    frames = [frame for frame in suspended_stack(awaitable) if not frame.file.startswith((PACKAGE, ASYNCIO))]
    return f"{os.path.basename(frames[-1].file)}:{frames[-1].line}" if frames else "its end"
