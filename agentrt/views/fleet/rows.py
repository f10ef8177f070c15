"""The rows of the fleet: what they hold, their order, and which page of them is shown. No widgets here."""

from __future__ import annotations

import time
from typing import Any

from ...feed.source import Source
from ...metrics import LaneMetrics
from ...snapshot import Snapshot
from ..feed import Update
from ..text import plain
from ..theme import look_of

__all__ = ["COLUMNS", "FleetRows", "Rates", "fleet_row"]

PAGE = 25
COLUMNS = (
    "status", "id", "priority", "standard", "rate", "wait_priority", "wait_standard", "service50", "service95",
    "processed", "failed", "error",
)  # fmt: skip
TIMES = {"wait_priority", "wait_standard", "service50", "service95"}

Row = dict[str, Any]


class Rates:
    """Activities per second of each runtime on the page, over a second or more of its own clock."""

    def __init__(self) -> None:
        self._readings: dict[str, tuple[float, int, float]] = {}

    def of(self, id: str, at: float, processed: int, least: float = 1.0) -> float:
        """The rate, from how many had been processed at the last call."""
        before, count, rate = self._readings.get(id, (at, processed, 0.0))
        if at - before >= least or id not in self._readings:
            rate = (processed - count) / (at - before) if at > before else 0.0
            self._readings[id] = (at, processed, rate)
        return rate

    def keep(self, ids: set[str]) -> None:
        """Forget all others."""
        self._readings = {id: reading for id, reading in self._readings.items() if id in ids}


def fleet_row(shot: Snapshot, rate: float) -> Row:
    """What the table shows of one runtime, as plain text and numbers."""
    fates, look = shot.fates, look_of(shot.status.value)
    lanes = (
        [lane for lane in (shot.metrics.priority, shot.metrics.standard) if lane.service.count] if shot.metrics else []
    )
    slowest: LaneMetrics | None = max(lanes, key=lambda lane: lane.service.p95, default=None)
    error = shot.error and (shot.error.__cause__ or shot.error)
    return {
        "status": f"{look.glyph} {look.word}",
        "id": plain(shot.id, 80),
        "priority": shot.depth[0],
        "standard": shot.depth[1],
        "rate": round(rate, 2),
        "wait_priority": _p95(shot.metrics.priority if shot.metrics else None),
        "wait_standard": _p95(shot.metrics.standard if shot.metrics else None),
        "service50": slowest.service.p50 if slowest else None,
        "service95": slowest.service.p95 if slowest else None,
        "processed": fates.done + fates.failed + fates.timed_out,
        "failed": fates.failed + fates.timed_out,
        "error": plain(f"{type(error).__name__}: {error}", 120) if error else "",
        "tone": look.tone,
        "fill_priority": _fill_percent(shot.depth[0], shot.capacity[0]),
        "fill_standard": _fill_percent(shot.depth[1], shot.capacity[1]),
    }


def _p95(lane: LaneMetrics | None) -> float | None:
    return lane.wait.p95 if lane is not None and lane.wait.count else None


def _fill_percent(depth: int, capacity: int) -> int:
    return 0 if not depth or not capacity else min(100, max(4, round(100 * depth / capacity)))


class FleetRows:
    """All runtimes of a manager, ended ones last: filtered, sorted, and one page of them as rows."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.search = ""
        self.sort: tuple[str, bool] | None = None
        self.page = 0
        self.rates = Rates()
        self.order: list[str] = []
        self.ordered_at = 0.0

    @property
    def total(self) -> int:
        """How many there are, ended ones included."""
        return len(self.source.runtimes) + len(self.source.ended)

    @property
    def pages(self) -> int:
        """How many pages the runtimes found take."""
        return max(1, -(-len(self.order) // PAGE))

    @property
    def visible(self) -> list[str]:
        """The ids on this page."""
        self.page = min(self.page, self.pages - 1)
        return self.order[self.page * PAGE : (self.page + 1) * PAGE]

    def reorder(self) -> bool:
        """Filter and sort again. Returns whether the page holds other runtimes, or the same in another order."""
        before = self.visible
        live = self.source.runtimes
        ids = [*live, *(id for id in self.source.ended if id not in live)]
        wanted = self.search.casefold()
        found = [id for id in ids if wanted in id.casefold()] if wanted else ids
        self.order = self._sort_ids(found)
        self.ordered_at = time.monotonic()
        return self.visible != before

    def _sort_ids(self, ids: list[str]) -> list[str]:
        if self.sort is None:
            return ids
        field, down = self.sort
        live = self.source.runtimes
        rows = ((id, self._row(id, field in TIMES)) for id in ids if id in live)
        keys = {id: _sort_key(row, field) for id, row in rows if row is not None}
        ended = [id for id in ids if id not in keys]
        return sorted(keys, key=keys.__getitem__, reverse=down) + ended

    def stale(self, after: float) -> bool:
        """Whether it is sorted by a column that changes, more than `after` seconds ago."""
        return self.sort is not None and self.sort[0] != "id" and time.monotonic() - self.ordered_at > after

    def read(self, id: str, update: Update | None = None) -> Row | None:
        """The row of one runtime now, or as of this update; None if it is gone for good."""
        if update is None:
            return self._row(id, metrics=True)
        return self._of(update.once(("snapshot", id), lambda: self.source.snapshot(id)))

    def _row(self, id: str, metrics: bool) -> Row | None:
        return self._of(self.source.snapshot(id, metrics))

    def _of(self, shot: Snapshot | None) -> Row | None:
        if shot is None:
            return None
        ended = shot.fates.done + shot.fates.failed + shot.fates.timed_out
        return fleet_row(shot, self.rates.of(shot.id, shot.at, ended, max(1.0, self._second)))

    @property
    def _second(self) -> float:
        speed = self.source.speed
        return speed if 0 < speed < float("inf") else 1.0


def _sort_key(row: Row, field: str) -> Any:
    value = row[field]
    return (value is not None, value if value is not None else 0)
