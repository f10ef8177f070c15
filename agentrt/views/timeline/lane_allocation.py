"""Which runtimes get a lane where there are more runtimes than lanes: those with failures first, then the busiest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = ["LaneAllocation"]


class LaneAllocation:
    """`rows` is the lane of each runtime that has one, from 0 to `most` - 1; it keeps its lane.

    With `wanted` only runtimes whose ids contain it get one.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.wanted = ""
        self.rows: dict[str, int] = {}
        self.active: dict[str, float] = {}
        self.failing: dict[str, float] = {}
        self.left_out: set[str] = set()

    def mark_active(self, ids: Iterable[str], at: float) -> None:
        """Note that these did something."""
        self.active.update(dict.fromkeys(ids, at))

    def mark_failing(self, id: str, at: float) -> None:
        """Note that an activity of this one failed."""
        self.failing[id] = at

    def search(self, text: str) -> None:
        """Give lanes only to runtimes with this in their ids, from the next `allocate` on."""
        self.wanted = text.strip().casefold()

    def allocate(self, since: float, busy: Iterable[str]) -> bool:
        """Give the lanes to the runtimes that were active since then. Returns whether any lane has another runtime now.

        An active runtime keeps its lane, unless one with failures has none. `busy` holds an id once for each activity.
        """
        before = dict(self.rows)
        self.active = {id: at for id, at in self.active.items() if at >= since or id in self.rows}
        self.failing = {id: at for id, at in self.failing.items() if at >= since}
        self.rows = {id: row for id, row in self.rows.items() if self.matches(id)}
        waiting = [id for id in self.active if id not in self.rows and self.matches(id)]
        if len(waiting) > self.most - len(self.rows):
            work = Counter(busy)
            waiting.sort(key=lambda id: (id in self.failing, work[id]), reverse=True)
        idle = sorted((id for id in self.rows if self.active[id] < since), key=self.active.__getitem__)
        healthy = [id for id in self.rows if id not in self.failing and id not in idle]
        for id in waiting:
            if len(self.rows) < self.most:
                self.rows[id] = min(set(range(self.most)) - set(self.rows.values()))
            elif idle:
                self.rows[id] = self.rows.pop(idle.pop(0))
            elif healthy and id in self.failing:
                self.rows[id] = self.rows.pop(healthy.pop())
            else:
                break
        self.left_out = {id for id in waiting if id not in self.rows}
        return self.rows != before

    def matches(self, id: str) -> bool:
        """Whether its id contains what is searched for."""
        return not self.wanted or self.wanted in id.casefold()
