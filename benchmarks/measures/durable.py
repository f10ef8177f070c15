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
        "100 senders, each stores one activity after the other and waits until it is on disk (real time); of agentrt "
        "the journal alone",
        "durable",
        throughput("durable"),
        "wall us",
        ONE_KIND,
    ),
    Measure(
        "durable, one sender",
        "from an activity to the word that it is on disk (real time); of agentrt the journal alone",
        "durable_times",
        latency,
        "p50 us",
        ONE_KIND,
    ),
]
