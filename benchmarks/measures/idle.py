"""Creating agents, and the memory of 10,000 idle ones: each peer in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from typing import Any

from .. import child as process
from ..measure import ONE_KIND, Measure, Sample
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, Stopwatch
from ..work import Kind

QUIET = 0.5  # seconds


async def population(create: Any, n: int) -> Figures:
    await create(min(n, 10), Stopwatch())
    gc.collect()
    before, watch = process.resident(), Stopwatch()
    alive = await create(n, watch)
    gc.collect()
    each = (process.resident() - before) / n
    figures = {"us": watch.cpu / n * 1e6, "wall us": watch.wall / n * 1e6, "KB": each / 1024, **await idle_cost()}
    assert alive is not None
    return figures


async def idle_cost() -> Figures:
    """The cost of idle agents: CPU time, and how often per second this process was woken up."""
    await asyncio.sleep(0.1)
    cpu, woken = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    await asyncio.sleep(QUIET)
    return {
        "idle CPU %": (time.process_time() - cpu) / QUIET * 100,
        # One wake-up ends the sleep of this function.
        "wake-ups/s": max(0, resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - woken - 1) / QUIET,
    }


def child(name: str, method: str, n: str) -> Figures:
    from ..peers import PEERS

    return asyncio.run(population(getattr(PEERS[name], method), int(n)))


def idle(method: str) -> Sample:
    def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
        return process.figures("idle", peer.name, method, max(10, int(size.idle * peer.idle_share)))

    return sample


MEASURES = [
    Measure("create", "creating agents; 10,000 idle ones (pykka: 500)", "create", idle("create"), "us", ONE_KIND, 2),
    Measure(
        "create, with handle",
        "as users create them: manager.create, and the Runtime stays alive",
        "create_with_handle",
        idle("create_with_handle"),
        "us",
        ONE_KIND,
        2,
    ),
]
