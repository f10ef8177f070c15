"""What it costs that an activity is durable: two rows in one transaction, what was accepted and what came of it."""

from __future__ import annotations

from ..measure import ONE_KIND, Measure, run, throughput
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, distribution
from ..work import Kind


def latency(peer: Peer, kind: Kind, size: Size) -> Figures:
    return distribution(run(peer.durable_times(peer.some(size.asks))), 0.5, 0.99)  # type: ignore[attr-defined]


def pauses(peer: Peer, kind: Kind, size: Size) -> Figures:
    n = peer.some(size.asks)
    without = distribution(run(peer.durable_times(n)), 0.999)  # type: ignore[attr-defined]
    times = run(peer.durable_times_while_let_go(n))  # type: ignore[attr-defined]
    return {**distribution(times, 0.5, 0.999), "p99.9 us without": without["p99.9 us"]}


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
    Measure(
        "durable, history let go",
        "the same while nine tenths of a long history are let go (real time)",
        "durable_times_while_let_go",
        pauses,
        "p99.9 us",
        ONE_KIND,
    ),
]
