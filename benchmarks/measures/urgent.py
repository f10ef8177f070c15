"""How long an urgent activity takes behind a backlog, from when its sender waits for a turn of the loop."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ..measure import ONE_KIND, Measure, Sample, run
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, distribution
from ..work import Kind

MAX_URGENT = 25  # activities during one backlog


async def urgent_waits(peer: Any, kind: Kind, agents: int, each: int) -> list[float]:
    """The waits of urgent activities, one after the other, as long as the backlog lasts; at least one."""
    backlog = await peer.backlog(kind, agents, each)
    clock, found = time.perf_counter, []
    while not found or (len(found) < MAX_URGENT and backlog.left()):
        started = clock()
        await asyncio.sleep(0)
        await backlog.urgent(len(found))
        found.append(clock() - started)
    await backlog.finish()
    return found


def urgent(busy: bool) -> Sample:
    def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
        agents, each = (size.busy, max(1, size.backlog // 10)) if busy else (1, size.backlog)
        fills = 1 + size.fills // 3 if busy else size.fills
        found = [wait for _ in range(fills) for wait in run(urgent_waits(peer, kind, agents, each))]
        return distribution(found, 0.5, 0.99)

    return sample


MEASURES = [
    Measure("urgent", "urgent behind 10,000 standard on one agent (real time)", "backlog", urgent(False), "p50 us"),
    Measure(
        "urgent, 100 busy",
        "urgent to one of 100 agents with 1,000 standard each (real time)",
        "backlog",
        urgent(True),
        "p50 us",
        ONE_KIND,
        most_rounds=2,
    ),
]
