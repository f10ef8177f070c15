"""What a measure is, and how one sample of it is taken."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any, NamedTuple

from .peer import Peer
from .sizes import Size
from .stopwatch import Figures, Stopwatch
from .work import KINDS, STRUCT, Kind

Sample = Callable[[Peer, Kind, Size], Figures]


class Measure(NamedTuple):
    """One measure. A peer takes part if it has `method`; the figure `main` is printed and compared."""

    name: str
    text: str
    method: str
    sample: Sample
    main: str = "us"
    kinds: tuple[Kind, ...] = KINDS
    most_rounds: int = 100


ONE_KIND = (STRUCT,)


def run(sample: Any) -> Any:
    """One sample on a new loop, after a garbage collection."""
    gc.collect()
    return asyncio.run(sample)


def throughput(method: str) -> Sample:
    """A sample of `peer.method(kind, n, watch)`: CPU microseconds per activity."""

    def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
        watch, n = Stopwatch(), peer.some(size.activities)
        run(getattr(peer, method)(kind, n, Stopwatch()))  # memory is touched for the first time, for each peer alike
        run(getattr(peer, method)(kind, n, watch))
        return watch.each(n)

    return sample
