"""Who drives the processing of a runtime: its task or, for a moment, whoever waits for it.

A round trip through the event loop costs several times what an activity does. So a coroutine on the agents' loop that
waits for a runtime at rest lends it its turn: the processing goes on at once, in its own context and as its own task,
for one activity or until that suspends. What it suspends on is handed to the task, which takes over from there.

`drive` is the body of the task: it steps the processing, a coroutine, and tells the event loop what that waits for.
The processing itself waits at two places only: with `TURN` between two activities, to let others go on, and with
`REST` when its lanes are empty. There, and nowhere else, somebody else may step it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..receipt import Receipt
    from .entry import RuntimeEntry

    Entry = RuntimeEntry[Any, Any]

__all__ = ["LENDINGS", "SLICE", "SLICE_SECONDS", "Lending", "drive", "give_way", "lend", "rest", "wake"]

TURN, REST = object(), object()
SLICE = 32  # activities, and
SLICE_SECONDS = 0.001  # seconds that all who are busy may take together before the event loop gets a turn
SHORT = SLICE_SECONDS / 64
LENDINGS = 64  # in a row, and for as long as a slice; then who waits goes through the event loop once
NESTED = 8  # of one that waits for one that waits: each takes of the depth that Python allows to a workflow
RESTING = 256  # tasks that are kept for runtimes at rest: making one costs as much as two activities
Steps = Generator[Any, Any, None]


def _swap_current_task(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> asyncio.Task[Any] | None:
    """What Python 3.12 has: say which task it is that runs on this loop; returns which it was."""
    running: dict[Any, Any] = asyncio.tasks._current_tasks  # type: ignore[attr-defined]
    before: asyncio.Task[Any] | None = running.get(loop)
    if task is None:
        running.pop(loop, None)
    else:
        running[loop] = task
    return before


swap = getattr(asyncio.tasks, "_swap_current_task", _swap_current_task)


@types.coroutine
def give_way() -> Steps:
    """One turn of the loop for the others."""
    yield TURN


@types.coroutine
def rest() -> Steps:
    """Until there is something to do."""
    yield REST


@types.coroutine
def drive(entry: Entry, process: Coroutine[Any, Any, None]) -> Steps:
    """Step the processing of an entry, as the body of its task."""
    entry.process = process
    step: Any = process.send
    value: Any = None
    while True:
        entry.open = False
        try:
            asked = step(value)
        except StopIteration:
            return
        step, value = process.send, None
        while True:
            entry.open = asked is TURN or asked is REST
            try:
                yield _future(entry, asked)
            except BaseException as error:
                step, value = process.throw, error
            if entry.process is not process:  # it has ended, or was renewed, in somebody else's turn
                return
            handed, entry.handed = entry.handed, None
            if handed is None:
                break
            asked = handed[0]
            if value is not None:
                _give_up(asked)
                break


def _future(entry: Entry, asked: Any) -> Any:
    """What the event loop is told for what the processing waits for: a future, or None for one turn."""
    if asked is TURN:
        return None
    if asked is not REST:
        return asked
    host = entry.host
    sleeper = entry.sleeper = host.loop.create_future()
    sleeper._asyncio_future_blocking = True  # as `await sleeper` does; here a generator yields it
    host.resting[entry] = None
    if len(host.resting) > RESTING:
        dismiss(next(iter(host.resting)))
    return sleeper


def _give_up(asked: Any) -> None:
    """Cancel what a handed-over activity waits for, as the cancellation of its task would have."""
    if asked is not None:
        asked.cancel()


def wake(entry: Entry) -> None:
    """Have the task of an entry take its next step."""
    sleeper, entry.sleeper = entry.sleeper, None
    if sleeper is not None and not sleeper.done():  # done: its task is being cancelled
        entry.host.resting.pop(entry, None)
        sleeper.set_result(None)


def dismiss(entry: Entry) -> None:
    """End the task of an entry at rest; its next activity makes another. The loop's thread only."""
    process = entry.process
    sleeper, entry.sleeper = entry.sleeper, None
    entry.host.resting.pop(entry, None)
    entry.task = entry.process = None
    entry.open = False
    process.close()
    if sleeper is not None and not sleeper.done():
        sleeper.set_result(None)


class Lending:
    """How often turns of one event loop were lent since it had one."""

    __slots__ = ("_whim", "count", "nested")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.count = self.nested = 0
        self._whim: Callable[[], bool] | None = getattr(loop, "whim", None)  # of a loop that tries every order

    def may(self) -> bool:
        """Whether who waits may lend its turn once more, or has to give way to the event loop."""
        if self.nested >= NESTED:
            return False
        if self.count < LENDINGS:
            return self._whim is None or self._whim()
        self.count = 0
        return False


def lend(entry: Entry, receipt: Receipt) -> None:
    """Let an entry do the activity of `receipt` in the turn of who waits for it, if that is the next in its lane.

    Afterwards the receipt is decided, or it is waited for as ever. Nothing is done on any thread but the agents'.
    """
    host, mailbox = entry.host, entry.mailbox
    if not entry.open or entry.held or get_ident() != host.thread:
        return
    lane = mailbox.priority or mailbox.standard
    if not lane or lane[0].receipt is not receipt:
        return
    lending = host.lending
    if not lending.may():
        return
    process, loop = entry.process, host.loop
    lender = swap(loop, entry.task)
    if lender is None:  # a bare callback of the loop, which can't wait anyway
        swap(loop, None)
        return
    lending.nested += 1
    try:
        while receipt.decided is None and entry.open and entry.process is process and lending.count < LENDINGS:
            lending.count += 1
            _step(entry, process)
    finally:
        lending.nested -= 1
        swap(loop, lender)
    outcome = receipt.decided
    if outcome is not None and outcome.started is not None:
        spent = outcome.finished - outcome.started
        if spent > SHORT:
            lending.count += int(spent * LENDINGS / (SLICE_SECONDS * host.clock.pace))


def _step(entry: Entry, process: Any) -> None:
    """One activity, or as far as it goes before it waits."""
    sleeper = entry.sleeper
    entry.open, entry.single = False, True
    try:
        asked = entry.variables.run(process.send, None)
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError):  # its loop is being shut down
            entry.host.leave(entry)
        elif not isinstance(error, StopIteration):
            entry.fault(error)
        if sleeper is not None and not sleeper.done():
            sleeper.set_result(None)
        return
    if asked is TURN or asked is REST:
        entry.open = True
    else:
        entry.handed = (asked,)
        wake(entry)
