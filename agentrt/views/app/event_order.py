"""The way from one recorded event to another: which ones there are, and which one comes before and after."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Any, NamedTuple

from ...events import Record

__all__ = ["EVERYTHING", "EventOrder", "Scope"]


class Scope(NamedTuple):
    """Which events count: of one runtime, of one of its lanes, of one kind; None is any."""

    runtime: str | None = None
    lane: str | None = None
    kind: str | None = None

    def has(self, record: Any) -> bool:
        """Whether an event counts."""
        if self.runtime is not None and record.runtime != self.runtime:
            return False
        lane = getattr(record, "lane", None)  # of what has none, as a pause, it does not count
        if self.lane is not None and (lane is None or str(lane) != self.lane):
            return False
        return self.kind is None or record.kind == self.kind


EVERYTHING = Scope()


class EventOrder:
    """Events in their order. A moment is the number of an event, after which it is; None is now.

    >>> from agentrt import Event
    >>> events = [(n, Event(n, "a", float(n), kind)) for n, kind in ((3, "paused"), (5, "resumed"), (9, "paused"))]
    >>> way = EventOrder(events)
    >>> way.before(None), way.before(9), way.before(9, Scope(kind="paused")), way.after(9)
    (9, 5, 3, None)
    >>> way.at_part(0.5), way.part_of(5)
    (5, 0.5)
    """

    def __init__(self, events: Iterable[tuple[int, Record]] = ()) -> None:
        ordered = sorted(events, key=itemgetter(0))
        self.moments = [moment for moment, _ in ordered]
        self.records = [record for _, record in ordered]

    def __len__(self) -> int:
        return len(self.records)

    def find(self, moment: int) -> Record | None:
        """The last event up to a moment."""
        place = bisect_right(self.moments, moment)
        return self.records[place - 1] if place else None

    def count_after(self, moment: int) -> int:
        """How many events there were after it."""
        return len(self) - bisect_right(self.moments, moment)

    def before(self, moment: int | None, scope: Scope = EVERYTHING) -> int | None:
        """The event that counts before a moment; None if there is none."""
        place = len(self) if moment is None else bisect_left(self.moments, moment)
        return next((self.moments[i] for i in range(place - 1, -1, -1) if scope.has(self.records[i])), None)

    def after(self, moment: int, scope: Scope = EVERYTHING) -> int | None:
        """The event that counts after a moment; None if there is none."""
        place = bisect_right(self.moments, moment)
        return next((self.moments[i] for i in range(place, len(self)) if scope.has(self.records[i])), None)

    def at_part(self, part: float) -> int | None:
        """The event at a part of the way, 0 to 1; None if there is none."""
        if not self.records:
            return None
        return self.moments[min(len(self) - 1, max(0, round(part * (len(self) - 1))))]

    def part_of(self, moment: int | None) -> float:
        """How far along the way a moment is, 0 to 1."""
        if moment is None or len(self) < 2:
            return 1.0
        return max(0, bisect_right(self.moments, moment) - 1) / (len(self) - 1)

    def kinds(self) -> list[str]:
        """The kinds of its events, the most frequent ones first."""
        counts: dict[str, int] = {}
        for record in self.records:
            counts[record.kind] = counts.get(record.kind, 0) + 1
        return sorted(counts, key=lambda kind: (-counts[kind], kind))
