"""The rounds: every measure, kind and peer in turn, over and over, so that a disturbance hits all of them alike."""

from __future__ import annotations

import gc
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from .measure import Measure
from .peer import Peer
from .sizes import Size
from .targets import Key, Results
from .work import Kind

Cell = tuple[Measure, Kind, Peer]


def cells(measures: Sequence[Measure], peers: Sequence[Peer], turn: int, heavy: int) -> Iterator[Cell]:
    """Those who take part, neighbours in time; each round another one begins."""
    for measure in measures:
        if turn < measure.most_rounds and (turn < heavy or measure.most_rounds > 5):
            for kind in measure.kinds:
                able = [peer for peer in peers if peer.takes_part(measure.method)]
                first = turn % max(1, len(able))
                yield from ((measure, kind, peer) for peer in (*able[first:], *able[:first]))


def run(measures: Sequence[Measure], peers: Sequence[Peer], size: Size) -> tuple[Results, list[str]]:
    """All rounds; and what went wrong with a peer, which takes no part in that measure any more."""
    results: defaultdict[Key, list[dict[str, float]]] = defaultdict(list)
    failed: dict[Key, str] = {}
    started = time.perf_counter()
    for turn in range(size.rounds):
        for measure, kind, peer in cells(measures, peers, turn, size.heavy):
            key = measure.name, kind.name, peer.name
            if key in failed:
                continue
            tell(f"round {turn + 1} of {size.rounds}: {', '.join(key)}", started)
            try:
                results[key].append(measure.sample(peer, kind, size))
            except Exception as error:  # a peer is anybody's code; ours must not fail
                if peer.name == "agentrt":
                    raise
                failed[key] = f"{', '.join(key)}: {type(error).__name__}: {error}"
                results.pop(key, None)
            # What imports have made is not swept again and again in everybody's time.
            if not turn:
                gc.freeze()
    gc.unfreeze()
    tell("done", started, "\n")
    return dict(results), list(failed.values())


def tell(text: str, started: float, end: str = "") -> None:
    if sys.stderr.isatty() or end:
        print(f"\r\x1b[K{time.perf_counter() - started:4.0f} s  {text}", end=end, file=sys.stderr, flush=True)
