"""Who sends to whom, and how it went: counted from the records over a sliding window of the agents' clock. Bounded."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple

from ..activity import Activity
from ..events import Outcome

__all__ = ["OUTSIDE", "Flowing", "Pair", "Traffic"]

OUTSIDE = None  # who sends when no activity does: a cell, a script, a person
Pair = tuple[str | None, str]  # from whom, to whom
PAIRS, OPEN, CELLS = 20_000, 50_000, 30
FAILED = {"failed", "timed_out"}
LOST = {"dropped", "dead", "terminated"}
LEAST = 1.0  # seconds: a rate over less says nothing


class Flowing(NamedTuple):
    """What went from one to another within the window: how many, how many of those ended so, and how many a second."""

    sent: int = 0
    failed: int = 0
    lost: int = 0
    rate: float = 0.0

    def __add__(self, other: Any) -> Flowing:
        """Two flows as one."""
        return Flowing(*(mine + its for mine, its in zip(self, other, strict=True)))


class _Counter:
    """The counts of one pair, in cells of a thirtieth of a window and in all."""

    __slots__ = ("cells", "total")

    def __init__(self) -> None:
        self.cells: deque[tuple[float, list[int]]] = deque()
        self.total = [0, 0, 0]

    def add(self, at: float, cell: float, column: int) -> None:
        if not self.cells or at - self.cells[-1][0] > cell:
            self.cells.append((at, [0, 0, 0]))
            if len(self.cells) > 2 * CELLS:  # the window has become shorter, and nobody has looked since
                self._forget()
        self.cells[-1][1][column] += 1
        self.total[column] += 1

    def since(self, start: float) -> list[int]:
        while self.cells and self.cells[0][0] < start:
            self._forget()
        return self.total

    def _forget(self) -> None:
        _, counts = self.cells.popleft()
        for column, number in enumerate(counts):
            self.total[column] -= number


class Traffic:
    """Takes records in their order; tells what flows. Pairs that are quiet longest are forgotten beyond `PAIRS`."""

    def __init__(self) -> None:
        self.pairs: OrderedDict[Pair, _Counter] = OrderedDict()
        self.open: OrderedDict[int, Pair] = OrderedDict()
        self.began: float | None = None
        self.forgotten = 0

    def take(self, records: Iterable[Any], window: float) -> list[Pair]:
        """Count what is new. Returns the pairs that were not known before, in order."""
        cell, new = window / CELLS, []
        for record in records:
            if isinstance(record, Activity):
                pair = (record.source, record.runtime)
                if pair not in self.pairs:
                    new.append(pair)
                self.open[record.id] = pair
                self._count(pair, record.created, cell, 0)
            elif isinstance(record, Outcome):
                ended = self.open.pop(record.id, None)
                if ended is not None and record.kind != "done":
                    self._count(ended, record.finished, cell, 1 if record.kind in FAILED else 2)
        self._bound()
        return new

    def _count(self, pair: Pair, at: float, cell: float, column: int) -> None:
        counter = self.pairs.get(pair)
        if counter is None:
            counter = self.pairs[pair] = _Counter()
        self.pairs.move_to_end(pair)
        if self.began is None:
            self.began = at
        counter.add(at, cell, column)

    def _bound(self) -> None:
        while len(self.pairs) > PAIRS:
            self.pairs.popitem(last=False)
            self.forgotten += 1
        while len(self.open) > OPEN:
            self.open.popitem(last=False)

    def forget(self, known: Container[str]) -> None:
        """Forget the pairs of those that are not known any more."""
        for pair in [pair for pair in self.pairs if not all(id is OUTSIDE or id in known for id in pair)]:
            del self.pairs[pair]

    def flowing(self, now: float, window: float) -> Iterator[tuple[Pair, Flowing]]:
        """Every pair that anything went between within the window."""
        span = max(LEAST, min(window, now - (self.began if self.began is not None else now)))
        for pair, counter in self.pairs.items():
            if counter.cells:
                counts = counter.since(now - window)
                if any(counts):
                    yield pair, Flowing(counts[0], counts[1], counts[2], counts[0] / span)
