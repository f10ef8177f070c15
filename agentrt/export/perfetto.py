"""A trace in Chrome's Trace Event Format: https://ui.perfetto.dev opens it, and so does chrome://tracing.

The manager is the process of the trace and each runtime is a thread. The processing of an activity is a slice on its
runtime's thread, with the activity's steps nested in it; steps of concurrent tasks overlap, and what does not nest is
on a further thread of its own, since a viewer drops it. Its wait is a slice on a track of its lane. An arrow leads
from the slice of the activity that sent it to its own slice. Other records are instants. Times are microseconds on
the manager's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from ..activity import Activity
from ..events import Event, Outcome, Record
from ..feed.source import subject_of
from ..snapshot import Snapshot
from ..views.text import plain
from .exportable import Exportable, records_of, snapshots_of

__all__ = ["Trace", "to_perfetto"]

TraceEvent = dict[str, Any]  # one JSON object of the format
MAX_NAME = 60  # characters
MAX_ARGUMENT = 300


def to_perfetto(target: Exportable) -> bytes:
    """The records of a runtime, or of all runtimes of a manager, as a JSON file in Chrome's Trace Event Format."""
    source = subject_of(target).source
    running = snapshots_of(target)
    trace = Trace(source.now())
    for record in records_of(target):
        trace.add(record)
    for snapshot in running:
        trace.add_running(snapshot)
    trace.lay_out_steps()
    events = [*trace.metadata(source.name), *trace.events, *trace.arrows()]
    return msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": events})


class Slice(NamedTuple):
    """When an activity was processed, in seconds on the manager's clock, and on which runtime."""

    runtime: str
    start: float
    end: float


class Trace:
    """Collects the events of one trace, record by record, in the order of the records."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.events: list[TraceEvent] = []
        self._threads: dict[tuple[str, int], int] = {}  # by runtime and track: 0 is its own, further ones hold steps
        self._steps: list[Event] = []
        self._activities: dict[int, Activity[Any]] = {}
        self._slices: dict[int, Slice] = {}

    def add(self, record: Record) -> None:
        """Add one record."""
        if isinstance(record, Activity):
            self._activities[record.id] = record
            self._thread(record.runtime)
        elif isinstance(record, Outcome):
            self._add_outcome(record)
        elif record.kind == "step":
            self._steps.append(record)
        elif record.runtime:
            self._add_instant(record.runtime, record.kind, record.at, {"detail": text(record.detail, MAX_ARGUMENT)})

    def add_running(self, snapshot: Snapshot) -> None:
        """Add the activity that is processed now. It has no outcome yet: its slice ends where the trace ends."""
        activity, started = snapshot.current, snapshot.started
        if activity is not None and started is not None and activity.id not in self._slices:
            args = {"id": activity.id, "fate": "pending", "lane": activity.lane.value}
            self._add_wait(activity.id, snapshot.id, activity.lane.value, activity.created, started)
            self._add_service(activity.id, Slice(snapshot.id, started, max(self.now, started)), args)

    def metadata(self, name: str) -> Iterator[TraceEvent]:
        """The names of the process and of its threads, and the order of the threads."""
        yield {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": text(name, MAX_NAME)}}
        for (runtime, track), number in self._threads.items():
            thread = {"ph": "M", "pid": 1, "tid": number}
            name = text(runtime, MAX_NAME) + (f", steps {track + 1}" if track else "")
            yield {**thread, "name": "thread_name", "args": {"name": name}}
            yield {**thread, "name": "thread_sort_index", "args": {"sort_index": number}}

    def arrows(self) -> Iterator[TraceEvent]:
        """An arrow from a sender's slice to the slice of what it sent, where both are in the trace."""
        for id, (runtime, start, _) in self._slices.items():
            activity = self._activities.get(id)
            sender = self._slices.get(activity.parent or 0) if activity is not None else None
            if activity is None or sender is None or not sender.start <= activity.created <= sender.end:
                continue
            arrow = {"name": "sent", "cat": "sent", "id": id, "pid": 1}
            yield {**arrow, "ph": "s", "tid": self._thread(sender.runtime), "ts": microseconds(activity.created)}
            yield {**arrow, "ph": "f", "bp": "e", "tid": self._thread(runtime), "ts": microseconds(start)}

    def lay_out_steps(self) -> None:
        """Add the steps, each on the first track of its runtime where it nests. Call it once, after all records."""
        tracks: dict[str, list[list[int]]] = {}  # by runtime: the ends of the slices that are open on each track
        slices: list[tuple[Slice, Event | None]] = [(each, None) for each in self._slices.values()]
        slices += [(Slice(step.runtime, step.detail["started"], step.at), step) for step in self._steps]
        ordered = [(each.runtime, microseconds(each.start), microseconds(each.end), step) for each, step in slices]
        # Outer slices first; at the same time, the activity before its steps.
        for runtime, start, end, step in sorted(ordered, key=lambda s: (s[1], -s[2], s[3] is not None)):
            found = tracks.setdefault(runtime, [[]])
            track = 0 if step is None else _first_that_nests(found, start, end)
            if track == len(found):
                found.append([])
            found[track].append(end)
            if step is not None:
                self._add_step(step, track)

    def _thread(self, runtime: str, track: int = 0) -> int:
        """The number of a runtime's thread in the trace."""
        return self._threads.setdefault((runtime, track), len(self._threads) + 1)

    def _add_event(
        self, phase: str, runtime: str, name: str, at: float, category: str = "agentrt", track: int = 0, **more: Any
    ) -> None:
        place = {"pid": 1, "tid": self._thread(runtime, track), "ts": microseconds(at)}
        self.events.append({"ph": phase, "name": text(name, MAX_NAME), "cat": category, **place, **more})

    def _add_instant(self, runtime: str, name: str, at: float, args: TraceEvent) -> None:
        self._add_event("i", runtime, name, at, s="t", args=args)

    def _add_outcome(self, outcome: Outcome) -> None:
        left = outcome.finished if outcome.started is None else outcome.started
        self._add_wait(outcome.id, outcome.runtime, outcome.lane.value, outcome.created, left)
        args = {"id": outcome.id, "fate": outcome.fate.value, "lane": outcome.lane.value, "attempts": outcome.attempts}
        if outcome.error is not None:
            args["error"] = text(outcome.error, MAX_ARGUMENT)
        if outcome.started is None:
            self._add_instant(outcome.runtime, f"{outcome.id} {outcome.fate.value}", outcome.finished, args)
        else:
            self._add_service(outcome.id, Slice(outcome.runtime, outcome.started, outcome.finished), args)

    def _add_wait(self, id: int, runtime: str, lane: str, start: float, end: float) -> None:
        """Waits of one lane overlap, so they are asynchronous slices: the viewer lays them out on several tracks."""
        name = f"{text(runtime, MAX_NAME)}: {lane} lane"
        for phase, at in (("b", start), ("e", end)):
            self._add_event(phase, runtime, name, at, "wait", id2={"local": str(id)}, args={"id": id})

    def _add_service(self, id: int, found: Slice, args: TraceEvent) -> None:
        activity, name = self._activities.get(id), str(id)
        if activity is not None:
            name = f"{id} {text(activity.payload, MAX_NAME)}"
            args = {**args, "payload": text(activity.payload, MAX_ARGUMENT), "parent": activity.parent}
        duration = microseconds(found.end) - microseconds(found.start)
        self._add_event("X", found.runtime, name, found.start, dur=duration, args=args)
        self._slices[id] = found

    def _add_step(self, event: Event, track: int) -> None:
        start = event.detail["started"]
        args = {"id": event.detail["activity"], "failed": event.detail["failed"]}
        duration = microseconds(event.at) - microseconds(start)
        self._add_event("X", event.runtime, event.detail["name"], start, "step", track, dur=duration, args=args)


def _first_that_nests(tracks: list[list[int]], start: int, end: int) -> int:
    """The first track on which a slice lies inside of all slices that are open at its start; a new one if none does."""
    for number, open_ends in enumerate(tracks):
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        if not open_ends or end <= open_ends[-1]:
            return number
    return len(tracks)


def microseconds(seconds: float) -> int:
    """Whole microseconds: the end of one slice is then exactly the start of the next."""
    return round(seconds * 1e6)


def text(value: Any, limit: int) -> str:
    """One line of at most `limit` characters that UTF-8 can encode."""
    return plain(value, limit).encode("utf-8", "replace").decode()
