"""What a border between two nodes costs: `python -m benchmarks --distributed`."""

from __future__ import annotations

from ..measure import ONE_KIND, Measure
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, Stopwatch, distribution
from ..work import Kind


def link(peer: Peer, kind: Kind, size: Size) -> Figures:
    watch, n = Stopwatch(), peer.some(size.sent)
    peer.link(n, watch)  # type: ignore[attr-defined]
    return watch.each(n)


def pool(peer: Peer, kind: Kind, size: Size) -> Figures:
    watch, n = Stopwatch(), peer.some(size.sent)
    peer.pool(n, watch)  # type: ignore[attr-defined]
    return watch.each(n)


def ask(peer: Peer, kind: Kind, size: Size) -> Figures:
    return distribution(peer.ask_times(size.asks), 0.5, 0.99)  # type: ignore[attr-defined]


def crowd(peer: Peer, kind: Kind, size: Size) -> Figures:
    watch = Stopwatch()
    pause = peer.crowd(size.crowd, watch)  # type: ignore[attr-defined]
    return {"s for 100,000": watch.wall / size.crowd * 100_000, "s a frame": pause}


MEASURES = [
    Measure("link", "bursts of 1,000 to an agent on another node (real time)", "link", link, "wall us", ONE_KIND),
    Measure(
        "pool", "bursts of 1,000 to an agent on each of three nodes (real time)", "pool", pool, "wall us", ONE_KIND
    ),
    Measure(
        "ask across nodes", "an agent on one node asks one on another (real time)", "ask_times", ask, "p50 us", ONE_KIND
    ),
    Measure(
        "crowd",
        "agents created over three nodes, and their first page in a browser (real time)",
        "crowd",
        crowd,
        "s for 100,000",
        ONE_KIND,
        1,
    ),
]
DISTRIBUTED: dict[str, Measure] = {measure.name: measure for measure in MEASURES}
