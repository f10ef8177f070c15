"""Who waits for whom among runtimes, so that a circle of asks is an error at once, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from ..activity import Activity
from ..errors import DeadlockError
from .protocols import Host, Member

__all__ = ["CURRENT", "Branch", "OpenWait", "awaits", "check_loop", "deadlock_error"]


def check_loop(host: Host, loop: asyncio.AbstractEventLoop, id: str | None) -> None:
    """Raise `DeadlockError` where agents can't run: their loop stands still as long as this thread runs another one."""
    if loop is not host.loop and threading.get_ident() == host.thread and not host.loop.is_running():
        raise deadlock_error(host, id, "")


def deadlock_error(host: Host, id: str | None, advice: str) -> DeadlockError:
    """The error of who would block the agents' own thread, or wait on it for ever.

    Args:
        host: Whose agents they are.
        id: Of the runtime that is waited for, if it is one.
        advice: What to write instead on the agents' loop.
    """
    running = asyncio._get_running_loop()
    if running is host.loop:
        text = f"waiting here would block the loop that must do the work; write `{advice}` instead"
    elif running is None:
        text = (
            "nothing runs the agents' loop while this thread waits; write `manager.run(...)` around what you wait for"
        )
    else:
        text = (
            "the agents' loop is not the one that runs here, and stands still until this one ends; in a test, write a "
            "plain `def` and `manager.run(runtime.ask(...))`, or use a manager whose loop runs: the fixture `manager`, "
            "`RuntimeManager(loop='thread')`, or one that is made inside of this `async def`"
        )
    return DeadlockError(text, chain=() if id is None else (id,), runtime=id)


class Branch:
    """What runs in a task that a workflow has started: for that activity, even when the runtime is at another one."""

    __slots__ = ("current", "entry", "id")

    def __init__(self, entry: Member, activity: Activity[Any]) -> None:
        self.entry = entry
        self.id = entry.id
        self.current = activity


# The entry in whose processing task this code runs, or the branch of it. Threads started by a workflow inherit it.
CURRENT: ContextVar[Member | Branch | None] = ContextVar("agentrt_current", default=None)


class OpenWait:
    """While it is open, the activity that runs here waits for `target` to get on with its mailbox.

    A runtime does one activity at a time: if, following who waits for whom from `target`, we come back to ourselves,
    no runtime of that circle can continue. Entering it then raises `DeadlockError` with the chain. Outside of a
    workflow it does nothing, nor in a task that has outlived the activity it was started by: no runtime waits for
    that one.
    """

    __slots__ = ("activity", "target", "waiter")

    def __init__(self, target: Member) -> None:
        current = CURRENT.get()
        self.target = target
        self.activity = None if current is None else current.current
        self.waiter = current.entry if isinstance(current, Branch) else current
        if self.waiter is None or self.activity is None or self.waiter.current is not self.activity:
            self.waiter = None

    def __enter__(self) -> None:
        waiter = self.waiter
        if waiter is None:
            return
        with waiter.host.lock:
            chain = _chain(self.target, waiter)
            if chain is None:
                waiter.add_wait(self)
                return
        self.waiter = None
        raise DeadlockError(
            f"{' -> '.join(chain)}: {waiter.id!r} would wait for itself; don't await it here: "
            "use `ctx.send` without awaiting its receipt, or answer later with another activity",
            chain=chain,
            runtime=waiter.id,
        )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        waiter = self.waiter
        if waiter is not None:
            with waiter.host.lock:
                waiter.remove_wait(self)


def awaits(member: Member) -> tuple[Member, ...]:
    """Whom the activity that a runtime does now can't go on without. The lock is held."""
    current = member.current
    found = {wait.target: None for wait in tuple(member.waits_for or ()) if wait.activity is current}
    return tuple(found) if current is not None else ()


def _chain(start: Member, goal: Member) -> tuple[str, ...] | None:
    """From the goal, which is to wait for the start, back to the goal; None if nobody waits that way."""
    before: dict[Member, Member] = {start: goal}
    following = [start]
    for member in following:
        if member is goal:
            break
        for other in awaits(member):
            if other not in before:
                before[other] = member
                following.append(other)
    else:
        return None
    chain, member = [goal.id], before[goal]
    while member is not goal:
        chain.append(member.id)
        member = before[member]
    return (goal.id, *reversed(chain))
