"""How long an idle agent takes to answer."""

from __future__ import annotations

import time
from typing import Any

from ..measure import Measure, run
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, distribution
from ..work import Kind


async def answer_times(peer: Any, kind: Kind, n: int) -> list[float]:
    ask, end = await peer.asker(kind)
    clock, waits = time.perf_counter, []
    for _ in range(n):
        started = clock()
        await ask()
        waits.append(clock() - started)
    await end()
    return waits


def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
    return distribution(run(answer_times(peer, kind, peer.some(size.asks))), 0.5, 0.99)


MEASURES = [Measure("ask", "an idle agent is asked and answers (real time)", "asker", sample, "p50 us")]
