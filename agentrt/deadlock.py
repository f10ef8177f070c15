"""Who waits for whom among runtimes, so that a circle of asks is an error at once and not a silence for ever."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType

from .errors import DeadlockError
from .host import Member

__all__ = ["CURRENT", "Wait"]

# The entry in whose processing task this code runs. Tasks and threads started by a workflow inherit it.
CURRENT: ContextVar[Member | None] = ContextVar("agentrt_current", default=None)


class Wait:
    """While it is open, the activity that runs here waits for `target` to get on with its mailbox.

    A runtime does one activity at a time: if, following who waits for whom from `target`, we come back to ourselves,
    nobody in that circle can move. Entering it then raises `DeadlockError` with the chain. Outside of a workflow it is
    nothing.
    """

    __slots__ = ("target", "waiter")

    def __init__(self, target: Member) -> None:
        waiter = CURRENT.get()
        self.target = target
        self.waiter = waiter if waiter is not None and waiter.current is not None else None

    def __enter__(self) -> None:
        waiter = self.waiter
        if waiter is None:
            return
        with waiter.host.lock:
            path = _path(self.target, waiter, set())
            if path is None:
                waits = waiter.waits_for = waiter.waits_for or {}
                waits[self.target] = waits.get(self.target, 0) + 1
                return
        chain = (waiter.id, *path)
        self.waiter = None
        raise DeadlockError(
            f"{' -> '.join(chain)}: {waiter.id!r} would wait for itself; "
            "use `ctx.send` without awaiting its receipt, or answer later with another activity",
            chain=chain,
            runtime=waiter.id,
        )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        waiter = self.waiter
        if waiter is None or waiter.waits_for is None:
            return
        with waiter.host.lock:
            left = waiter.waits_for.get(self.target, 0) - 1
            if left > 0:
                waiter.waits_for[self.target] = left
            else:
                waiter.waits_for.pop(self.target, None)


def _path(start: Member, goal: Member, seen: set[Member]) -> tuple[str, ...] | None:
    if start is goal:
        return (goal.id,)
    seen.add(start)
    for following in start.waits_for or ():
        if following not in seen:
            rest = _path(following, goal, seen)
            if rest is not None:
                return (start.id, *rest)
    return None
