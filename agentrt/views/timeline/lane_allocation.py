"""Who has a lane where there are more runtimes than lanes: who is in trouble, then who does most; nobody moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = ["Seats"]


class Seats:
    """`rows` says which lane a runtime has, from 0 to `most` - 1. With `wanted` only names that hold it have one."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.wanted = ""
        self.rows: dict[str, int] = {}
        self.active: dict[str, float] = {}
        self.troubled: dict[str, float] = {}
        self.left_out: set[str] = set()

    def meet(self, ids: Iterable[str], at: float) -> None:
        """These did something."""
        self.active.update(dict.fromkeys(ids, at))

    def blame(self, id: str, at: float) -> None:
        """Something of this one ended badly."""
        self.troubled[id] = at

    def search(self, text: str) -> None:
        """Only runtimes with this in their names, from the next arranging on."""
        self.wanted = text.strip().casefold()

    def arrange(self, since: float, busy: Iterable[str]) -> bool:
        """Give out the lanes to who was active since then; `busy` names a runtime once for each thing it did.

        Whether any changed hands. Who has one keeps it while it is active, unless one in trouble has none.
        """
        before = dict(self.rows)
        self.active = {id: at for id, at in self.active.items() if at >= since or id in self.rows}
        self.troubled = {id: at for id, at in self.troubled.items() if at >= since}
        self.rows = {id: row for id, row in self.rows.items() if self.fits(id)}
        waiting = [id for id in self.active if id not in self.rows and self.fits(id)]
        if len(waiting) > self.most - len(self.rows):
            did = Counter(busy)
            waiting.sort(key=lambda id: (id in self.troubled, did[id]), reverse=True)
        idle = sorted((id for id in self.rows if self.active[id] < since), key=self.active.__getitem__)
        calm = [id for id in self.rows if id not in self.troubled and id not in idle]
        for id in waiting:
            if len(self.rows) < self.most:
                self.rows[id] = min(set(range(self.most)) - set(self.rows.values()))
            elif idle:
                self.rows[id] = self.rows.pop(idle.pop(0))
            elif calm and id in self.troubled:
                self.rows[id] = self.rows.pop(calm.pop())
            else:
                break
        self.left_out = {id for id in waiting if id not in self.rows}
        return self.rows != before

    def fits(self, id: str) -> bool:
        """Whether its name holds what is searched for."""
        return not self.wanted or self.wanted in id.casefold()
