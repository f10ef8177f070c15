"""All that is on the record about one activity: its own course, who caused it, what it caused, the states around it.

Facts only, read from records and snapshots; `rules` says which rule acted, views say it in HTML. A rewound view gives
other records and other snapshots and gets the same story of another time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...activity import Activity
from ...events import Event, Outcome
from ...snapshot import Snapshot
from .activity_records import PENDING, RUNNING, UNKNOWN, Message, Story, World

__all__ = ["Family", "Present", "story"]

MOST = 24  # activities of one family in a story; those nearest to it
KEPT = 5_000  # of a family, while it is read
OF_RUNTIME = {"created", "restarted", "failed", "terminated", "stuck", "escalated", "limit", "swapped", "paused"}


class Present:
    """The runtimes of a manager now."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.at: float = manager.clock.now()
        self.let_go: int = manager.ring.let_go

    def look(self, runtime: str) -> Snapshot | None:
        """The snapshot of a runtime, the last one if it has ended."""
        known = runtime in self.manager or runtime in self.manager.terminated
        found: Snapshot | None = self.manager.snapshot(runtime, metrics=False) if known else None
        return found

    def waiting(self, runtime: str) -> list[Activity[Any]]:
        """What waits in it; nothing if it has ended."""
        handle = self.manager.get(runtime)
        items: list[Activity[Any]] = [] if handle is None else handle.mailbox_items()
        return items

    def timeout(self, runtime: str) -> float | None:
        """The deadline it gives to each activity."""
        return getattr(self.manager.get(runtime), "timeout", None)

    def initial(self, runtime: str) -> Any:
        """The state it began with; of one that has ended it is not kept."""
        return getattr(self.manager.get(runtime), "initial", UNKNOWN)


class Family:
    """The records about one activity and its relatives, taken in the order of the ring. Bounded."""

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
        self.fresh = False  # whether it met the initial state
        self.newest = 0

    def take(self, records: Iterable[Any]) -> bool:
        """Take what is new. Whether any of it is about the activity, its relatives or its runtime."""
        records = list(records)
        if self.runtime is None:
            self._find(records)
        told = [self._take(record) for record in records]
        self.newest = max(self.newest, records[-1].sequence if records else 0)
        return any(told)

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
        if not (related or record.parent == self.id) or len(self.members) >= KEPT:
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

    def tell(self, world: World) -> Story:
        """The story as it is in `world`."""
        if self.runtime is None:
            return Story(self.id, world.at, let_go=world.let_go, newest=self.newest)
        shots = _Shots(world.look)
        outcome = self.outcomes.get(self.id)
        place, activity = self._place(world, shots) if outcome is None else (None, self.members.get(self.id))
        ancestors, lost = self._ancestors()
        below = self._below()
        listed = below[: max(1, MOST - len(ancestors))]
        return Story(
            id=self.id,
            at=world.at,
            message=self._message(self.id, shots, activity),
            activity=activity,
            outcome=outcome,
            before=world.initial(self.runtime) if self.fresh else self.before,
            after=UNKNOWN if outcome is None else outcome.state,
            ancestors=tuple(self._message(id, shots) for id in ancestors),
            descendants=tuple(self._message(id, shots) for id in listed),
            left_out=len(below) - len(listed),
            lost_parent=lost,
            place=place,
            spans=tuple(note for note in self.notes if note.kind == "step"),
            notes=tuple(note for note in self.notes if note.kind != "step"),
            around=tuple(self.around),
            snapshot=shots.of(self.runtime),
            timeout=world.timeout(self.runtime),
            let_go=world.let_go,
            newest=self.newest,
        )

    def _place(self, world: World, shots: _Shots) -> tuple[int | None, Activity[Any] | None]:
        """How many wait before it in its lane, and the activity as it is now: it may have been edited or moved."""
        shot = shots.of(self.runtime or "")
        if shot is not None and shot.current is not None and shot.current.id == self.id:
            return None, shot.current
        ahead: dict[str, int] = {}
        for item in world.waiting(self.runtime or ""):
            if item.id == self.id:
                return ahead.get(item.lane, 0), item
            ahead[item.lane] = ahead.get(item.lane, 0) + 1
        return None, self.members.get(self.id)

    def _ancestors(self) -> tuple[list[int], int | None]:
        """Whose activity caused it, the first one first; and the nearest cause that is no longer on the record."""
        found: list[int] = []
        member = self.members.get(self.id)
        while member is not None and member.parent is not None and len(found) < MOST // 3:
            if member.parent not in self.members:
                return found[::-1], member.parent
            found.append(member.parent)
            member = self.members[member.parent]
        return found[::-1], None

    def _below(self) -> list[int]:
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
            started, finished = shots.started(member.runtime if member else "", id), None
            fate = PENDING if started is None else RUNNING
        known: Any = outcome or member
        return Message(
            id=id,
            runtime=known.runtime,
            source=member.source if member else None,
            parent=member.parent if member else None,
            lane=known.lane.value,
            payload=member.payload if member else UNKNOWN,
            created=known.created,
            started=started,
            finished=finished,
            fate=fate,
            reply=outcome.reply if outcome else UNKNOWN,
        )


class _Shots:
    """Snapshots of the runtimes that a story is about, each taken once."""

    def __init__(self, look: Callable[[str], Snapshot | None]) -> None:
        self.look = look
        self.taken: dict[str, Snapshot | None] = {}

    def of(self, id: str) -> Snapshot | None:
        if id not in self.taken:
            self.taken[id] = self.look(id)
        return self.taken[id]

    def started(self, runtime: str, id: int) -> float | None:
        shot = self.of(runtime)
        return shot.started if shot is not None and shot.current is not None and shot.current.id == id else None


def story(manager: Any, id: int, family: Family | None = None) -> Story:
    """The story of an activity now. With a `family` that is kept up to date elsewhere the ring is not read again.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
    ...     receipts = [runtime.send_nowait(n) for n in (1, 10)]
    ...     _ = receipts[-1].result(5)
    ...     told = story(manager, receipts[-1].id)
    >>> told.outcome.kind, told.before, told.after
    ('done', 1, 11)
    """
    if family is None:
        family = Family(id)
        family.take(manager.ring.since(0)[0])
    return family.tell(Present(manager))
