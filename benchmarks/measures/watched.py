"""The cost of observers: a reader of the event ring at the frame rate of the views, a `param` watcher, a subscription.

The ring itself is always on. Views in a real browser are measured in `sessions.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from agentrt import RuntimeManager

from ..measure import ONE_KIND, Measure, run
from ..peer import Peer
from ..peers.agentrt import Agentrt
from ..sizes import Size
from ..stopwatch import Figures, Stopwatch
from ..work import Kind, add

Watcher = Callable[[Any], AbstractContextManager[None]]


@contextmanager
def nobody(runtime: Any) -> Iterator[None]:
    yield


@contextmanager
def ring(runtime: Any) -> Iterator[None]:
    seen = [0]

    def flush(frame: Any) -> None:
        seen[0] += len(frame.records) + frame.missed

    detach = runtime.manager.hub.attach(flush)
    yield
    detach()


@contextmanager
def param(runtime: Any) -> Iterator[None]:
    watcher = runtime.param.watch(lambda *events: None, ["status", "processed", "standard_depth", "state"])
    yield
    runtime.param.unwatch(watcher)


@contextmanager
def stream(runtime: Any) -> Iterator[None]:
    async def follow() -> None:
        async for _ in runtime.subscribe():
            pass

    task = asyncio.create_task(follow())
    yield
    task.cancel()


async def measure_bursts(kind: Kind, n: int, watcher: Watcher) -> float:
    watch = Stopwatch()
    async with RuntimeManager() as manager:
        runtime = manager.create("agent", 0, add)
        with watcher(runtime):
            await asyncio.sleep(0)
            await Agentrt.send_in_bursts(runtime, kind, n, watch)
    return watch.cpu


def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
    """The lost throughput in percent, by the CPU time of all threads; each between two runs without observers."""
    n = size.watched
    before, figures = run(measure_bursts(kind, n, nobody)), {}
    for watcher in (ring, param, stream, nobody):
        watched, after = run(measure_bursts(kind, n, watcher)), run(measure_bursts(kind, n, nobody))
        figures[f"{watcher.__name__} loss %"] = 100 * (1 - (before + after) / 2 / watched)
        before = after
    return {**figures, "us": before / n * 1e6}


MEASURES = [
    Measure(
        "watched",
        "one-way while a reader of the ring, a param watcher or a subscription is attached",
        "watched",
        sample,
        "ring loss %",
        ONE_KIND,
    )
]
