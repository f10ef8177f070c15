"""Whether the loop stays free: how late a task of the same loop wakes up while 100,000 activities are processed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ..measure import ONE_KIND, Measure, Sample, run
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, distribution
from ..work import Kind

BEAT = 0.001


async def beat(late: list[float], due: float) -> None:
    """Wake up every millisecond from `due` on, and append how late; a first turn that comes late counts too."""
    clock = time.perf_counter
    while True:
        await asyncio.sleep(due - clock())
        late.append(max(0.0, clock() - due))
        due = clock() + BEAT


async def lateness(peer: Any, kind: Kind, agents: int, each: int) -> tuple[list[float], list[float]]:
    """The lateness of a heartbeat beside the work, and afterwards on the idle loop."""
    busy: list[float] = []
    idle: list[float] = []
    backlog = await peer.backlog(kind, agents, each)
    beats = asyncio.create_task(beat(busy, time.perf_counter() + BEAT))
    await backlog.done()
    await asyncio.sleep(2 * BEAT)  # a beat that did not get its turn is counted too
    beats.cancel()
    beats = asyncio.create_task(beat(idle, time.perf_counter() + BEAT))
    await asyncio.sleep(max(20 * BEAT, 0.1 if len(busy) > 20 else 0))
    beats.cancel()
    await backlog.end()
    return busy, idle


def heartbeat(many: bool) -> Sample:
    def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
        agents = size.busy if many else 1
        busy, idle = run(lateness(peer, kind, agents, size.beats // agents))
        quiet = distribution(idle, 0.999)
        return {**distribution(busy, 0.5, 0.999), "idle p99.9 us": quiet["p99.9 us"], "beats": len(busy)}

    return sample


MEASURES = [
    Measure(
        "heartbeat",
        "lateness of a 1 ms heartbeat while one agent does 100,000 activities (real time)",
        "backlog",
        heartbeat(False),
        "p99.9 us",
        ONE_KIND,
    ),
    Measure(
        "heartbeat, 100 busy",
        "the same while 100 agents do 1,000 each",
        "backlog",
        heartbeat(True),
        "p99.9 us",
        ONE_KIND,
    ),
]
