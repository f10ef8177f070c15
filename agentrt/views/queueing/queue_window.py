"""The queue of a runtime over the last minutes: rates, mean times and mean lengths, updated record by record.

A record costs the same whatever the window holds, and so does a reading: there is a sum for each slot of time, and when
a slot leaves the window its sums are subtracted.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from ...activity import Activity, Lane
from ...events import Outcome
from ...queueing import Stream

__all__ = ["Queue", "QueueWindow", "Reading"]

SLOTS = 60
HALTS = ("paused", "failed", "stuck")
LEAST = 1e-9


class Queue(NamedTuple):
    """One lane over the window. `wait` is the mean of all that left it, `length` the mean of how many were in it."""

    arrived: int
    left: int
    ran: int
    rate: float
    wait: float
    length: float
    stream: Stream


class Reading(NamedTuple):
    """A window of `span` seconds: both lanes, the busy share of it, and what happened that no formula allows for."""

    span: float
    priority: Queue
    standard: Queue
    busy: float
    delayed: int
    unserved: int
    halted: bool

    @property
    def arrived(self) -> int:
        """How many arrived."""
        return self.priority.arrived + self.standard.arrived

    @property
    def ran(self) -> int:
        """How many were run to an end."""
        return self.priority.ran + self.standard.ran


class Sums:
    """Sums by name over the slots of a window."""

    def __init__(self) -> None:
        self.total: dict[Any, float] = defaultdict(float)
        self.slots: dict[int, dict[Any, float]] = {}

    def add(self, slot: int, name: Any, value: float = 1.0) -> None:
        """Add a value to a slot."""
        sums = self.slots.setdefault(slot, defaultdict(float))
        sums[name] += value
        self.total[name] += value

    def drop(self, slot: int) -> dict[Any, float]:
        """Subtract a slot, and return what was in it."""
        sums = self.slots.pop(slot, {})
        for name, value in sums.items():
            self.total[name] -= value
        return sums


class QueueWindow:
    """The window of one runtime: `start`, then `take` what is new, and `read` at any time."""

    def __init__(self, span: float) -> None:
        self.span = span
        self.start(0.0, ())

    def start(self, since: float, waiting: Iterable[Activity[Any]]) -> None:
        """Begin at `since`, with the activities that wait and whose acceptance is no longer recorded."""
        self.since = self.origin = since
        self.first = self.slot(since)
        self.sums = Sums()
        self.base: dict[Any, float] = defaultdict(float)  # how many were in each place at the start of the window
        self.waiting: dict[int, tuple[Lane, float]] = {}
        self.halts: deque[float] = deque(maxlen=SLOTS)
        for activity in waiting:
            self._add_waiting(activity)

    @property
    def moves(self) -> bool:
        """Whether a later reading differs without a new record: something still waits, or is to leave the window."""
        return bool(self.sums.slots or self.waiting)

    def slot(self, at: float) -> int:
        """Which slot a time is in."""
        return int(at // (self.span / SLOTS))

    def take(self, records: Iterable[Any]) -> None:
        """Count what is new."""
        for record in records:
            if isinstance(record, Activity):
                if record.id not in self.waiting:
                    self._add_waiting(record)
            elif isinstance(record, Outcome):
                self._add_outcome(record)
            elif record.kind in HALTS:
                self.halts.append(record.at)

    def _add_waiting(self, activity: Activity[Any]) -> None:
        self.waiting[activity.id] = (activity.lane, activity.created)
        self._add_arrival(activity.lane, activity.created)
        if activity.not_before is not None:
            self._count(activity.created, "delayed")

    def _add_arrival(self, lane: Lane, at: float, by: int = 1) -> None:
        self._count(at, (lane, "arrived"), by)
        self._move(lane, at, by)

    def _add_outcome(self, outcome: Outcome) -> None:
        self._correct_arrival(outcome)
        lane, at = outcome.lane, outcome.finished
        left = at if outcome.started is None else outcome.started
        self._move(lane, left, -1)
        self._count(at, (lane, "left"))
        self._count(at, (lane, "wait"), outcome.wait)
        if outcome.started is None or outcome.service is None:
            self._count(at, "unserved")
            return
        self._move("work", outcome.started, 1)
        self._move("work", at, -1)
        for name, value in (("ran", 1.0), ("service", outcome.service), ("square", outcome.service**2)):
            self._count(at, (lane, name), value)

    def _correct_arrival(self, outcome: Outcome) -> None:
        """Count its arrival once, in the lane where it ended: it may have been moved."""
        lane, created = self.waiting.pop(outcome.id, (None, outcome.created))
        if lane is not outcome.lane:
            if lane is not None:
                self._add_arrival(lane, created, -1)
            self._add_arrival(outcome.lane, created)

    def _count(self, at: float, name: Any, value: float = 1.0) -> None:
        if at >= self.since:
            self.sums.add(self.slot(at), name, value)

    def _move(self, place: Any, at: float, by: int) -> None:
        """From `at` on, `by` more are in a place. The area below this curve is the mean length times the span."""
        if at < self.since:
            self.base[place] += by
            return
        self.sums.add(self.slot(at), (place, "in"), by)
        self.sums.add(self.slot(at), (place, "moment"), by * (at - self.origin))

    def _forget(self, now: float) -> None:
        last = self.slot(now) - SLOTS
        for slot in [slot for slot in self.sums.slots if slot <= last] if self.first <= last else ():
            for name, value in self.sums.drop(slot).items():
                if isinstance(name, tuple) and name[1] == "in":
                    self.base[name[0]] += value
        if self.first <= last:
            self.first = last + 1
            self.since = self.first * (self.span / SLOTS)

    def _mean(self, place: Any, now: float) -> float:
        total, span = self.sums.total, max(now - self.since, LEAST)
        inside = total[place, "in"] * (now - self.origin) - total[place, "moment"]
        return self.base[place] + inside / span

    def read(self, now: float, current: Activity[Any] | None = None, started: float | None = None) -> Reading:
        """The window up to now. `current` is the activity that runs since `started`: it has no outcome yet."""
        self._forget(now)
        span = max(now - self.since, LEAST)
        share, lane = 0.0, None
        if current is not None and started is not None and current.id in self.waiting:
            share, lane = max(0.0, now - max(started, self.since)) / span, self.waiting[current.id][0]
        busy = self._mean("work", now) + share
        priority, standard = (self._queue(each, now, span, share if each is lane else 0.0) for each in Lane)
        total = self.sums.total
        halted = any(at >= self.since for at in self.halts)
        return Reading(span, priority, standard, busy, round(total["delayed"]), round(total["unserved"]), halted)

    def _queue(self, lane: Lane, now: float, span: float, running: float) -> Queue:
        total = self.sums.total
        arrived, left, ran = (round(total[lane, name]) for name in ("arrived", "left", "ran"))
        rate = arrived / span
        stream = Stream(rate, total[lane, "service"] / ran, total[lane, "square"] / ran) if ran else Stream(rate)
        wait = total[lane, "wait"] / left if left else 0.0
        return Queue(arrived, left, ran, rate, wait, max(0.0, self._mean(lane, now) - running), stream)
