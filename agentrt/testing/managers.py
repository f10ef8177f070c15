"""Managers for tests, on a virtual clock or on a thread, which check at the end that every activity has a fate."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..manager import RuntimeManager
from ..schema.numbers import optional_seconds
from ..snapshot import Snapshot, Status
from .recorder import Recorder
from .virtual import VirtualLoop

__all__ = ["check_fates", "run_until_idle", "thread_manager", "virtual_manager"]

IDLE_STATUSES = (Status.PAUSED, Status.STUCK, Status.FAILED)


@contextmanager
def virtual_manager(seed: int | None = 0, **options: Any) -> Iterator[RuntimeManager]:
    """A `RuntimeManager` on a `VirtualLoop`: its time passes only inside `manager.run(...)`.

    At the end it is closed and every activity must have a fate.

    Args:
        seed: Decides the order of the callbacks that are ready, and the numbers of `ctx.random`. None runs callbacks
            first in, first out.
        **options: Of `RuntimeManager`, without `loop`.

    Raises:
        AssertionError: At the end, if an activity has no fate.

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
    """A manager on a thread of its own, as in a notebook. At the end it is closed and every activity must have a fate.

    Args:
        **options: Of `RuntimeManager`, without `loop`.

    Raises:
        AssertionError: At the end, if an activity has no fate.

    >>> with thread_manager() as manager:
    ...     manager.create("counter", 0, lambda activity, state: state + 1).send_nowait(None).result(5).state
    1
    """
    with RuntimeManager(loop="thread", **options) as manager:
        yield manager
    check_fates(manager)


def check_fates(manager: RuntimeManager) -> None:
    """Check that every accepted activity has exactly one fate, and that none is pending once the manager is closed.

    Raises:
        AssertionError: With the counts.

    >>> with virtual_manager() as manager:
    ...     check_fates(manager)
    """
    fates = manager.fates()
    if not fates.adds_up or (manager.closed and fates.pending):
        raise AssertionError(f"not every one of {fates.accepted} accepted activities has a fate: {fates}")


def run_until_idle(target: VirtualLoop | RuntimeManager, timeout: float | None = None) -> None:
    """Run until nothing is left to do. Not for coroutines: they wait for what they expect.

    On a virtual clock, timers that are due later run too. On a thread, it waits until no runtime processes anything and
    until nothing waits, except in runtimes that are paused, stuck or failed.

    Args:
        target: A virtual loop, or a manager.
        timeout: Virtual seconds on a virtual clock, unlimited if left out; else real seconds, 10 if left out.

    Raises:
        TimeoutError: Something is left to do after that time.

    >>> with virtual_manager() as manager:
    ...     counter = manager.create("counter", 0, lambda activity, state: state + 1)
    ...     receipts = [counter.send_nowait(None, delay=hour * 3600) for hour in range(24)]
    ...     run_until_idle(manager)
    ...     counter.state, manager.clock.now() / 3600
    (24, 23.0)
    """
    timeout = optional_seconds("timeout", timeout)
    loop = target if isinstance(target, asyncio.AbstractEventLoop) else target.loop
    if isinstance(loop, VirtualLoop):
        loop.run_until_idle(math.inf if timeout is None else timeout)
    elif isinstance(target, RuntimeManager):
        _wait_until_idle(target, 10.0 if timeout is None else timeout)


def _wait_until_idle(manager: RuntimeManager, timeout: float) -> None:
    with Recorder(manager, limit=100) as recorder:
        manager.run(recorder.until(lambda: all(map(_is_idle, manager.snapshots())), timeout))


def _is_idle(shot: Snapshot) -> bool:
    return shot.status in IDLE_STATUSES or not shot.fates.pending
