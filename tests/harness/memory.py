"""How much memory work keeps, for tests of code that must not grow."""

import gc
import tracemalloc
from collections.abc import Callable

PARTS = 3


def lasting_growth(work: Callable[[], object]) -> int:
    """Bytes that each of several parts of some work keeps at least: what is imported meanwhile is kept by one of them.

    Args:
        work: One part. It is done `PARTS` times.
    """
    grown = []
    tracemalloc.start()
    try:
        for _ in range(PARTS):
            before = tracemalloc.get_traced_memory()[0]
            work()
            gc.collect()  # what has ended lies in cycles until then
            grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    return min(grown)
