"""Who sends to whom, and how it ended: counted from the records over a sliding window of the agents' clock. Bounded."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Container, Iterable
from itertools import islice, repeat
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from ...events import Outcome
from ..feed import Update

__all__ = ["OUTSIDE", "Counts", "FlowCount", "Pair", "Traffic"]

K = TypeVar("K")
L = TypeVar("L")

OUTSIDE = None  # the sender where no activity sends: a cell, a script, a person
Pair = tuple[str | None, str]  # from whom, to whom
Cell = tuple[float, Pair, int]  # its number in time, the pair, the column of `FlowCount`
PAIRS, OPEN, CELLS = 20_000, 50_000, 30
FAILED = {"failed", "timed_out"}
LOST = {"dropped", "dead", "terminated"}
LEAST = 1.0  # seconds over which a rate is counted at the least


class FlowCount(NamedTuple):
    """What one sent to another within the window: how many, how many of those failed or were lost, and the rate."""

    sent: int = 0
    failed: int = 0
    lost: int = 0
    rate: float = 0.0

    def __add__(self, other: Any) -> FlowCount:
        """Both counts together."""
        return FlowCount(*(mine + its for mine, its in zip(self, other, strict=True)))


class _Counter:
    """The counts of one key, in cells of a thirtieth of a window and in total."""

    __slots__ = ("cells", "total")

    def __init__(self, cells: Iterable[tuple[float, list[int]]] = ()) -> None:
        self.cells: deque[tuple[float, list[int]]] = deque()
        self.total = [0, 0, 0]
        for at, counts in cells:
            self.cells.append((at, list(counts)))
            self.total = [have + more for have, more in zip(self.total, counts, strict=True)]

    def add(self, at: float, cell: float, column: int, n: int = 1) -> None:
        if not self.cells or at - self.cells[-1][0] > cell / 2:  # `at` is the begin of a cell, up to rounding
            self.cells.append((at, [0, 0, 0]))
            while len(self.cells) > 2 * CELLS:  # the window became shorter, and nothing was read since
                self._forget()
        self.cells[-1][1][column] += n
        self.total[column] += n

    def since(self, start: float) -> list[int]:
        while self.cells and self.cells[0][0] < start:
            self._forget()
        return self.total

    def _forget(self) -> None:
        _, counts = self.cells.popleft()
        for column, number in enumerate(counts):
            self.total[column] -= number


class Counts(Generic[K]):
    """A counter for each key, the least recently used first. Beyond `most` keys these are forgotten."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.of: OrderedDict[K, _Counter] = OrderedDict()
        self.began: float | None = None

    def add(self, key: K, at: float, cell: float, column: int, n: int = 1) -> bool:
        """Count `n` in the cell that begins at `at`: the last one, or a later one. Returns whether the key is new."""
        counter = self.of.get(key)
        new = counter is None
        if counter is None:
            counter = self.of[key] = _Counter()
        self.of.move_to_end(key)
        if self.began is None:
            self.began = at
        counter.add(at, cell, column, n)
        while len(self.of) > self.most:
            self.of.popitem(last=False)
        return new

    def recent(self, now: float, window: float) -> dict[K, FlowCount]:
        """The counts within the window, of every key that has any."""
        span = max(LEAST, min(window, now - (self.began if self.began is not None else now)))
        found = {}
        for key, counter in self.of.items():
            if counter.cells and any(counts := counter.since(now - window)):
                found[key] = FlowCount(counts[0], counts[1], counts[2], counts[0] / span)
        return found

    def group_by(self, by: Callable[[K], L]) -> Counts[L]:
        """The same counts by a coarser key."""
        cells: dict[L, list[tuple[float, list[int]]]] = {}
        for key, counter in self.of.items():
            cells.setdefault(by(key), []).extend(counter.cells)
        coarser: Counts[L] = Counts(self.most)
        coarser.began = self.began
        for name, many in cells.items():
            coarser.of[name] = _Counter(sorted(many, key=itemgetter(0)))
        return coarser


class _Batch(NamedTuple):
    """The sends in some records: counts by cell and pair, the ones that are still open, and ends of earlier ones."""

    counted: Counter[Cell]
    opened: dict[int, Pair]
    ended: list[Outcome]

    @classmethod
    def of(cls, update: Update, cell: float) -> _Batch:
        # Counted by C code where possible: there may be as many as the ring holds, ten times a second.
        pairs = [(each.source, each.runtime) for each in update.activities]
        cells = [each.created // cell for each in update.activities]
        counted = Counter(zip(cells, pairs, repeat(0)))
        opened = dict(zip([each.id for each in update.activities], pairs, strict=True))
        ended = []
        for outcome in update.outcomes:
            pair = opened.pop(outcome.id, None)
            if pair is None:
                ended.append(outcome)
            elif outcome.kind != "done":
                counted[_failure_key(outcome, pair, cell)] += 1
        return cls(counted, opened, ended)


def _failure_key(outcome: Outcome, pair: Pair, cell: float) -> Cell:
    return outcome.finished // cell, pair, 1 if outcome.kind in FAILED else 2


def _cell_of(item: tuple[Cell, int]) -> float:
    return item[0][0]


class Traffic:
    """Reads records in their order and counts them by pair of runtimes, and by edge: the pair of their nodes."""

    def __init__(self) -> None:
        self.pairs: Counts[Pair] = Counts(PAIRS)
        self.edges: Counts[Any] = Counts(PAIRS)
        self.open: dict[int, Pair] = {}
        self.counted: list[tuple[Cell, int]] = []  # what `take` read last, in the order of the cells

    def take(self, update: Update, window: float) -> list[Pair]:
        """Count the new records. Returns the pairs that are new; `count_edges` then counts by edge."""
        cell = window / CELLS
        batch = update.once(("traffic", cell), lambda: _Batch.of(update, cell))
        counted = batch.counted.copy()
        for outcome in batch.ended:
            pair = self.open.pop(outcome.id, None)
            if pair is not None and outcome.kind != "done":
                counted[_failure_key(outcome, pair, cell)] += 1
        self.counted = sorted(counted.items(), key=_cell_of)
        self.open.update(batch.opened)
        for id in list(islice(self.open, max(0, len(self.open) - OPEN))):
            del self.open[id]
        return [pair for (at, pair, column), n in self.counted if self.pairs.add(pair, at * cell, cell, column, n)]

    def count_edges(self, edge: Callable[[Pair], Any], window: float) -> None:
        """Count what `take` read last by edge too."""
        cell = window / CELLS
        for (at, pair, column), n in self.counted:
            self.edges.add(edge(pair), at * cell, cell, column, n)

    def regroup(self, edge: Callable[[Pair], Any]) -> None:
        """Count by other edges from now on, the earlier records too."""
        self.edges = self.pairs.group_by(edge)

    def forget(self, known: Container[str]) -> None:
        """Forget the pairs of runtimes that are not among the known."""
        for pair in [pair for pair in self.pairs.of if not all(id is OUTSIDE or id in known for id in pair)]:
            del self.pairs.of[pair]
