"""Measured time: CPU seconds of the whole process, and seconds of real time (the wall clock)."""

from __future__ import annotations

import time
from collections.abc import Sequence

Figures = dict[str, float]


class Stopwatch:
    """Adds up the time inside `with watch:`; preparation stands outside of it."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def __enter__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.wall += time.perf_counter() - self._wall
        self.cpu += time.process_time() - self._cpu

    def each(self, n: int) -> Figures:
        """Microseconds per activity."""
        return {"us": self.cpu / n * 1e6, "wall us": self.wall / n * 1e6}


def percentile(values: Sequence[float], q: float) -> float:
    """The percentile by nearest rank: always one of the measured values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def distribution(seconds: Sequence[float], *quantiles: float) -> Figures:
    """{"p50 us": ..., "p99 us": ...}"""
    return {f"p{100 * q:g} us": percentile(seconds, q) * 1e6 for q in quantiles}
