"""What it costs that an activity is durable: two rows in one transaction, what was accepted and what came of it."""

from __future__ import annotations

from ..measure import ONE_KIND, Measure, run, throughput
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, distribution
from ..work import Kind


def latency(peer: Peer, kind: Kind, size: Size) -> Figures:
    return distribution(run(peer.durable_times(peer.some(size.asks))), 0.5, 0.99)  # type: ignore[attr-defined]


MEASURES = [
    Measure(
        "durable",
        "100 senders, each has one activity after the other done and waits until that is on disk (real time)",
        "durable",
        throughput("durable"),
        "wall us",
        ONE_KIND,
    ),
    Measure(
        "durable, one sender",
        "from a send until the activity is done and on disk (real time)",
        "durable_times",
        latency,
        "p50 us",
        ONE_KIND,
    ),
]
