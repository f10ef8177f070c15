"""Counts and percentiles: cheap to feed one by one, dear only when somebody looks."""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter

import msgspec

__all__ = ["Fates", "Histogram", "LaneMetrics", "Metrics", "Percentiles"]

FOLD_AT = 128  # numbers of 32 bytes each, in every lane of every runtime that is at work
NOTHING: Counter[int] = Counter()  # shared and never changed: making one takes longer than an activity


class Percentiles(msgspec.Struct, frozen=True):
    """A distribution in six numbers: a count, and seconds. Percentiles are within 3.2 % (a bucket is 6.25 % wide)."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class LaneMetrics(msgspec.Struct, frozen=True):
    """One lane: how many wait and may wait, how many were accepted, how long they waited and how long they took (s)."""

    depth: int
    capacity: int
    accepted: int
    wait: Percentiles
    service: Percentiles


class Metrics(msgspec.Struct, frozen=True):
    """A runtime's figures. `processed` counts every activity that was run to an end: done, failed or timed out."""

    processed: int
    failed: int
    priority: LaneMetrics
    standard: LaneMetrics


class Fates(msgspec.Struct, frozen=True):
    """What became of every accepted activity: each has exactly one fate, so the others add up to `accepted`.

    >>> Fates(accepted=3, done=2, pending=1).adds_up
    True
    """

    accepted: int = 0
    done: int = 0
    failed: int = 0
    timed_out: int = 0
    dropped: int = 0
    terminated: int = 0
    dead: int = 0
    pending: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether every accepted activity is accounted for, and none twice."""
        return self.pending >= 0 and self.accepted == self.decided + self.pending

    @property
    def decided(self) -> int:
        """How many have a fate."""
        return self.done + self.failed + self.timed_out + self.dropped + self.terminated + self.dead

    def __add__(self, other: Fates) -> Fates:
        return Fates(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )


def _edge(bucket: int) -> float:
    return float(struct.unpack("<d", b"\0" * 6 + struct.pack("<H", bucket))[0])


class Histogram:
    """A distribution of seconds in logarithmic buckets, 16 to an octave.

    `add` is the append of a plain list; the list is folded into the buckets when it has grown. The bucket of a number
    is the upper 16 bits of its binary form (sign, exponent, 4 bits of the mantissa), so a whole list is sorted into
    buckets by one slice in C: 40 ns a number where a logarithm in Python costs 130.
    Fed by one thread; `percentiles` may be called from any.

    >>> histogram = Histogram()
    >>> for ms in range(1, 101):
    ...     histogram.add(ms / 1000)
    >>> histogram.percentiles().count
    100
    >>> round(histogram.percentiles().p50, 2)
    0.05
    """

    __slots__ = ("_parts", "add")

    def __init__(self) -> None:
        self._start(NOTHING, 0.0, 0.0)

    def _start(self, counts: Counter[int], total: float, top: float) -> None:
        fresh: list[float] = []
        # One assignment, so that a reader on another thread sees each number once.
        self._parts = (counts, total, top, fresh)
        self.add = fresh.append

    def __len__(self) -> int:
        counts, _, _, fresh = self._parts
        return counts.total() + len(fresh)

    def fold(self) -> None:
        """Move what has gathered into the buckets. Only the feeding thread may call it; `add` is another one after."""
        if len(self._parts[3]) >= FOLD_AT:
            self._start(*self._merged())

    def _merged(self) -> tuple[Counter[int], float, float]:
        counts, total, top, gathered = self._parts
        fresh = array("d", tuple(gathered))
        if not fresh:
            return counts, total, top
        shorts = memoryview(fresh).cast("B").cast("H")
        upper = shorts[3::4] if sys.byteorder == "little" else shorts[0::4]
        merged: Counter[int] = Counter()
        dict.update(merged, counts)  # Counter.copy counts again, in Python: 20 us where this takes one
        merged.update(upper.tolist())
        return merged, total + sum(fresh), max(top, max(fresh))

    def percentiles(self) -> Percentiles:
        """The distribution so far."""
        counts, total, top = self._merged()
        n = counts.total()
        if not n:
            return Percentiles()
        ordered = sorted(counts.items())
        p50, p95, p99 = (self._at(ordered, n * q, top) for q in (0.50, 0.95, 0.99))
        return Percentiles(n, total / n, p50, p95, p99, top)

    @staticmethod
    def _at(ordered: list[tuple[int, int]], rank: float, top: float) -> float:
        seen = 0
        for bucket, n in ordered:
            seen += n
            if seen >= rank:
                return min(top, (_edge(bucket) + _edge(bucket + 1)) / 2) if bucket else 0.0
        return top
