"""The cost of one of many activities: one-way, awaited, in a fleet, with a suspension, as a workflow step."""

from __future__ import annotations

from ..measure import Measure, run, throughput
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures, Stopwatch
from ..work import Kind


def fleet(peer: Peer, kind: Kind, size: Size) -> Figures:
    agents, each = size.fleet[0], max(2, int(size.fleet[1] * max(peer.share, 0.02)))
    watch = Stopwatch()
    run(peer.fleet(kind, agents, each, watch))  # type: ignore[attr-defined]
    return watch.each(agents * each)


MEASURES = [
    Measure("one-way", "sent in bursts of 1,000, only the last of a burst awaited", "one_way", throughput("one_way")),
    Measure(
        "completion",
        "each sent and its completion awaited, one after the other",
        "completion",
        throughput("completion"),
    ),
    Measure("burst", "sent in bursts of 1,000, then each completion awaited", "burst", throughput("burst")),
    Measure("fleet", "many agents, sent in turn, the last of each awaited", "fleet", fleet),
    Measure(
        "suspends",
        "one-way; the workflow suspends once. agentrt has a timeout armed, the others none",
        "suspends",
        throughput("suspends"),
    ),
    Measure("step", "one step of a workflow engine beside one activity, one-way", "step", throughput("step")),
]
