"""Snapshots: what a view draws. One immutable record of a runtime at one time, live or rewound."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from .activity import Activity
from .engine.entry_state import EntryState
from .errors import AgentError
from .metrics import Fates, LaneMetrics, Metrics, Percentiles
from .schema.immutability import copy_out
from .schema.preview import preview

__all__ = ["Snapshot", "Status", "add_fates", "fates", "metrics", "read_initial", "read_state", "snapshot", "status"]

Entry = EntryState[Any, Any]


class Status(StrEnum):
    """What a runtime is doing, in one word."""

    IDLE = "idle"
    PROCESSING = "processing"
    PAUSED = "paused"
    ERROR = "error"
    STUCK = "stuck"
    FAILED = "failed"
    TERMINATED = "terminated"


class Snapshot(msgspec.Struct, frozen=True):
    """A runtime at one time. Pairs are (priority, standard); times are seconds on the manager's clock."""

    id: str
    at: float
    status: Status
    state: Any
    workflow: str
    depth: tuple[int, int]
    capacity: tuple[int, int]
    current: Activity[Any] | None
    started: float | None
    spans: tuple[str, ...]
    error: AgentError | None
    error_at: float | None
    fates: Fates
    metrics: Metrics | None
    first: tuple[Activity[Any] | None, Activity[Any] | None] = (None, None)  # at the front of each lane

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={preview(getattr(self, name), 200)}" for name in self.__struct_fields__)
        return f"Snapshot({fields})"


def status(entry: Entry) -> Status:
    """The status, read from what the entry is doing now: nothing has to be kept up to date for it."""
    if entry.closed:
        return Status.TERMINATED
    if entry.failed:
        return Status.FAILED
    if entry.stuck:
        return Status.STUCK
    if entry.current is not None:
        points = entry.breakpoints
        return Status.PROCESSING if points is None or points.stop is None else Status.PAUSED
    if entry.paused:
        return Status.PAUSED
    return Status.ERROR if entry.in_error else Status.IDLE


def read_state(entry: Entry) -> Any:
    """The committed state; a copy of it where it could be changed in place, unless `copy_state=False`."""
    return copy_out(entry.state, entry.limits.copy_state)


def read_initial(entry: Entry) -> Any:
    """The state it began with; a copy of it where it could be changed in place, unless `copy_state=False`."""
    return copy_out(entry.initial, entry.limits.copy_state)


def fates(entry: Entry) -> Fates:
    """The counts. `accepted` is read last, so that from any thread nothing can be decided that was not accepted."""
    counts = (entry.done, entry.failed_count, entry.timed_out, entry.dropped, entry.terminated, entry.dead)
    accepted = entry.accepted
    return Fates(accepted, *counts, accepted - sum(counts))


def add_fates(entries: Iterable[Entry]) -> Fates:
    """The counts of several together. Nothing is made for each: there may be a hundred thousand, most of them idle."""
    done = failed = timed_out = dropped = terminated = dead = accepted = 0
    for entry in entries:
        if entry.accepted_priority or entry.accepted_standard:
            done += entry.done
            failed += entry.failed_count
            timed_out += entry.timed_out
            dropped += entry.dropped
            terminated += entry.terminated
            dead += entry.dead
            accepted += entry.accepted_priority + entry.accepted_standard  # last, as in `fates`
    decided = done + failed + timed_out + dropped + terminated + dead
    return Fates(accepted, done, failed, timed_out, dropped, terminated, dead, accepted - decided)


def metrics(entry: Entry) -> Metrics:
    """Counts and percentiles of both lanes."""
    priority, standard = entry.mailbox.depth
    times = [lane.percentiles() for lane in entry.times or ()] or [(Percentiles(), Percentiles())] * 2
    mailbox = entry.mailbox
    urgent = entry.accepted_priority
    return Metrics(
        processed=entry.done + entry.failed_count + entry.timed_out,
        failed=entry.failed_count + entry.timed_out,
        priority=LaneMetrics(priority, mailbox.priority_capacity, urgent, *times[0]),
        standard=LaneMetrics(standard, mailbox.standard_capacity, entry.accepted_standard, *times[1]),
    )


def snapshot(entry: Entry, with_metrics: bool = True) -> Snapshot:
    """A snapshot of the entry. From any thread; without metrics it costs a few microseconds."""
    current, started = entry.current, entry.started
    of, spans = entry.spans
    mailbox = entry.mailbox
    return Snapshot(
        id=entry.id,
        at=entry.host.clock.now(),
        status=status(entry),
        state=entry.state,
        workflow=entry.workflow.name,
        depth=mailbox.depth,
        capacity=(mailbox.priority_capacity, mailbox.standard_capacity),
        current=current,
        started=None if current is None else started,
        spans=() if current is None or current.id != of else spans,
        error=entry.error,
        error_at=entry.error_at,
        fates=fates(entry),
        metrics=metrics(entry) if with_metrics else None,
        first=mailbox.first,
    )
