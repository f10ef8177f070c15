"""Cost by size: from 1 to 100,000 agents, from 1 to 1,000,000 queued activities, each in a process of its own."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from .. import child as process
from ..measure import ONE_KIND, Measure, Sample
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, Stopwatch
from ..work import STRUCT, Kind

MIN_ACTIVITIES = 20_000  # for one point; small sizes are repeated


def child(name: str, method: str, n: str) -> Figures:
    from ..peers import PEERS

    point = agents if method == "agents" else queued
    return asyncio.run(point(PEERS[name], int(n)))


async def agents(peer: Any, n: int) -> Figures:
    """`n` agents: creating them, their memory while idle, then `n` busy ones."""
    await peer.create(1, Stopwatch())
    gc.collect()
    before, made, busy = process.resident(), Stopwatch(), Stopwatch()
    alive = await peer.create(n, made)
    gc.collect()
    held = (process.resident() - before) / n
    each = max(2, min(1000, MIN_ACTIVITIES // n))
    await peer.fleet(STRUCT, n, each, busy)
    assert alive is not None
    return {"create us": made.cpu / n * 1e6, "KB": held / 1024, "us": busy.cpu / (n * each) * 1e6}


async def queued(peer: Any, n: int) -> Figures:
    """`n` activities wait on one agent: the cost of queueing, holding and processing them.

    It includes creating and ending the agent: with one activity that is most of the cost.
    """
    await (await peer.backlog(STRUCT, 1, 1)).finish()
    gc.collect()
    send, work, times = Stopwatch(), Stopwatch(), max(1, min(1000, MIN_ACTIVITIES // n))
    held = 0.0
    for _ in range(times):
        before = process.resident()
        with send:
            backlog = await peer.backlog(STRUCT, 1, n)
        held = (process.resident() - before) / n
        with work:
            await backlog.finish()
    return {"send us": send.cpu / (n * times) * 1e6, "us": work.cpu / (n * times) * 1e6, "KB": held / 1024}


def scale(method: str) -> Sample:
    def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
        points = size.runtimes if method == "agents" else size.queued
        found = {n: process.figures("scale", peer.name, method, n) for n in points}
        return {f"{n} {figure}": value for n, figures in found.items() for figure, value in figures.items()}

    return sample


MEASURES = [
    Measure("scale, agents", "1 to 100,000 agents", "scales", scale("agents"), "100 us", ONE_KIND, 1),
    Measure(
        "scale, queued", "1 to 1,000,000 activities on one agent", "scales", scale("queued"), "100 us", ONE_KIND, 1
    ),
]
