"""The last records of a manager in another process, at the positions that they have there."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Any

from ..engine.hub import Frame
from ..events import Ring

__all__ = ["Mirror"]


class Mirror(Ring):
    """A ring with gaps: a reader that falls behind does not get every record, and says how many are missing."""

    def __init__(self, limit: int = 20_000) -> None:
        super().__init__(limit)
        self._places: list[int] = []
        self._end = 0
        self._guard = threading.Lock()

    @property
    def cursor(self) -> int:
        """The position of the next record."""
        return self._end

    def add(self, records: list[Any], missed: int) -> None:
        """Add records that came after `missed` others that did not."""
        with self._guard:
            start = self._end + missed
            self.records += records
            self._places += range(start, start + len(records))
            self._end = start + len(records)
            if (extra := len(self.records) - self.limit) > 0:
                del self.records[:extra], self._places[:extra]

    def forget(self) -> None:
        """Let go of all records: they are of a manager that is gone. Positions go on."""
        with self._guard:
            self.records.clear()
            self._places.clear()

    def since(self, cursor: int, until: int | None = None) -> tuple[list[Any], int, int]:
        """The records from `cursor` on, the cursor to use next, and how many are missing in between."""
        with self._guard:
            end = self._end if until is None else min(until, self._end)
            found = self.records[bisect_left(self._places, cursor) : bisect_left(self._places, end)]
            end = max(end, cursor)
            return found, end, max(0, end - cursor - len(found))

    def positions(self) -> list[tuple[int, Any]]:
        """The records that are kept, each with its position."""
        with self._guard:
            return list(zip(self._places, self.records, strict=True))

    def frame(self, now: float, cursor: int) -> Frame:
        """All that happened since a cursor, as a source gives it."""
        records, end, missed = self.since(cursor)
        changed = {record.runtime for record in records if record.runtime}
        return Frame(now, records, missed, changed, first=not cursor, cursor=end)
