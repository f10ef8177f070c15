"""The rows of the fleet: what they hold, their order, and which page of them is shown. No widgets here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from ...feed.source import Found, Source
from ...metrics import LaneMetrics
from ...snapshot import Snapshot
from ..feed import Update
from ..text import plain
from ..theme import look_of

__all__ = ["COLUMNS", "FleetRows", "Rates", "fleet_row"]

PAGE = 25
READINGS = 12
SHARE = 0.05  # of the time that sorting may take
COLUMNS = (
    "status", "id", "priority", "standard", "rate", "wait_priority", "wait_standard", "service50", "service95",
    "processed", "failed", "error",
)  # fmt: skip

Row = dict[str, Any]


class Rates:
    """Activities per second of each runtime on the page, over the last twelve readings, a second or more apart."""

    def __init__(self) -> None:
        self._readings: dict[str, deque[tuple[float, int]]] = {}

    def of(self, id: str, at: float, processed: int, least: float = 1.0) -> float:
        """The rate, from how many had been processed at the calls before."""
        readings = self._readings.setdefault(id, deque(maxlen=READINGS))
        if not readings or at - readings[-1][0] >= least:
            readings.append((at, processed))
        (since, done), (until, total) = readings[0], readings[-1]
        return (total - done) / (until - since) if until > since else 0.0

    def keep(self, ids: set[str]) -> None:
        """Forget all others."""
        self._readings = {id: reading for id, reading in self._readings.items() if id in ids}


def fleet_row(shot: Snapshot, rate: float, speed: float = 1.0) -> Row:
    """What the table shows of one runtime, as plain text and numbers. `speed`: of its clock."""
    fates, look = shot.fates, look_of(shot.status.value)
    lanes = (
        [lane for lane in (shot.metrics.priority, shot.metrics.standard) if lane.service.count] if shot.metrics else []
    )
    slowest: LaneMetrics | None = max(lanes, key=lambda lane: lane.service.p95, default=None)
    error = shot.error and (shot.error.__cause__ or shot.error)
    return {
        "status": look.word,
        "id": plain(shot.id, 80),
        "priority": shot.depth[0],
        "standard": shot.depth[1],
        "rate": round(rate, 5),
        "speed": speed,
        "wait_priority": _p95(shot.metrics.priority if shot.metrics else None),
        "wait_standard": _p95(shot.metrics.standard if shot.metrics else None),
        "service50": slowest.service.p50 if slowest else None,
        "service95": slowest.service.p95 if slowest else None,
        "processed": fates.done + fates.failed + fates.timed_out,
        "failed": fates.failed + fates.timed_out,
        "error": plain(f"{type(error).__name__}: {error}", 120) if error else "",
        "fill_priority": _fill_percent(shot.depth[0], shot.capacity[0]),
        "fill_standard": _fill_percent(shot.depth[1], shot.capacity[1]),
    }


def _p95(lane: LaneMetrics | None) -> float | None:
    return lane.wait.p95 if lane is not None and lane.wait.count else None


def _fill_percent(depth: int, capacity: int) -> int:
    return 0 if not depth or not capacity else min(100, max(4, round(100 * depth / capacity)))


class FleetRows:
    """All runtimes of a source, ended ones last: filtered, sorted, and one page of them as rows."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.search = ""
        self.sort: tuple[str, bool] | None = None
        self.page = 0
        self.rates = Rates()
        self.found = Found()
        self.ordered_at = 0.0
        self.took = 0.0  # real seconds of the last sort

    @property
    def pages(self) -> int:
        """How many pages the runtimes found take."""
        return max(1, -(-self.found.found // PAGE))

    @property
    def visible(self) -> tuple[str, ...]:
        """The ids on this page."""
        return self.found.ids

    def reorder(self) -> bool:
        """Filter and sort again. Returns whether the page holds other runtimes, or the same in another order."""
        before, started = self.visible, time.monotonic()
        self.found = self._find()
        if self.page >= self.pages:  # some of them have gone
            self.page = self.pages - 1
            self.found = self._find()
        self.ordered_at = time.monotonic()
        self.took = self.ordered_at - started
        return self.visible != before

    def _find(self) -> Found:
        sort, down = self.sort or ("", False)
        return self.source.find(self.search, sort, down, self.page * PAGE, PAGE)

    def stale(self, after: float) -> bool:
        """Whether it is sorted by a column that changes, more than `after` seconds ago; more where that is slow."""
        if self.sort is None or self.sort[0] == "id":
            return False
        return time.monotonic() - self.ordered_at > max(after, self.took / SHARE)

    def read(self, ids: Iterable[str], update: Update | None = None) -> dict[str, Row]:
        """The rows of these runtimes now, or as of this update; without those that are gone for good."""
        wanted = tuple(ids)
        if update is None:
            shots = self.source.figures(wanted)
        else:
            shots = update.once(("figures", wanted), lambda: self.source.figures(wanted))
        return {shot.id: self._row(shot) for shot in shots}

    def _row(self, shot: Snapshot) -> Row:
        ended = shot.fates.done + shot.fates.failed + shot.fates.timed_out
        return fleet_row(shot, self.rates.of(shot.id, shot.at, ended, max(1.0, self._second)), self.source.speed)

    @property
    def _second(self) -> float:
        speed = self.source.speed
        return speed if 0 < speed < float("inf") else 1.0
