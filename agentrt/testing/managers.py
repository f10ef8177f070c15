"""Managers for tests: on a virtual clock or a thread, closed properly, and every activity accounted for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..manager import RuntimeManager
from ..snapshot import Status
from .recorder import Recorder
from .virtual import VirtualLoop

__all__ = ["check_fates", "run_until_idle", "thread_manager", "virtual_manager"]

AT_REST = (Status.PAUSED, Status.STUCK, Status.FAILED)


@contextmanager
def virtual_manager(seed: int | None = 0, **options: Any) -> Iterator[RuntimeManager]:
    """A manager on a `VirtualLoop`: an ordinary `RuntimeManager` whose time passes only in `manager.run(...)`.

    `seed` decides the order of what is ready and all that `ctx.random` gives. In the end everything is terminated and
    every activity must have a fate.

    >>> async def slow(activity, state):
    ...     await asyncio.sleep(3600)
    ...     return state + 1
    >>> with virtual_manager(seed=1) as manager:
    ...     manager.run(manager.create("slow", 0, slow).ask("go"))
    ...     manager.clock.now()
    1
    3600.0
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        manager = runner.run(_on_this_loop(seed, options))
        try:
            yield manager
        finally:
            runner.run(manager.aclose())
        check_fates(manager)


async def _on_this_loop(seed: int | None, options: dict[str, Any]) -> RuntimeManager:
    return RuntimeManager(loop="current", seed=seed, **options)


@contextmanager
def thread_manager(**options: Any) -> Iterator[RuntimeManager]:
    """A manager on a thread of its own, as in a notebook; in the end every activity must have a fate.

    >>> with thread_manager() as manager:
    ...     manager.create("counter", 0, lambda activity, state: state + 1).send_nowait(None).result(5).state
    1
    """
    with RuntimeManager(loop="thread", **options) as manager:
        yield manager
    check_fates(manager)


def check_fates(manager: RuntimeManager) -> None:
    """Raise `AssertionError` unless every accepted activity has one fate, and of a closed manager none is pending.

    >>> with virtual_manager() as manager:
    ...     check_fates(manager)
    """
    fates = manager.fates()
    if not fates.adds_up or (manager.closed and fates.pending):
        raise AssertionError(f"of {fates.accepted} accepted activities not every one has a fate: {fates}")


def run_until_idle(what: VirtualLoop | RuntimeManager, timeout: float | None = None) -> None:
    """Run until there is nothing left to do. Not from a coroutine: there, wait for what you expect.

    On a virtual clock that includes whatever is due later, within `timeout` virtual seconds if given. A manager on a
    thread is waited for until no runtime works and nothing waits in one that is not paused, stuck or failed; `timeout`
    is in real seconds, 10 if not given. `TimeoutError` after that.

    >>> with virtual_manager() as manager:
    ...     counter = manager.create("counter", 0, lambda activity, state: state + 1)
    ...     receipts = [counter.send_nowait(None, delay=hour * 3600) for hour in range(24)]
    ...     run_until_idle(manager)
    ...     counter.state, manager.clock.now() / 3600
    (24, 23.0)
    """
    loop = what if isinstance(what, asyncio.AbstractEventLoop) else what.loop
    if isinstance(loop, VirtualLoop):
        loop.run_until_idle(math.inf if timeout is None else timeout)
    elif isinstance(what, RuntimeManager):
        _wait_until_idle(what, 10.0 if timeout is None else timeout)


def _wait_until_idle(manager: RuntimeManager, timeout: float) -> None:
    with Recorder(manager, limit=100) as seen:
        manager.run(seen.until(lambda: all(map(_idle, manager.snapshots())), timeout))


def _idle(shot: Any) -> bool:
    return shot.status in AT_REST or not shot.fates.pending
