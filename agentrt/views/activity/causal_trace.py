"""All that is recorded about one activity: its own course, who caused it, what it caused, the states around it.

Facts only, read from records and snapshots: `rules` finds the rules that acted, and the views make HTML of them. A
rewound view passes older records and snapshots, and gets the trace as it was then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ...activity import Activity
from ...events import Event, Outcome
from ...feed.source import Source
from ...snapshot import Snapshot
from .activity_records import PENDING, RUNNING, UNKNOWN, CausalTrace, Message

__all__ = ["RelatedRecords", "causal_trace"]

MOST = 24  # activities in one trace: the nearest relatives
MOST_READ = 5_000  # relatives that are held while the records are read
OF_RUNTIME = {"created", "restarted", "failed", "terminated", "stuck", "escalated", "limit", "swapped", "paused"}


class RelatedRecords:
    """The records about one activity and its relatives, read in the order of the ring. Bounded."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.runtime: str | None = None
        self.correlation: int | None = None
        self.members: dict[int, Activity[Any]] = {}
        self.children: dict[int, list[int]] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.notes: list[Event] = []
        self.around: list[Event] = []
        self.before: Any = UNKNOWN
        self.fresh = False  # whether it started from the initial state
        self.newest = 0
        self.let_go = 0

    def take(self, records: Iterable[Any], missed: int = 0) -> bool:
        """Read new records. Returns whether any is about the activity, its relatives or its runtime.

        Args:
            records: All that is new, in the order of the ring.
            missed: How many records before them can't be read any more.
        """
        records = list(records)
        self.let_go += missed
        if self.runtime is None:
            self._find(records)
        related = [self._take(record) for record in records]
        self.newest = max(self.newest, records[-1].sequence if records else 0)
        return any(related)

    def _find(self, records: list[Any]) -> None:
        for record in records:
            if not isinstance(record, Event) and record.id == self.id:
                self.runtime = record.runtime
                self.correlation = getattr(record, "correlation", None)
                return

    def _take(self, record: Any) -> bool:
        if isinstance(record, Outcome):
            return self._take_outcome(record)
        if isinstance(record, Event):
            return self._take_event(record)
        related = record.id == self.id or (self.correlation is not None and record.correlation == self.correlation)
        if not (related or record.parent == self.id) or len(self.members) >= MOST_READ:
            return False
        self.members[record.id] = record
        if record.parent is not None:
            self.children.setdefault(record.parent, []).append(record.id)
        return True

    def _take_outcome(self, outcome: Outcome) -> bool:
        if outcome.runtime == self.runtime and self.id not in self.outcomes and outcome.id != self.id:
            self.before, self.fresh = outcome.state, False
        if outcome.id == self.id or outcome.id in self.members:
            self.outcomes[outcome.id] = outcome
            return True
        return outcome.runtime == self.runtime and self.id not in self.outcomes

    def _take_event(self, event: Event) -> bool:
        if isinstance(event.detail, dict) and event.detail.get("activity") == self.id:
            self.notes = [*self.notes, event][-MOST * 4 :]
            return True
        if event.runtime != self.runtime or event.kind not in OF_RUNTIME:
            return False
        if event.kind in ("restarted", "created") and self.id not in self.outcomes:
            self.before, self.fresh = UNKNOWN, True
        self.around = [*self.around, event][-MOST * 4 :]
        return True

    def trace(self, source: Source) -> CausalTrace:
        """The trace, with how the runtimes are now."""
        if self.runtime is None:
            return CausalTrace(self.id, source.now(), let_go=self.let_go, newest=self.newest)
        shots = _Shots(partial(source.snapshot, metrics=False))
        settings = source.settings(self.runtime)
        outcome = self.outcomes.get(self.id)
        place, activity = self._place(source, shots) if outcome is None else (None, self.members.get(self.id))
        ancestors, lost = self._ancestors()
        descendants = self._descendants()
        listed = descendants[: max(1, MOST - len(ancestors))]
        return CausalTrace(
            id=self.id,
            at=source.now(),
            message=self._message(self.id, shots, activity),
            activity=activity,
            outcome=outcome,
            before=self.before if not self.fresh else UNKNOWN if settings is None else settings.initial,
            after=UNKNOWN if outcome is None else outcome.state,
            ancestors=tuple(self._message(id, shots) for id in ancestors),
            descendants=tuple(self._message(id, shots) for id in listed),
            left_out=len(descendants) - len(listed),
            lost_parent=lost,
            place=place,
            spans=tuple(note for note in self.notes if note.kind == "step"),
            notes=tuple(note for note in self.notes if note.kind != "step"),
            around=tuple(self.around),
            snapshot=shots.of(self.runtime),
            timeout=None if settings is None else settings.limits.timeout,
            let_go=self.let_go,
            newest=self.newest,
        )

    def _place(self, source: Source, shots: _Shots) -> tuple[int | None, Activity[Any] | None]:
        """How many wait before it in its lane, and the activity as it is now: it may have been edited or moved."""
        shot = shots.of(self.runtime or "")
        if shot is not None and shot.current is not None and shot.current.id == self.id:
            return None, shot.current
        ahead: dict[str, int] = {}
        for item in source.mailbox(self.runtime or "").items:
            if item.id == self.id:
                return ahead.get(item.lane, 0), item
            ahead[item.lane] = ahead.get(item.lane, 0) + 1
        return None, self.members.get(self.id)

    def _ancestors(self) -> tuple[list[int], int | None]:
        """What caused it, the first cause first; and the nearest cause that is no longer recorded."""
        found: list[int] = []
        member = self.members.get(self.id)
        while member is not None and member.parent is not None and len(found) < MOST // 3:
            if member.parent not in self.members:
                return found[::-1], member.parent
            found.append(member.parent)
            member = self.members[member.parent]
        return found[::-1], None

    def _descendants(self) -> list[int]:
        found, todo = [], [self.id]
        while todo:
            level = [child for id in todo for child in self.children.get(id, ())]
            found += level
            todo = level
        return found

    def _message(self, id: int, shots: _Shots, activity: Activity[Any] | None = None) -> Message:
        member, outcome = activity or self.members.get(id), self.outcomes.get(id)
        if outcome is not None:
            started, finished, fate = outcome.started, outcome.finished, outcome.kind
        else:
            started, finished = shots.start_of(member.runtime if member else "", id), None
            fate = PENDING if started is None else RUNNING
        record: Any = outcome or member
        return Message(
            id=id,
            runtime=record.runtime,
            source=member.source if member else None,
            parent=member.parent if member else None,
            lane=record.lane.value,
            payload=member.payload if member else UNKNOWN,
            created=record.created,
            started=started,
            finished=finished,
            fate=fate,
            reply=outcome.reply if outcome else UNKNOWN,
        )


class _Shots:
    """Snapshots of the runtimes of a trace, each taken once."""

    def __init__(self, take: Callable[[str], Snapshot | None]) -> None:
        self.take = take
        self.shots: dict[str, Snapshot | None] = {}

    def of(self, id: str) -> Snapshot | None:
        if id not in self.shots:
            self.shots[id] = self.take(id)
        return self.shots[id]

    def start_of(self, runtime: str, id: int) -> float | None:
        shot = self.of(runtime)
        return shot.started if shot is not None and shot.current is not None and shot.current.id == id else None


def causal_trace(source: Source, id: int, related: RelatedRecords | None = None) -> CausalTrace:
    """The trace of an activity now. With `related`, which is kept up to date elsewhere, the ring is not read again.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
    ...     receipts = [runtime.send_nowait(n) for n in (1, 10)]
    ...     _ = receipts[-1].result(5)
    ...     trace = causal_trace(manager.source, receipts[-1].id)
    >>> trace.outcome.kind, trace.before, trace.after
    ('done', 1, 11)
    """
    if related is None:
        related = RelatedRecords(id)
        frame = source.frame()
        related.take(frame.records, frame.missed)
    return related.trace(source)
