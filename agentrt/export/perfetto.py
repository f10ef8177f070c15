"""A trace in Chrome's Trace Event Format: https://ui.perfetto.dev opens it, and so does chrome://tracing.

The manager is the process and each runtime a thread of it. What an activity took is a slice on its runtime's thread,
with its steps nested in it; what it waited is a slice on a track of its lane. An arrow leads from the slice of the
activity that sent it to its own. Other records are marks. Times are microseconds on the manager's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..activity import Activity
from ..events import Event, Outcome
from ..snapshot import Snapshot
from ..views.text import plain

__all__ = ["trace"]

Entry = dict[str, Any]
NAMES = 60  # characters of a name
TEXT = 300


def trace(records: Iterable[Any], running: Iterable[Snapshot], now: float, name: str) -> bytes:
    """The file, from records in their order and what runs at this moment."""
    made = Trace(now)
    for record in records:
        made.take(record)
    for snapshot in running:
        made.still(snapshot)
    entries = [*made.headed(name), *made.entries, *made.arrows()]
    return msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": entries})


class Trace:
    """The entries of one trace, made record by record."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.entries: list[Entry] = []
        self.threads: dict[str, int] = {}
        self.sent: dict[int, Activity[Any]] = {}
        self.slices: dict[int, tuple[str, float, float]] = {}  # activity: its runtime, and from when to when it ran

    def take(self, record: Any) -> None:
        """Put one record into the trace."""
        if isinstance(record, Activity):
            self.sent[record.id] = record
            self.thread(record.runtime)
        elif isinstance(record, Outcome):
            self._ended(record)
        elif record.kind == "step":
            self._step(record)
        elif record.runtime:
            self._add("i", record.runtime, record.kind, record.at, s="t", args={"detail": text(record.detail, TEXT)})

    def still(self, snapshot: Snapshot) -> None:
        """What runs now has no end on the record: its slice goes on to the end of the trace."""
        activity, started = snapshot.current, snapshot.started
        if activity is not None and started is not None and activity.id not in self.slices:
            args = {"id": activity.id, "fate": "pending", "lane": activity.lane.value}
            self._waited(activity.id, snapshot.id, activity.lane.value, activity.created, started)
            self._worked(activity.id, snapshot.id, started, max(self.now, started), args)

    def thread(self, runtime: str) -> int:
        """The number of a runtime's thread."""
        return self.threads.setdefault(runtime, len(self.threads) + 1)

    def _add(self, phase: str, runtime: str, name: str, at: float, **more: Any) -> None:
        place = {"pid": 1, "tid": self.thread(runtime), "ts": micro(at)}
        self.entries.append({"ph": phase, "name": text(name, NAMES), "cat": "agentrt", **place, **more})

    def _ended(self, outcome: Outcome) -> None:
        left = outcome.finished if outcome.started is None else outcome.started
        self._waited(outcome.id, outcome.runtime, outcome.lane.value, outcome.created, left)
        args = {"id": outcome.id, "fate": outcome.fate.value, "lane": outcome.lane.value, "attempts": outcome.attempts}
        if outcome.error is not None:
            args["error"] = text(outcome.error, TEXT)
        if outcome.started is None:
            self._add("i", outcome.runtime, f"{outcome.id} {outcome.fate.value}", outcome.finished, s="t", args=args)
        else:
            self._worked(outcome.id, outcome.runtime, outcome.started, outcome.finished, args)

    def _waited(self, id: int, runtime: str, lane: str, start: float, end: float) -> None:
        """Waits overlap, so they are asynchronous slices of the process: each lane has tracks of its own."""
        name = f"{text(runtime, NAMES)}: {lane} lane"
        for phase, at in (("b", start), ("e", end)):
            self._add(phase, runtime, name, at, id2={"local": str(id)}, args={"id": id})
            self.entries[-1]["cat"] = "wait"

    def _worked(self, id: int, runtime: str, start: float, end: float, args: Entry) -> None:
        known = self.sent.get(id)
        name = f"{id} {text(known.payload, NAMES)}" if known is not None else str(id)
        told = {"payload": text(known.payload, TEXT), "parent": known.parent} if known is not None else {}
        self._add("X", runtime, name, start, dur=micro(end) - micro(start), args={**args, **told})
        self.slices[id] = (runtime, start, end)

    def _step(self, event: Event) -> None:
        start = event.detail["started"]
        args = {"id": event.detail["activity"], "failed": event.detail["failed"]}
        self._add("X", event.runtime, event.detail["name"], start, dur=micro(event.at) - micro(start), args=args)
        self.entries[-1]["cat"] = "step"

    def arrows(self) -> Iterator[Entry]:
        """From the activity that sent one to where that is worked off, where both are in the trace."""
        for id, (runtime, start, _) in self.slices.items():
            activity = self.sent.get(id)
            parent = self.slices.get(activity.parent or 0) if activity is not None else None
            if activity is None or parent is None or not parent[1] <= activity.created <= parent[2]:
                continue
            both = {"name": "sent", "cat": "sent", "id": id, "pid": 1}
            yield {**both, "ph": "s", "tid": self.thread(parent[0]), "ts": micro(activity.created)}
            yield {**both, "ph": "f", "bp": "e", "tid": self.thread(runtime), "ts": micro(start)}

    def headed(self, name: str) -> Iterator[Entry]:
        """The names of the process and its threads, and their order."""
        yield {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": text(name, NAMES)}}
        for runtime, number in self.threads.items():
            thread = {"ph": "M", "pid": 1, "tid": number}
            yield {**thread, "name": "thread_name", "args": {"name": text(runtime, NAMES)}}
            yield {**thread, "name": "thread_sort_index", "args": {"sort_index": number}}


def micro(seconds: float) -> int:
    """Microseconds, whole: an end is then exactly where the next one begins."""
    return round(seconds * 1e6)


def text(value: Any, limit: int) -> str:
    """One line of text that can be written as UTF-8."""
    return plain(value, limit).encode("utf-8", "replace").decode()
